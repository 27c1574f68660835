"""Users as the public sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, model_validator

from skyhold.booking.models.user import Role, User
from skyhold.kernel.passwords import PASSWORD_CHARS_MIN, is_common
from skyhold.kernel.types import Matching

PASSWORD_MAX = 1_024


def _printable(text: str) -> str:
    """Names are lines of text: no control characters, nothing invisible, not only blanks."""
    stripped = text.strip()
    if not stripped or not stripped.isprintable():
        msg = "must be text that can be printed"
        raise ValueError(msg)
    return stripped


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = "must be valid Unicode"
        raise ValueError(msg) from None
    return text


def _uncommon(password: str) -> str:
    if is_common(password):
        msg = "is one of the most common passwords, which are tried first; please take another"
        raise ValueError(msg)
    return password


def _mailable(email: str) -> str:
    """One form for each address (RFC 6531, NFC), the same for registering and logging in."""
    try:
        return validate_email(email, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


Email = Annotated[
    StrictStr,
    Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    AfterValidator(_mailable),
]
Line = Annotated[StrictStr, Field(min_length=1, max_length=100), AfterValidator(_printable)]
KnownPassword = Annotated[
    StrictStr,
    Field(max_length=PASSWORD_MAX, examples=["correct horse battery"]),
    AfterValidator(_encodable),
]
NewPassword = Annotated[
    StrictStr,
    Field(
        min_length=PASSWORD_CHARS_MIN,
        max_length=PASSWORD_MAX,
        examples=["correct horse battery"],
        description="None of the most common ones; otherwise of any characters",
    ),
    AfterValidator(_encodable),
    AfterValidator(_uncommon),
]
RefreshToken = Annotated[
    StrictStr,
    Field(max_length=512),
    Matching(r"[A-Za-z0-9_-]*", says="must be what login or refresh answered"),
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewUser(_In):
    """Someone who wants an account."""

    name: Line = Field(examples=["Ada Lovelace"])
    email: Email
    password: NewPassword

    @model_validator(mode="after")
    def _password_is_not_the_email(self) -> NewUser:
        """It is the first thing that anybody would try."""
        guesses = {self.email.casefold(), self.email.rpartition("@")[0].casefold()}
        if self.password.casefold() in guesses:
            msg = "the password must not be the e-mail address"
            raise ValueError(msg)
        return self


class Credentials(_In):
    """Someone who wants to log in."""

    email: Email
    password: KnownPassword


class PasswordChange(_In):
    """Someone who wants another password."""

    current_password: KnownPassword
    new_password: NewPassword


class Deletion(_In):
    """Someone who wants their account deleted, and shows that it is theirs."""

    password: KnownPassword


class Refresh(_In):
    """A program's refresh token; a browser shows its cookie instead."""

    refresh_token: RefreshToken


class UserOut(BaseModel):
    """An account."""

    id: str
    name: str
    email: str
    role: Role
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> UserOut:
        """The public form of an account."""
        return cls(
            id=user.id,
            name=user.name,
            email=user.email,
            role=user.role,
            created_at=user.created_at,
        )


class TokensOut(BaseModel):
    """Send the access token as `Authorization: Bearer …`. Browsers get both as cookies, too."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - not a password
    expires_in: int = Field(description="Seconds until the access token expires")
    refresh_token: str = Field(description="Gives the next two tokens, once")
    refresh_expires_in: int = Field(description="Seconds until it can no longer be used")
