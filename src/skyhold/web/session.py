"""A browser's session: the tokens in its cookies, and fresh ones when they have run out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from skyhold.kernel.http.cookies import (
    PAGES_COOKIE,
    SECURE_PAGES_COOKIE,
    clear_cookies,
    set_access_cookie,
    set_pages_cookie,
)
from skyhold.kernel.http.identity import COOKIE, SECURE_COOKIE

from .api import Api, Refused, Ways

UNAUTHORIZED = 401


class Session:
    """The same two tokens that the API hands to every client; nothing is kept on the server."""

    def __init__(self, cookies: Mapping[str, str], *, secure: bool) -> None:
        # Where there is https the plain names are not believed: a neighbour may have set those.
        self.token = cookies.get(SECURE_COOKIE if secure else COOKIE)
        self._refresh = cookies.get(SECURE_PAGES_COOKIE if secure else PAGES_COOKIE)
        self._fresh: Mapping[str, Any] | None = None
        self._ended = False

    async def recognise(self, ways: Ways, address: str | None) -> Mapping[str, Any] | None:
        """The account behind it, or None. Raises Away."""
        if self.token is None and self._refresh is None:
            return None
        account = await self._account(ways, address)
        if account is None and self._refresh is not None:
            try:
                body = {"refresh_token": self._refresh}
                self.begin(await Api(ways, None, address).post("/api/v1/users/refresh", body))
            except Refused as error:
                if error.status != UNAUTHORIZED:
                    raise
            else:
                account = await self._account(ways, address)
        if account is None:
            self.end()
        return account

    def begin(self, tokens: Mapping[str, Any]) -> None:
        """Go on with these tokens, as login and refresh answer them."""
        self.token, self._fresh, self._ended = tokens["access_token"], tokens, False

    def end(self) -> None:
        """Nobody is signed in any more."""
        self.token, self._fresh, self._ended = None, None, True

    def keep(self, response: Response, *, secure: bool) -> None:
        """Let the browser know what has changed."""
        if self._ended:
            clear_cookies(response)
        elif (fresh := self._fresh) is not None:
            lasts_s, longest_s = fresh["expires_in"], fresh["refresh_expires_in"]
            set_access_cookie(response, fresh["access_token"], max_age_s=lasts_s, secure=secure)
            set_pages_cookie(response, fresh["refresh_token"], max_age_s=longest_s, secure=secure)

    async def _account(self, ways: Ways, address: str | None) -> Mapping[str, Any] | None:
        if self.token is None:
            return None
        try:
            found: Mapping[str, Any] = await Api(ways, self.token, address).get("/api/v1/users/me")
        except Refused as error:
            if error.status != UNAUTHORIZED:
                raise
            return None
        return found
