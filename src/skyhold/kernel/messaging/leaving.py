"""When to give up a connection to a broker that confirms nothing."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

LEAVE_AFTER_S = 1.0
LEAVE_MAX_S = 60.0
DOUBLINGS_MAX = 12


class Leaving:
    """Tries by another connection, to the next node if there is one, when nothing is confirmed.

    When the node of a quorum queue's leader dies, a channel that was opened before the next leader
    was there may refuse everything for as long as the node is away, or never confirm it (seen with
    RabbitMQ 3.10). A new one finds the new leader. Each time in vain the pause before it is longer:
    what is in hand comes again by a new connection, and that counts.

    `closes_within` waits so long, or until all is being closed; then it answers True.
    """

    def __init__(self, closes_within: Callable[[float], Awaitable[bool]]) -> None:
        self._closes_within = closes_within
        self._task: asyncio.Task[None] | None = None
        self._in_vain = 0
        self._confirmed_at = -math.inf

    def confirmed(self) -> None:
        """Something was confirmed: there is no reason to go."""
        self._confirmed_at, self._in_vain = time.monotonic(), 0

    def was_confirmed_since(self, began_at: float) -> bool:
        """Whether anything was, since that moment."""
        return self._confirmed_at >= began_at

    def begin(self, leave: Callable[[], Awaitable[None]]) -> None:
        """Leave after a pause, unless something is confirmed meanwhile or it is begun already."""
        if self._task is None or self._task.done():
            pause_s = min(LEAVE_AFTER_S * 2 ** min(self._in_vain, DOUBLINGS_MAX), LEAVE_MAX_S)
            self._in_vain += 1
            going = self._go(leave, pause_s, time.monotonic())
            self._task = asyncio.create_task(going, name="rabbit leaves")

    async def ended(self) -> None:
        """Wait until nobody is about to leave."""
        if self._task is not None:
            await self._task

    async def _go(
        self, leave: Callable[[], Awaitable[None]], pause_s: float, decided_at: float
    ) -> None:
        if await self._closes_within(pause_s) or self._confirmed_at > decided_at:
            return
        await leave()
