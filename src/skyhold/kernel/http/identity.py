"""Who is asking: a bearer token, or the cookie a browser brings along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from skyhold.kernel.auth import InvalidToken, Tokens
from skyhold.kernel.errors import Forbidden, Unauthorized

STAFF_ROLES = frozenset({"staff", "admin"})
COOKIE = "skyhold_access"
SECURE_COOKIE = "__Host-skyhold_access"

# These two describe themselves in the API's document; reading is done below, for both at once.
_bearer = HTTPBearer(auto_error=False, description="The access_token that login answers with.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by login.")


class StaffOnly(Forbidden):
    """Only the airline's staff may do this."""

    code = "staff_only"


class ServicesOnly(Forbidden):
    """Only another service may do this."""

    code = "services_only"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who has logged in."""

    user_id: str
    role: str


class HasAccessTokens(Protocol):
    """What an application keeps in `app.state.doors` to recognise who knocks."""

    access_tokens: Tokens
    service_tokens: Tokens | None


async def authenticated(request: Request) -> Identity:
    """The person behind this request. Raises Unauthorized (401) when there is none."""
    claims = _doors(request).access_tokens.verify(_access_token(request))
    return Identity(user_id=claims["sub"], role=str(claims.get("role", "")))


async def staff(request: Request) -> Identity:
    """A member of the staff. Raises Unauthorized (401) or StaffOnly (403)."""
    if _shows_service_token(request):
        raise StaffOnly
    identity = await authenticated(request)
    if identity.role not in STAFF_ROLES:
        raise StaffOnly
    return identity


def calling_service(scope: str) -> Callable[[Request], Awaitable[str]]:
    """A dependency: the name of the service that calls, if it may do what `scope` names.

    Raises Unauthorized (401) or ServicesOnly (403).
    """

    async def service(request: Request) -> str:
        tokens = _doors(request).service_tokens
        token = _bearer_token(request)
        if tokens is None or token is None:
            raise Unauthorized
        try:
            claims = tokens.verify(token)
        except InvalidToken:
            _doors(request).access_tokens.verify(token)  # 401 for a token that is nobody's
            raise ServicesOnly from None
        if scope not in str(claims.get("scope", "")).split():
            raise ServicesOnly
        return str(claims["sub"])

    return service


Person = Annotated[Identity, Depends(authenticated)]
Staff = Annotated[Identity, Depends(staff)]

# For `dependencies=` of a router, so that the API's document shows how to authenticate.
DOCUMENTED = [Depends(_bearer), Depends(_cookie)]


def _doors(request: Request) -> HasAccessTokens:
    doors: HasAccessTokens = request.app.state.doors
    return doors


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
    return tokens is not None and token is not None and tokens.recognises(token)
