"""The ways to a database that has several hosts.

A connection goes to the first host that can be used, in the order in which they are written. One
that could not be used is tried last for a while, and then has its place again: who comes back gets
the new connections, and those that were made meanwhile stay where they are. That is safe because
all hosts are one database: of a PostgreSQL or a replicated MariaDB only the one that can be written
is used, and the nodes of a Galera cluster wait for each other (`wsrep_sync_wait`).

A standby is not used for reading either. What it says may be old, and whoever lost the answer to a
COMMIT asks a reader whether it was carried out.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from skyhold.kernel.logging import get_logger

from .engine import Meaning
from .hosts import Host

log = get_logger(__name__)

PASSED_OVER_S = 10.0


@dataclass(frozen=True, slots=True)
class Driver:
    """What has to be asked of a driver's own connections."""

    connect: Callable[..., Awaitable[Any]]
    # Why the server behind a connection cannot be used although it answers; None when it can.
    why_not: Callable[[Any], Awaitable[str | None]]
    close: Callable[[Any], Awaitable[None]]
    drop: Callable[[Any], None]  # without a farewell; whoever waits for an answer is told
    meaning: Callable[[BaseException], Meaning]


class Unusable(ConnectionError):
    """It answers, and cannot be used just now."""


@dataclass(eq=False, slots=True)
class _Way:
    host: Host
    passed_over_until: float = -math.inf
    heard_at: float = -math.inf
    connections: WeakSet[Any] = field(default_factory=WeakSet)
    look: asyncio.Task[None] | None = None


class Ways:
    """Connections to the first of several hosts that can be used.

    No host is waited for longer than `patience_s`, and no one who waits for an answer goes without
    a look at the host for longer than that: if it is silent for new connections, too, all that
    wait are told that theirs is lost.
    """

    def __init__(self, hosts: tuple[Host, ...], driver: Driver, *, patience_s: float) -> None:
        self._ways = [_Way(host) for host in hosts]
        self._driver = driver
        self._patience_s = patience_s
        self._how: dict[str, Any] = {}
        self._last = self._ways[0]

    async def connect(self, **how: Any) -> Any:  # noqa: ANN401 - what the driver takes and gives
        """A connection of the driver's. Raises the driver's error for a mistake, or OSError."""
        self._how = {key: value for key, value in how.items() if key not in {"host", "port"}}
        refusals: list[tuple[_Way, Exception]] = []
        for way in sorted(self._ways, key=lambda way: way.passed_over_until > time.monotonic()):
            try:
                connection = await self._open(way)
            except Exception as error:  # noqa: BLE001 - told below when no host is any better
                self._pass_over(way, error)
                refusals.append((way, error))
            else:
                self._goes_by(way, connection)
                return connection
        for _, refusal in refusals:
            if self._meaning(refusal) is Meaning.OTHER:
                raise refusal  # a wrong password: waiting would not mend it
        msg = "; ".join(f"{way.host}: {_said(refusal)}" for way, refusal in refusals)
        raise ConnectionError(msg) from refusals[0][1]

    async def is_usable(self, connection: Any) -> bool:  # noqa: ANN401 - the driver's own
        """Whether the connection lives and its host can still be used; it is dropped if not."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._check(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, there are others
            if isinstance(error, Unusable | TimeoutError):  # and not just broken, by a restart
                self.was_useless(connection, error)
            self._driver.drop(connection)
            return False
        return True

    def was_useless(self, connection: Any, error: BaseException) -> None:  # noqa: ANN401 - as above
        """The host of this connection has not done what it is there for."""
        way = self._way_of(connection)
        if way is not None:
            self._pass_over(way, error)

    def watch(self, connection: Any) -> Watch:  # noqa: ANN401 - as above
        """Look after whoever uses the connection, until the watch is ended."""
        return Watch(self, connection, self._patience_s)

    def look_at(self, connection: Any) -> None:  # noqa: ANN401 - as above
        """See whether the connection's host still takes others."""
        way = self._way_of(connection)
        if way is not None and (way.look is None or way.look.done()):
            way.look = asyncio.create_task(self._look(way), name=f"look at {way.host}")

    def close(self) -> None:
        """Look no more."""
        for way in self._ways:
            if way.look is not None:
                way.look.cancel()

    def heard(self, connection: Any) -> None:  # noqa: ANN401 - as above
        """Who used the connection has ended, and the connection lives."""
        way = self._way_of(connection)
        if way is not None:
            way.heard_at = time.monotonic()

    async def _look(self, way: _Way) -> None:
        try:
            connection = await self._open(way)
        except Exception as error:  # noqa: BLE001 - one that refuses only us is alive
            # So is one that answered others meanwhile: it has too much to do, and to be connected
            # to anew by all of them would be the end of it.
            is_quiet = time.monotonic() - way.heard_at > self._patience_s
            if is_quiet and self._meaning(error) is Meaning.LOST:
                self._pass_over(way, error)
                for each in list(way.connections):
                    self._driver.drop(each)
            return
        with suppress(Exception):
            async with asyncio.timeout(self._patience_s):
                await self._driver.close(connection)

    async def _open(self, way: _Way) -> Any:  # noqa: ANN401 - the driver's own
        at: dict[str, Any] = {"host": way.host.name}
        if way.host.port is not None:
            at["port"] = way.host.port
        async with asyncio.timeout(self._patience_s):
            connection = await self._driver.connect(**self._how, **at)
            try:
                await self._check(connection)
            except BaseException:
                self._driver.drop(connection)
                raise
        return connection

    async def _check(self, connection: Any) -> None:  # noqa: ANN401 - as above
        if because := await self._driver.why_not(connection):
            raise Unusable(because)

    def _goes_by(self, way: _Way, connection: Any) -> None:  # noqa: ANN401 - as above
        way.passed_over_until = -math.inf
        way.connections.add(connection)
        if way is not self._last:
            log.info("db.host", host=str(way.host), before=str(self._last.host))
            self._last = way

    def _pass_over(self, way: _Way, error: BaseException) -> None:
        now = time.monotonic()
        if way.passed_over_until <= now:
            log.warning("db.host_passed_over", host=str(way.host), because=_said(error))
        way.passed_over_until = now + PASSED_OVER_S

    def _way_of(self, connection: Any) -> _Way | None:  # noqa: ANN401 - as above
        return next((way for way in self._ways if connection in way.connections), None)

    def _meaning(self, error: BaseException) -> Meaning:
        # RuntimeError is uvloop's, of a transport that was gone before it was used.
        is_broken = isinstance(error, OSError | RuntimeError)
        return Meaning.LOST if is_broken else self._driver.meaning(error)


class Watch:
    """A look at a connection's host, again and again while somebody uses the connection."""

    def __init__(self, ways: Ways, connection: Any, period_s: float) -> None:  # noqa: ANN401
        self._ways, self._connection, self._period_s = ways, connection, period_s
        self._again()

    def end(self, *, lives: bool) -> None:
        """Whoever used it has ended, and the connection lives on or does not."""
        self._timer.cancel()
        if lives:
            self._ways.heard(self._connection)

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._period_s, self._look)

    def _look(self) -> None:
        self._ways.look_at(self._connection)
        self._again()


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error.args[-1] if error.args else error)  # before it the driver has its number
