"""How a serving process ends without a request that fails."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Server

from skyhold.kernel.http.draining import STATE
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

LINGER_S = 1.0

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
            STATE.on = STATE.told_others = True
            loop.call_soon_threadsafe(self._wait, loop, stop)

        signal.signal(signal.SIGTERM, leave)

    def _wait(self, loop: asyncio.AbstractEventLoop, stop: Handler) -> None:
        log.info("server.leaving", listens_for_s=self._wait_s)
        loop.call_later(self._wait_s, stop, signal.SIGTERM, None)


class Closing(Server):
    """Closes its port without losing who has just knocked, if it left as a lame duck.

    uvicorn's own closes the listener in the tick in which it stops. Whoever is in its queue, or was
    accepted and has not been read yet, gets a reset then, and a proxy may not repeat a POST that it
    has sent. This one takes in who is waiting before it closes, and listens to them for LINGER_S.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, finish what is in progress, end."""
        STATE.on = True  # also after Ctrl-C: what is open without end has to end now
        if STATE.told_others:
            await self._take_in(self._stop_accepting())
            await asyncio.sleep(LINGER_S)
            self.servers = []
        await super().shutdown(sockets)

    def _stop_accepting(self) -> list[socket.socket]:
        """The listeners, which nobody accepts from any more."""
        copies = [
            socket.socket(fileno=os.dup(listener.fileno()))
            for server in self.servers
            for listener in server.sockets
        ]
        for server in self.servers:
            server.close()
        return copies

    async def _take_in(self, listeners: list[socket.socket]) -> None:
        waiting: list[socket.socket] = []
        for listener in listeners:
            listener.setblocking(False)  # noqa: FBT003 - the standard library's own
            with listener, suppress(BlockingIOError):
                while True:
                    waiting.append(listener.accept()[0])
        loop = asyncio.get_running_loop()
        for connection in waiting:
            connection.setblocking(False)  # noqa: FBT003 - as above
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = kind(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        return protocol


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
