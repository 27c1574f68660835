"""Which seats of a flight are taken and freed, told while it happens (server-sent events).

However many look at a flight, it is asked about once a second, and not at all when nobody looks.
Whoever looks is told what has changed since they were told last, so a slow reader gets one event
for many changes, and nothing piles up for it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from skyhold.kernel.http.draining import STATE

from .api import Away, Refused
from .seat_map import taken_and_free

# In one process. A flight costs a request a second (7 ms), whoever looks little but a connection.
FLIGHTS_MAX = 50
LOOKERS_MAX = 1_000
FULL_RETRY_S, LEAVING_RETRY_S = 60, 5
LEAVING_LOOK_S = 0.1  # how soon it is seen that the process has been told to stop
SEND_MAX_S = 10.0  # for a reader who does not read

HEARTBEAT = b": still here\n\n"

Ask = Callable[[], Awaitable[Mapping[str, Any]]]


class NotNow(Exception):
    """Nobody else can look just now: too many do, or this process is about to stop.

    The page works all the same, it only does not move by itself.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the seats are asked for, how long silence lasts, how long anybody looks."""

    period_s: float = 1.0
    heartbeat_s: float = 15.0
    # Then the browser comes again by itself: perhaps to another process.
    stream_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Seats:
    """How the seats of a flight stand."""

    taken: frozenset[str]
    free: frozenset[str]

    def news_since(self, before: Seats | None) -> bytes:
        """The event for somebody who knows what was before; all of it for who knows nothing."""
        taken = self.taken - before.taken if before else self.taken
        free = self.free - before.free if before else self.free
        said = {"taken": sorted(taken), "free": sorted(free)}
        return b"event: seats\ndata: " + to_json(said) + b"\n\n"


class Looker:
    """Somebody who looks at one flight. Ask for the `news` until there are no more, then leave."""

    def __init__(self, flight: _Flight, pace: Pace, leave: Callable[[Looker], None]) -> None:
        self.flight = flight
        self._heartbeat_s = pace.heartbeat_s
        self._leave = leave
        self._knows: Seats | None = None
        self._woken = asyncio.Event()
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + pace.stream_s

    async def news(self) -> bytes | None:
        """What is to be sent next; None when it is time to end."""
        while not self._is_over and (left_s := self._until - self._loop.time()) > 0:
            now = self.flight.seats
            if now is not None and now != self._knows:
                before, self._knows = self._knows, now
                return now.news_since(before)
            self._woken.clear()
            try:
                async with asyncio.timeout(min(self._heartbeat_s, left_s)):
                    await self._woken.wait()
            except TimeoutError:
                if left_s > self._heartbeat_s:
                    return HEARTBEAT
        return None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to say."""
        return self._is_over

    def wake(self) -> None:
        """There may be something to say."""
        self._woken.set()

    def end(self) -> None:
        """There is nothing more to say."""
        self._is_over = True
        self.wake()

    def leave(self) -> None:
        """Look no more; nobody has to know it twice, but may say it twice."""
        self._leave(self)


class _Flight:
    """One flight that somebody looks at, and whoever does."""

    def __init__(self, flight_id: str, ask: Ask, period_s: float) -> None:
        self.id = flight_id
        self.seats: Seats | None = None
        self.refusal: Refused | None = None
        self.answered = asyncio.Event()
        self.lookers: set[Looker] = set()
        # It asks for all who look: nothing of the first one's request may go along.
        self.watch = asyncio.create_task(
            self._watch(ask, period_s), name=f"live {flight_id}", context=Context()
        )

    async def _watch(self, ask: Ask, period_s: float) -> None:
        try:
            while self.refusal is None:
                await self._look(ask)
                self.answered.set()
                await asyncio.sleep(period_s)
        finally:
            self.answered.set()
            self.end()

    async def _look(self, ask: Ask) -> None:
        try:
            now = Seats(*taken_and_free(await ask()))
        except Refused as refusal:
            # A flight that is there does not go; whatever was meant, the next second asks again.
            self.refusal = None if self.answered.is_set() else refusal
        except Away:
            pass  # the next second asks again
        else:
            if now != self.seats:
                self.seats = now
                for looker in self.lookers:
                    looker.wake()

    def end(self) -> None:
        for looker in self.lookers:
            looker.end()
        self.answered.set()  # those who have not begun to look need not wait for that


class Live:
    """All that look, in this process."""

    def __init__(
        self,
        pace: Pace | None = None,
        *,
        flights_max: int = FLIGHTS_MAX,
        lookers_max: int = LOOKERS_MAX,
    ) -> None:
        self._pace = pace or Pace()
        self._flights_max = flights_max
        self._lookers_max = lookers_max
        self._flights: dict[str, _Flight] = {}
        self._lookers: set[Looker] = set()
        self._guard: asyncio.Task[None] | None = None

    @property
    def watched(self) -> frozenset[str]:
        """The flights that are asked about."""
        return frozenset(self._flights)

    async def join(self, flight_id: str, ask: Ask) -> Looker:
        """Begin to look at a flight; the looker must leave in the end.

        `ask` answers its seat map. Raises NotNow, and Refused when there is no such flight.
        """
        looker = self._enter(flight_id, ask)
        try:
            await looker.flight.answered.wait()
        except asyncio.CancelledError:
            looker.leave()
            raise
        if looker.flight.refusal is not None:
            looker.leave()
            raise looker.flight.refusal
        if looker.is_over:
            looker.leave()
            raise NotNow(LEAVING_RETRY_S)
        return looker

    def end(self) -> None:
        """Send everybody home, as when the process stops."""
        for flight in self._flights.values():
            flight.end()

    def _enter(self, flight_id: str, ask: Ask) -> Looker:
        if STATE.on:
            raise NotNow(LEAVING_RETRY_S)
        if len(self._lookers) >= self._lookers_max:
            raise NotNow(FULL_RETRY_S)
        looker = Looker(self._watched(flight_id, ask), self._pace, self._left)
        looker.flight.lookers.add(looker)
        self._lookers.add(looker)
        self._guard = self._guard or asyncio.create_task(self._end_in_time(), name="live guard")
        return looker

    def _watched(self, flight_id: str, ask: Ask) -> _Flight:
        known = self._flights.get(flight_id)
        if known is not None and not known.watch.done():
            return known
        if len(self._flights) >= self._flights_max:
            raise NotNow(FULL_RETRY_S)
        self._flights[flight_id] = _Flight(flight_id, ask, self._pace.period_s)
        return self._flights[flight_id]

    def _left(self, looker: Looker) -> None:
        flight = looker.flight
        self._lookers.discard(looker)
        flight.lookers.discard(looker)
        if not flight.lookers:
            flight.watch.cancel()
            if self._flights.get(flight.id) is flight:
                del self._flights[flight.id]
        if not self._lookers and self._guard is not None:
            self._guard.cancel()
            self._guard = None

    async def _end_in_time(self) -> None:
        # Signals are heard by others, who only leave a note; a stream must never delay a stop.
        while not STATE.on:  # noqa: ASYNC110 - set by a signal handler, which can set no event
            await asyncio.sleep(LEAVING_LOOK_S)
        self.end()


class Stream(Response):
    """What a looker is told, as an answer that goes on; it ends when the client is gone, too."""

    media_type = "text/event-stream"

    def __init__(self, looker: Looker) -> None:
        self.status_code = 200
        self.background = None
        # A proxy that gathers answers before it hands them on would make this pointless.
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        self._looker = looker

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until there is no more to be said, or nobody to say it to."""
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (piece := await self._looker.news()) is not None:
                async with asyncio.timeout(SEND_MAX_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            pass  # which closes the connection
        finally:
            gone.cancel()
            self._looker.leave()

    async def _until_gone(self, receive: Receive) -> None:
        with suppress(Exception):  # a body that nobody may send is nobody's business here
            while (await receive())["type"] != "http.disconnect":
                pass
        self._looker.end()
