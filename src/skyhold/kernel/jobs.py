"""Work that is done again and again beside the requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .logging import get_logger
from .metrics import Rounds

log = get_logger(__name__)

PAUSE_MAX_S = 60.0
STOP_MAX_S = 5.0


@dataclass
class Periodic:
    """Runs `work` every `period_s`, until it is stopped.

    `work` answers how much it did; a full round is followed by the next one at once, so a backlog
    drains at full speed. An error is logged and the job goes on, after a pause that doubles up to
    a minute.
    """

    name: str
    period_s: float
    work: Callable[[], Awaitable[int]]
    round_max: int
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self, timeout_s: float = STOP_MAX_S) -> None:
        """End after the round in progress, or in its middle once `timeout_s` is over.

        A round that is cut off loses nothing: its rows are still due.
        """
        if self._task is None:
            return
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._task, timeout_s)
        self._task = None

    async def _run(self) -> None:
        told = Rounds(self.name)  # not before: a job that is not run here has no last success
        pause_s = self.period_s
        while not self._stopping.is_set():
            try:
                done = await self.work()
            except Exception:
                log.exception("job.failed", job=self.name)
                told.failed()
                pause_s = min(pause_s * 2, PAUSE_MAX_S)
            else:
                told.succeeded()
                pause_s = self.period_s
                if done >= self.round_max:
                    continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
