"""Who is asking: a bearer token, or the cookie a browser brings along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from skyhold.kernel.auth import InvalidToken, Tokens
from skyhold.kernel.errors import Forbidden, Unauthorized
from skyhold.kernel.identity import Identity
from skyhold.kernel.people import People

from .rates import count_user

COOKIE = "skyhold_access"
SECURE_COOKIE = "__Host-skyhold_access"
SERVICE_SCHEME = "service"

# These two describe themselves in the API's document; reading is done below, for both at once.
_bearer = HTTPBearer(
    scheme_name="bearer",
    auto_error=False,
    bearerFormat="JWT",
    description="The access_token that login answers with.",
)
_cookie = APIKeyCookie(
    scheme_name="cookie",
    name=COOKIE,
    auto_error=False,
    description=f"Set by login; `{SECURE_COOKIE}` where there is https.",
)
_service = HTTPBearer(
    scheme_name=SERVICE_SCHEME,
    auto_error=False,
    bearerFormat="JWT",
    description="Signed with SERVICE_SECRET by another service, for a minute.",
)


class StaffOnly(Forbidden):
    """Only the airline's staff may do this."""

    code = "staff_only"


class ServicesOnly(Forbidden):
    """Only another service may do this."""

    code = "services_only"


class Doors(Protocol):
    """What an application keeps in `app.state.doors` to recognise who knocks."""

    @property
    def people(self) -> People:
        """Recognises persons."""
        ...

    @property
    def service_tokens(self) -> Tokens:
        """Recognises other services."""
        ...


@dataclass(frozen=True, slots=True)
class FrontDoors:
    """Doors that are put together from those of several services."""

    people: People
    service_tokens: Tokens


async def authenticated(request: Request) -> Identity:
    """The person behind this request. Raises Unauthorized (401), or TooManyRequests (429)."""
    identity = _identity(await _doors(request).people.recognise(_access_token(request)))
    count_user(request.scope, identity.user_id)
    return identity


async def perhaps_authenticated(request: Request) -> Identity | None:
    """The person behind this request, or None: also when what they show is valid no longer.

    Raises InvalidToken (401) for a service: it is no person.
    """
    if _shows_service_token(request):
        raise InvalidToken
    try:
        return await authenticated(request)
    except Unauthorized:
        return None


async def staff(request: Request) -> Identity:
    """A member of the staff. Raises Unauthorized (401) or StaffOnly (403)."""
    if _shows_service_token(request):
        raise StaffOnly
    identity = await authenticated(request)
    if not identity.is_staff:
        raise StaffOnly
    return identity


def calling_service(scope: str) -> Callable[[Request], Awaitable[str]]:
    """A dependency: the name of the service that calls, if it may do what `scope` names.

    Raises Unauthorized (401) or ServicesOnly (403).
    """

    async def service(request: Request) -> str:
        tokens = _doors(request).service_tokens
        token = _bearer_token(request)
        if token is None:
            raise Unauthorized
        try:
            claims = tokens.verify(token)
        except InvalidToken:
            await _doors(request).people.recognise(token)  # 401 for a token that is nobody's
            raise ServicesOnly from None
        if scope not in str(claims.get("scope", "")).split():
            raise ServicesOnly
        return str(claims["sub"])

    return service


Person = Annotated[Identity, Depends(authenticated)]
PerhapsPerson = Annotated[Identity | None, Depends(perhaps_authenticated)]
Staff = Annotated[Identity, Depends(staff)]

# For `dependencies=` of a router, so that the API's document shows how to authenticate: with one
# of these, and as whom.
DOCUMENTED = [Depends(_bearer), Depends(_cookie)]
STAFF_DOCUMENTED = [Security(_bearer, scopes=["staff"]), Security(_cookie, scopes=["staff"])]
SERVICE_DOCUMENTED = [Depends(_service)]
# For `openapi_extra=` of a route that is for anybody, and heeds who they are beside.
OR_NOBODY: dict[str, Any] = {"security": [{}]}


def _doors(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


def _identity(claims: Mapping[str, Any]) -> Identity:
    return Identity(user_id=claims["sub"], role=claims["role"], session_id=claims["sid"])


def _access_token(request: Request) -> str:
    # A header wins: a program that sends one does not want to be whoever the cookie says.
    if "authorization" in request.headers:
        token = _bearer_token(request)
    else:
        token = request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)
    if not token:
        raise Unauthorized
    return token


def _bearer_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None


def _shows_service_token(request: Request) -> bool:
    tokens, token = _doors(request).service_tokens, _bearer_token(request)
    return token is not None and tokens.recognises(token)
