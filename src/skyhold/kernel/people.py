"""Recognises people by their access tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .auth import Tokens, UnknownKey
from .client import Unknown
from .ended_sessions import EndedSessions
from .errors import Unavailable
from .keys import Key, PublicKey, from_jwks
from .logging import get_logger

log = get_logger(__name__)

# How long published keys are used before they are asked for again, and how long at the most when
# nobody answers: a key that was withdrawn must not live on for ever.
KEYS_FRESH_S = 300.0
KEYS_OLD_S = 3_600.0
# A token of an unknown key makes us ask, but no more often than this.
ASK_PERIOD_S = 1.0


class KeysUnavailable(Unavailable):
    """The keys that tokens are checked with cannot be had just now; please try again shortly."""

    code = "keys_unavailable"


@dataclass(slots=True)
class PublishedKeys:
    """The public keys that the issuer of the tokens publishes; `ask` fetches its JWKs."""

    ask: Callable[[], Awaitable[list[Mapping[str, Any]]]]
    signing: None = field(default=None, init=False)
    _keys: dict[str, Key[PublicKey]] = field(default_factory=dict, init=False)
    _fetched_at: float = field(default=-KEYS_OLD_S, init=False)
    _asked_at: float = field(default=-KEYS_OLD_S, init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def verifying(self, kid: str | None) -> Key[PublicKey] | None:
        """The published key of this name."""
        return None if kid is None else self._keys.get(kid)

    @property
    def are_fresh(self) -> bool:
        """Whether they need not be asked for again yet."""
        return time.monotonic() - self._fetched_at < KEYS_FRESH_S

    async def refresh(self) -> None:
        """Ask for them again, unless that was done a moment ago.

        Raises KeysUnavailable when there are none that could still be used.
        """
        async with self._asking:
            if time.monotonic() - self._asked_at >= ASK_PERIOD_S:
                self._asked_at = time.monotonic()
                await self._fetch()
            if time.monotonic() - self._fetched_at >= KEYS_OLD_S:
                raise KeysUnavailable

    async def _fetch(self) -> None:
        try:
            self._keys = from_jwks(await self.ask())
        except Unknown as error:
            log.warning("keys.not_fetched", error=str(error))
        else:
            self._fetched_at = self._asked_at


@dataclass(frozen=True, slots=True)
class People:
    """Recognises a person by an access token, as long as the session behind it lasts.

    `published` are the keys of `tokens` where they are somebody else's.
    """

    tokens: Tokens
    ended: EndedSessions
    published: PublishedKeys | None = None

    async def recognise(self, token: str) -> Mapping[str, Any]:
        """The token's claims. Raises InvalidToken, also when its session has ended."""
        if self.published is not None and not self.published.are_fresh:
            await self.published.refresh()
        try:
            claims = self.tokens.verify(token)
        except UnknownKey:
            if self.published is None:
                raise
            await self.published.refresh()
            claims = self.tokens.verify(token)
        await self.ended.check(claims["sid"])
        return claims
