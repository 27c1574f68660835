"""Users as the public sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from skyhold.booking.models.user import Role, User

PASSWORD_MIN = 8
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


def _mailable(email: str) -> str:
    """One form for each address (RFC 6531, NFC), the same for registering and logging in."""
    try:
        return validate_email(email, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


Email = Annotated[
    StrictStr,
    Field(max_length=254, examples=["ada@example.com"]),
    AfterValidator(_mailable),
]
Line = Annotated[StrictStr, Field(min_length=1, max_length=100), AfterValidator(_printable)]
Password = Annotated[
    StrictStr,
    Field(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX, examples=["correct horse battery"]),
    AfterValidator(_encodable),
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewUser(_In):
    """Someone who wants an account."""

    name: Line = Field(examples=["Ada Lovelace"])
    email: Email
    password: Password


class Credentials(_In):
    """Someone who wants to log in."""

    email: Email
    password: Annotated[StrictStr, Field(max_length=PASSWORD_MAX), AfterValidator(_encodable)]


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


class TokenOut(BaseModel):
    """An access token; send it as `Authorization: Bearer …`. Browsers get it as a cookie too."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - not a password
    expires_in: int = Field(description="Seconds")
