"""The cookie that carries a browser's access token."""

from __future__ import annotations

from fastapi import Response

from .identity import COOKIE, SECURE_COOKIE


def set_access_cookie(response: Response, token: str, *, max_age_s: int, secure: bool) -> None:
    """HttpOnly and SameSite=Lax; with `secure` over https only, and bound to this very host."""
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        token,
        max_age=max_age_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def clear_access_cookie(response: Response) -> None:
    """Make the browser forget it, under either name."""
    for name in (SECURE_COOKIE, COOKIE):
        response.delete_cookie(
            name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="lax"
        )
