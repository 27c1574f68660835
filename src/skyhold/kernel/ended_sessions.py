"""Sessions that have ended before their tokens.

A token is valid until it expires, whatever becomes of the login behind it. So whoever accepts
tokens also knows which sessions have ended lately: this process's own at once, those of others
after at most LAG_MAX_S.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .auth import LEEWAY_S, InvalidToken
from .clock import Clock

# What is known is asked for again when it is so old; in between nobody waits for the answer.
REFRESH_AFTER_S = 1.0
# Older than this it decides nothing: then the answer is waited for.
LAG_MAX_S = 2.0
# An end may be stamped a while before it is committed and seen.
OVERLAP = timedelta(seconds=60)
PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True, order=True)
class Ended:
    """A session that has ended, and when."""

    at: datetime
    session_id: str


# Answers up to PAGE_MAX ends after this one, the oldest first.
Ask = Callable[[Ended], Awaitable[Sequence[Ended]]]


class EndedSessions:
    """Says of a session whether it has ended; `ask` finds out what happened in other processes.

    `ttl_s` is how long an access token lives: after that nobody needs to remember its session.
    """

    def __init__(self, ask: Ask, *, ttl_s: int, clock: Clock) -> None:
        self._ask = ask
        self._needed = timedelta(seconds=ttl_s + LEEWAY_S) + OVERLAP
        self._clock = clock
        self._known: set[str] = set()
        self._by_age: deque[Ended] = deque()
        self._seen_until = Ended(clock.now() - self._needed, "")
        self._asked_at = -LAG_MAX_S
        self._asking: asyncio.Task[None] | None = None

    async def check(self, session_id: str) -> None:
        """Raises InvalidToken when the session has ended.

        What `ask` raises is passed on when there is nothing fresh enough to decide by.
        """
        if session_id in self._known:
            raise InvalidToken
        age_s = time.monotonic() - self._asked_at
        if age_s < REFRESH_AFTER_S:
            return
        asking = self._refreshed()
        if age_s < LAG_MAX_S:
            return
        await asyncio.shield(asking)
        if session_id in self._known:
            raise InvalidToken

    def note(self, *session_ids: str) -> None:
        """These have ended here, just now."""
        now = self._clock.now()
        for session_id in session_ids:
            self._remember(Ended(now, session_id))

    async def close(self) -> None:
        """Let a question that is under way come to its end."""
        if self._asking is not None and not self._asking.done():
            await asyncio.wait([self._asking])

    def _refreshed(self) -> asyncio.Task[None]:
        """The question that is under way, one for all who want its answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._refresh(), name="ended_sessions")
            self._asking.add_done_callback(_seen)
        return self._asking

    async def _refresh(self) -> None:
        began_at = time.monotonic()  # what ends from here on may be missing from the answer
        after = Ended(self._seen_until.at - OVERLAP, "")
        while page := await self._ask(after):
            for ended in page:
                self._remember(ended)
            after = page[-1]
            self._seen_until = max(self._seen_until, after)
            if len(page) < PAGE_MAX:
                break
        self._forget_old()
        self._asked_at = began_at

    def _remember(self, ended: Ended) -> None:
        if ended.session_id not in self._known:
            self._known.add(ended.session_id)
            self._by_age.append(ended)

    def _forget_old(self) -> None:
        oldest = self._clock.now() - self._needed
        while self._by_age and self._by_age[0].at < oldest:
            self._known.discard(self._by_age.popleft().session_id)


def _seen(asking: asyncio.Task[None]) -> None:
    if not asking.cancelled():
        asking.exception()  # whoever waits is told; where nobody does, the next one asks again
