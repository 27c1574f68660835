"""uvicorn's side of a connection, with bounds on what has not become a request yet.

By itself it keeps a header that does not end for as long as it comes, and waits for the next byte
for ever. What it cannot read it answers in plain text; here that is a problem like any other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from skyhold.kernel.errors import BadRequest, HeaderFieldsTooLarge, Problem, RequestTimeout
from skyhold.kernel.logging import get_logger
from skyhold.kernel.settings import KernelSettings

from . import problems
from .heads import TARGET_BYTES_MAX
from .security_headers import SecurityHeaders

log = get_logger(__name__)

# How long a client that is sent away may take to read why.
LINGER_S = 1.0
# What is sent beyond an answer is read and thrown away up to so many times the longest body, so
# that the connection can be used again; nor may a body in small pieces cost more than that.
OVERHEAD_MAX = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection may cost while its request is on its way."""

    header_bytes_max: int
    head_timeout_s: float
    body_bytes_max: int
    body_timeout_s: float
    secure: bool

    @classmethod
    def of(cls, settings: KernelSettings) -> Bounds:
        """As the settings say."""
        return cls(
            header_bytes_max=settings.header_bytes_max,
            head_timeout_s=settings.head_timeout_s,
            body_bytes_max=settings.body_bytes_max,
            body_timeout_s=settings.body_timeout_s,
            secure=settings.cookie_secure,
        )


class _Reading(Enum):
    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


def bounded(settings: KernelSettings) -> type[asyncio.Protocol]:
    """The class of protocols with these bounds, as uvicorn's `http`."""
    protocol = partial(BoundedProtocol, bounds=Bounds.of(settings))
    return cast("type[asyncio.Protocol]", protocol)  # all that is done to it is a call


class BoundedProtocol(HttpToolsProtocol):
    """One connection. It ends with 431, 408 or 400, or silently where nobody has asked anything."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._reading = _Reading.NOTHING
        self._turn = 0  # grows whenever something else begins to be read
        self._taken = 0  # bytes of it, by whole pieces
        self._patience: asyncio.TimerHandle | None = None
        self._is_sent_away = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._wait(self._bounds.head_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within the bounds."""
        if self._is_sent_away:
            return
        turn = self._turn
        super().data_received(data)
        if self.transport.is_closing() or self._is_sent_away:
            return
        if self._turn != turn:
            self._taken = 0
            self._wait(self._patience_s())
        elif self._reading is not _Reading.NOTHING:
            self._taken += len(data)
            self._check_taken()
        elif self._patience is None:  # empty lines, which may stand before a request
            self._wait(self._bounds.head_timeout_s)

    def _patience_s(self) -> float | None:
        if self._reading is _Reading.HEAD:
            return self._bounds.head_timeout_s
        return self._bounds.body_timeout_s if self._reading is _Reading.BODY else None

    def _check_taken(self) -> None:
        if self._reading is _Reading.HEAD:
            if self._taken > self._bounds.header_bytes_max + TARGET_BYTES_MAX:
                self._send_away(HeaderFieldsTooLarge())
        elif self._taken > OVERHEAD_MAX * self._bounds.body_bytes_max:
            self._send_away(None)

    # --- what the parser has found -----------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request's line."""
        self._now(_Reading.HEAD)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; what comes after the body (a trailer) is none, and nobody's business."""
        if self._reading is _Reading.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A request."""
        super().on_headers_complete()
        self._now(_Reading.BODY)

    def on_message_complete(self) -> None:
        """All of it."""
        self._now(_Reading.NOTHING)
        super().on_message_complete()

    def _now(self, reading: _Reading) -> None:
        self._reading = reading
        self._turn += 1

    # --- how it ends -------------------------------------------------------------------------

    def _wait(self, seconds: float | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None
        if seconds is not None:
            self._patience = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        # Browsers open connections that they may never need: there is nobody to tell.
        asked = self._reading is not _Reading.NOTHING
        self._send_away(RequestTimeout() if asked else None)

    def send_400_response(self, msg: str) -> None:
        """What cannot be read."""
        del msg
        self._send_away(BadRequest())

    def _send_away(self, problem: Problem | None) -> None:
        self._is_sent_away = True
        self._wait(None)
        if self._owes_an_answer():
            self.cycle.keep_alive = False  # which closes the connection once it is there
            return
        if problem is None or not self._may_speak():
            self.transport.close()
            return
        log.info("http.refused", status=problem.status, code=problem.code)
        if self._reading is _Reading.BODY:
            self.cycle.disconnected = True  # whoever serves it is told, and answers nobody
            self.cycle.message_event.set()
        self.transport.write(self._answer(problem))
        # Closed at once, what is on its way here would make the client lose the answer.
        self.transport.write_eof()
        self._patience = self.loop.call_later(LINGER_S, self.transport.close)

    def _owes_an_answer(self) -> bool:
        """Whether what cannot be read came after a request, and that one has no answer yet."""
        cycle: RequestResponseCycle | None = self.cycle
        is_waiting = cycle is not None and not cycle.response_complete
        return is_waiting and not self.pipeline and self._reading is not _Reading.BODY

    def _may_speak(self) -> bool:
        """Whether the client would take it for the answer to this request."""
        in_body = self._reading is _Reading.BODY
        return not self.pipeline and not (in_body and self.cycle.response_started)

    def _answer(self, problem: Problem) -> bytes:
        response = problems.answer_for(problem)
        headers = [*response.raw_headers, (b"connection", b"close")]
        headers += SecurityHeaders(secure=self._bounds.secure).missing(headers)
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        return b"".join([STATUS_LINE[problem.status], *lines, b"\r\n", bytes(response.body)])
