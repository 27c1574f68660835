"""How a serving process ends without a request that fails."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import Callable
from types import FrameType

from starlette.types import ASGIApp, Receive, Scope, Send

from skyhold.kernel.http.draining import STATE
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

Handler = Callable[[int, FrameType | None], object]


class LameDuck:
    """Wraps an application: at SIGTERM it says that it is leaving, and stops `wait_s` later.

    In between /readyz answers 503 and every answer closes its connection, so that whoever spreads
    the requests has moved on before the listener closes. Asked a second time, or by Ctrl-C, it
    stops at once; requests in progress are finished either way.
    """

    def __init__(self, app: ASGIApp, *, wait_s: float) -> None:
        self._app = app
        self._wait_s = wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; the lifespan begins when the server has set its own signal handlers."""
        if scope["type"] == "lifespan" and threading.current_thread() is threading.main_thread():
            self._hear_sigterm_first()
            _follow_the_parent()
        await self._app(scope, receive, send)

    def _hear_sigterm_first(self) -> None:
        loop = asyncio.get_running_loop()
        stop = signal.getsignal(signal.SIGTERM)
        if not callable(stop):
            return

        def leave(sig: int, frame: FrameType | None) -> None:
            if STATE.on or not self._wait_s:
                STATE.on = True
                stop(sig, frame)
                return
            STATE.on = True
            loop.call_soon_threadsafe(self._wait, loop, stop)

        signal.signal(signal.SIGTERM, leave)

    def _wait(self, loop: asyncio.AbstractEventLoop, stop: Handler) -> None:
        log.info("server.leaving", listens_for_s=self._wait_s)
        loop.call_later(self._wait_s, stop, signal.SIGTERM, None)


def _follow_the_parent() -> None:
    """Leave when the supervisor is gone, by SIGKILL perhaps: nobody else would free the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(parent.sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, gone)
