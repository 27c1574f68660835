"""Register, log in, stay logged in, log out, who am I."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from skyhold.booking.errors import EmailTaken, InvalidRefreshToken, LoginFailed
from skyhold.booking.schemas.users import Credentials, NewUser, Refresh, TokensOut, UserOut
from skyhold.booking.services.sessions import Granted, Sessions
from skyhold.booking.services.throttle import Visitor
from skyhold.booking.services.users import Users
from skyhold.booking.settings import BookingSettings
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.http.cookies import (
    clear_cookies,
    refresh_cookie,
    set_access_cookie,
    set_refresh_cookie,
)
from skyhold.kernel.http.identity import DOCUMENTED, OR_NOBODY, PerhapsPerson, Person
from skyhold.kernel.http.openapi import BODY, answers
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.limiter import TooManyAttempts

router = Routes(prefix="/api/v1/users", tags=["users"])


async def users_of(request: Request) -> Users:
    """The users that this application was wired with."""
    users: Users = request.app.state.booking.users
    return users


async def sessions_of(request: Request) -> Sessions:
    """The sessions that this application was wired with."""
    sessions: Sessions = request.app.state.booking.membership.sessions
    return sessions


async def settings_of(request: Request) -> BookingSettings:
    """The settings that this application was wired with."""
    settings: BookingSettings = request.app.state.booking.settings
    return settings


async def visitor_of(request: Request) -> Visitor:
    """Who comes: the server believes nobody but a proxy of ours that they come from elsewhere."""
    address = None if request.client is None else request.client.host
    return Visitor(address, request.headers.get("user-agent"))


Guest = Annotated[Visitor, Depends(visitor_of)]
Accounts = Annotated[Users, Depends(users_of)]
OwnSessions = Annotated[Sessions, Depends(sessions_of)]
Settings = Annotated[BookingSettings, Depends(settings_of)]
_SESSION = {
    "me": {},
    "list_sessions": {},
    "refresh": {BODY: {"refresh_token": "$response.body#/refresh_token"}},
}

RefreshCookie = Annotated[str | None, Depends(refresh_cookie)]


@router.post(
    "/register",
    status_code=201,
    summary="Open an account",
    responses=documented(EmailTaken, TooManyAttempts),
)
async def register(users: Accounts, guest: Guest, body: NewUser) -> UserOut:
    """A password has 8 to 1,024 characters; an e-mail has one account, whatever its case."""
    return UserOut.of(await users.sign_up(body.name, body.email, body.password, guest.address))


@router.post(
    "/login",
    summary="Begin a session",
    responses=documented(LoginFailed, TooManyAttempts) | answers(200, leads_to=_SESSION),
)
async def login(
    users: Accounts,
    settings: Settings,
    body: Credentials,
    response: Response,
    guest: Guest,
) -> TokensOut:
    """The tokens stand in the body for programs, and in HttpOnly cookies for browsers."""
    granted = await users.login(body.email, body.password, guest)
    return _hand_out(granted, response, settings)


@router.post(
    "/refresh",
    summary="Continue a session with fresh tokens",
    responses=documented(InvalidRefreshToken, InvalidToken) | answers(200, leads_to=_SESSION),
)
async def refresh(
    sessions: OwnSessions,
    settings: Settings,
    _: PerhapsPerson,
    response: Response,
    cookie: RefreshCookie,
    body: Refresh | None = None,
) -> TokensOut:
    """A refresh token works once. Used again later than some seconds it ends the session."""
    token = cookie if body is None else body.refresh_token
    if not token:
        raise InvalidRefreshToken
    return _hand_out(await sessions.refresh(token), response, settings)


@router.post(
    "/logout",
    status_code=204,
    summary="End the session",
    dependencies=DOCUMENTED,
    openapi_extra=OR_NOBODY,
    responses=documented(InvalidToken),
)
async def logout(
    sessions: OwnSessions, person: PerhapsPerson, response: Response, cookie: RefreshCookie
) -> None:
    """Its tokens are worth nothing any more, and the cookies are cleared; whoever asks."""
    if person is not None:
        await sessions.end(person.session_id)
    if cookie:
        await sessions.end_by_token(cookie)
    clear_cookies(response)


@router.get(
    "/me",
    summary="Who am I",
    dependencies=DOCUMENTED,
)
async def me(users: Accounts, person: Person) -> UserOut:
    """The account behind the token."""
    return UserOut.of(await users.get(person.user_id))


def _hand_out(granted: Granted, response: Response, settings: BookingSettings) -> TokensOut:
    secure = settings.cookie_secure
    lasts_s, refresh_s = settings.access_token_ttl_s, granted.refresh_expires_in_s
    set_access_cookie(response, granted.access_token, max_age_s=lasts_s, secure=secure)
    set_refresh_cookie(response, granted.refresh_token, max_age_s=refresh_s, secure=secure)
    response.headers["Cache-Control"] = "no-store"
    return TokensOut(
        access_token=granted.access_token,
        expires_in=lasts_s,
        refresh_token=granted.refresh_token,
        refresh_expires_in=refresh_s,
    )
