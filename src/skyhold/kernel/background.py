"""Best-effort work that a request leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from . import deadline
from .logging import get_logger

log = get_logger(__name__)


class Background:
    """Best-effort work that nobody waits for, except the process when it stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Run `work` beside everything else; an error is logged and goes no further."""
        task = asyncio.create_task(self._guard(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is running, at most `timeout_s`; the rest is cancelled."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    @staticmethod
    async def _guard(work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            with deadline.lifted():  # whoever asked for it does not wait for it
                await work
        except Exception as error:  # noqa: BLE001 - whatever it was, it has no other listener
            log.warning("background.failed", task=name, error=repr(error))
