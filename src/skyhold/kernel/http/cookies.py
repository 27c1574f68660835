"""The cookies that carry a browser's tokens."""

from __future__ import annotations

from typing import Literal

from fastapi import Request
from starlette.responses import Response

from .identity import COOKIE, SECURE_COOKIE

# Not __Host-: that prefix wants the path to be /, and this one is shown at few addresses only.
REFRESH_COOKIE = "skyhold_refresh"
SECURE_REFRESH_COOKIE = "__Secure-skyhold_refresh"
REFRESH_PATH = "/api/v1/users"
# The pages keep theirs apart: whichever page is opened first after ten minutes has to be shown it,
# also one that a link in a letter leads to.
PAGES_COOKIE = "skyhold_session"
SECURE_PAGES_COOKIE = "__Host-skyhold_session"
# With one of these a request acts for somebody.
CREDENTIAL_COOKIES = frozenset(
    {
        COOKIE,
        SECURE_COOKIE,
        REFRESH_COOKIE,
        SECURE_REFRESH_COOKIE,
        PAGES_COOKIE,
        SECURE_PAGES_COOKIE,
    }
)


def set_access_cookie(response: Response, token: str, *, max_age_s: int, secure: bool) -> None:
    """HttpOnly and SameSite=Lax; with `secure` over https only, and bound to this very host."""
    name = SECURE_COOKIE if secure else COOKIE
    _set(response, name, token, max_age_s=max_age_s, secure=secure, path="/", samesite="lax")


def set_refresh_cookie(response: Response, token: str, *, max_age_s: int, secure: bool) -> None:
    """HttpOnly and SameSite=Strict, shown to the addresses of users only."""
    name = SECURE_REFRESH_COOKIE if secure else REFRESH_COOKIE
    _set(
        response,
        name,
        token,
        max_age_s=max_age_s,
        secure=secure,
        path=REFRESH_PATH,
        samesite="strict",
    )


def set_pages_cookie(response: Response, token: str, *, max_age_s: int, secure: bool) -> None:
    """The refresh token of a session that began on a page; HttpOnly and SameSite=Lax."""
    name = SECURE_PAGES_COOKIE if secure else PAGES_COOKIE
    _set(response, name, token, max_age_s=max_age_s, secure=secure, path="/", samesite="lax")


def clear_cookies(response: Response) -> None:
    """Make the browser forget all, under either name."""
    for name in (SECURE_COOKIE, COOKIE, SECURE_PAGES_COOKIE, PAGES_COOKIE):
        response.delete_cookie(
            name, path="/", secure=name.startswith("__Host-"), httponly=True, samesite="lax"
        )
    for name in (SECURE_REFRESH_COOKIE, REFRESH_COOKIE):
        response.delete_cookie(
            name,
            path=REFRESH_PATH,
            secure=name == SECURE_REFRESH_COOKIE,
            httponly=True,
            samesite="strict",
        )


async def refresh_cookie(request: Request) -> str | None:
    """A dependency: the refresh token that a browser brings along."""
    return request.cookies.get(SECURE_REFRESH_COOKIE) or request.cookies.get(REFRESH_COOKIE)


def _set(
    response: Response,
    name: str,
    token: str,
    *,
    max_age_s: int,
    secure: bool,
    path: str,
    samesite: Literal["lax", "strict"],
) -> None:
    response.set_cookie(
        name,
        token,
        max_age=max_age_s,
        path=path,
        secure=secure,
        httponly=True,
        samesite=samesite,
    )
