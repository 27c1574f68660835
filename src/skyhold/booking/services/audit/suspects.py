"""What looked wrong at first sight, until it has been looked at again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from skyhold.booking.clients.payments.port import Entry
from skyhold.contracts.holds import IDS_MAX

Sleep = Callable[[float], Awaitable[None]]

WAITING_MAX = 5_000
LOOKS_MAX = 5


@dataclass(frozen=True, slots=True)
class Suspect:
    """A booking, a hold or a payment by its id; of a payment, what the provider's books say."""

    id: str
    entry: Entry | None = None
    looks: int = 0


# Looks at some of them; answers with those that moved meanwhile, so that nothing can be said yet.
Look = Callable[[Sequence[Suspect]], Awaitable[Sequence[Suspect]]]


@dataclass(slots=True)
class Suspects:
    """Who waits for the second look.

    Everyone is left alone for `settle_s` first: pages are read one after the other, and what
    happens in between looks wrong. One that moves each time it is looked at is given up after
    LOOKS_MAX: it is being worked on.
    """

    look: Look
    settle_s: float
    sleep: Sleep = asyncio.sleep
    given_up: int = 0
    _waiting: deque[tuple[float, Suspect]] = field(default_factory=deque)

    async def add(self, suspect: Suspect) -> None:
        """One more; while too many wait, the first of them come first."""
        while len(self._waiting) >= WAITING_MAX:
            await self._wait()
            await self.look_again()
        self._waiting.append((time.monotonic() + self.settle_s, suspect))

    async def look_again(self) -> None:
        """Look at those whose time has come."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            some: list[Suspect] = []
            while self._waiting and self._waiting[0][0] <= now and len(some) < IDS_MAX:
                some.append(self._waiting.popleft()[1])
            for moved in await self.look(some):
                self._once_more(moved)

    async def finish(self) -> None:
        """Look at everyone who is left, each when the time has come."""
        while self._waiting:
            await self._wait()
            await self.look_again()

    def _once_more(self, suspect: Suspect) -> None:
        if suspect.looks + 1 < LOOKS_MAX:
            again = replace(suspect, looks=suspect.looks + 1)
            self._waiting.append((time.monotonic() + self.settle_s, again))
        else:
            self.given_up += 1

    async def _wait(self) -> None:
        left_s = self._waiting[0][0] - time.monotonic()
        if left_s > 0:
            await self.sleep(left_s)
