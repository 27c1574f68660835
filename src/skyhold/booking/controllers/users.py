"""Register, log in, log out, who am I."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from skyhold.booking.errors import EmailTaken, LoginFailed
from skyhold.booking.schemas.users import Credentials, NewUser, TokenOut, UserOut
from skyhold.booking.services.users import Users
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.batcher import Overloaded
from skyhold.kernel.errors import BadRequest, Unauthorized, Unprocessable
from skyhold.kernel.http.cookies import clear_access_cookie, set_access_cookie
from skyhold.kernel.http.identity import DOCUMENTED, Person
from skyhold.kernel.http.problems import documented

router = APIRouter(prefix="/api/v1/users", tags=["users"])


def users_of(request: Request) -> Users:
    """The users that this application was wired with."""
    users: Users = request.app.state.booking.users
    return users


Accounts = Annotated[Users, Depends(users_of)]


@router.post(
    "/register",
    status_code=201,
    summary="Open an account",
    responses=documented(BadRequest, EmailTaken, Unprocessable, Overloaded),
)
async def register(users: Accounts, body: NewUser) -> UserOut:
    """A password has 8 to 1,024 characters; an e-mail has one account, whatever its case."""
    return UserOut.of(await users.register(body.name, body.email, body.password))


@router.post(
    "/login",
    summary="Get an access token",
    responses=documented(BadRequest, LoginFailed, Unprocessable, Overloaded),
)
async def login(
    users: Accounts, body: Credentials, request: Request, response: Response
) -> TokenOut:
    """In the body for programs, and as an HttpOnly cookie for browsers."""
    settings = request.app.state.booking.settings
    _, token = await users.login(body.email, body.password)
    set_access_cookie(
        response, token, max_age_s=settings.access_token_ttl_s, secure=settings.cookie_secure
    )
    response.headers["Cache-Control"] = "no-store"
    return TokenOut(access_token=token, expires_in=settings.access_token_ttl_s)


@router.post("/logout", status_code=204, summary="Forget the browser's cookie")
async def logout(response: Response) -> None:
    """Clears the cookie, whoever asks."""
    clear_access_cookie(response)


@router.get(
    "/me",
    summary="Who am I",
    dependencies=DOCUMENTED,
    responses=documented(Unauthorized, InvalidToken),
)
async def me(users: Accounts, person: Person) -> UserOut:
    """The account behind the token."""
    return UserOut.of(await users.get(person.user_id))
