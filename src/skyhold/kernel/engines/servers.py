"""What the two database servers have in common."""

from __future__ import annotations

import math
import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from .engine import Limits
from .hosts import Host
from .ways import Driver, Watch, Ways

CONNECT_S = 5.0
# A connection that nobody used for so long is asked whether it still lives before it is handed
# out: a server that was restarted, or a firewall, may have ended it. With several hosts also one
# that was used meanwhile is asked as often whether its host is still the one to use.
IDLE_S = 5.0


def ways_to(hosts: tuple[Host, ...], driver: Driver, wait_s: float) -> Ways | None:
    """The ways to several hosts, all of which can be tried within `wait_s`; None for a single one.

    There is time left for one more, so that the last one can still be used.
    """
    if not hosts:
        return None
    return Ways(hosts, driver, patience_s=min(CONNECT_S, wait_s / (len(hosts) + 1)))


class Doubt:
    """When a connection to a server was last found broken: older ones may be broken, too.

    Shared by the engines of one server. Who has lost a writer's connection reads next whether its
    transaction was committed, and must not come upon a reader's that broke at the same moment.
    """

    def __init__(self) -> None:
        self._since = -math.inf

    def arises(self) -> None:
        """One is broken, just now."""
        self._since = time.monotonic()

    def concerns(self, sure_at: float) -> bool:
        """Whether a connection that one was sure of at that moment has to be asked again."""
        return sure_at <= max(self._since, time.monotonic() - IDLE_S)


def pooled(
    url: URL,
    limits: Limits,
    *,
    size: int,
    isolation: str,
    connect_args: Mapping[str, Any],
    doubt: Doubt,
    ways: Ways | None,
    is_useless: Callable[[BaseException], bool],
    **more: Any,  # noqa: ANN401 - what create_async_engine takes
) -> AsyncEngine:
    """An engine with at most `size` connections; one that is waited for too long is not had.

    After an error that `is_useless` knows, a connection is of no more use than a broken one.
    """
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=limits.wait_s,
        pool_use_lifo=True,  # the rest may grow old, and their server may have them back
        isolation_level=isolation,
        connect_args=_by(ways, connect_args),
        hide_parameters=True,  # they are people's data, and errors go to the log
        **more,
    )
    _drop_the_useless(engine, ways, is_useless)
    _ask_in_doubt(engine, doubt, ways)
    if ways is not None:
        _watch(engine, ways)
    return engine


def single(url: URL, *, connect_args: Mapping[str, Any], ways: Ways | None) -> AsyncEngine:
    """An engine for one connection that is closed after its use."""
    return create_async_engine(
        url, poolclass=NullPool, connect_args=_by(ways, connect_args), hide_parameters=True
    )


def drop_late(
    engine: AsyncEngine, drop: Callable[[Any], None], after_s: float
) -> Callable[[], None]:
    """Drop a connection, without a farewell, that somebody uses for longer.

    Answers what drops all that are in use at once.
    """
    late: dict[ConnectionPoolEntry, TimerHandle] = {}

    @event.listens_for(engine.sync_engine, "checkout")
    def _out(_: Any, entry: ConnectionPoolEntry, __: Any) -> None:  # noqa: ANN401 - the driver's own
        loop = get_running_loop()
        late[entry] = loop.call_later(after_s, drop, entry.driver_connection)

    @event.listens_for(engine.sync_engine, "checkin")
    def _back(_: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - as above
        if entry in late:
            late.pop(entry).cancel()

    def drop_all() -> None:
        for entry in list(late):
            drop(entry.driver_connection)

    return drop_all


def _by(ways: Ways | None, connect_args: Mapping[str, Any]) -> dict[str, Any]:
    more = {} if ways is None else {"async_creator_fn": ways.connect}
    return {**connect_args, **more}


def _drop_the_useless(
    engine: AsyncEngine, ways: Ways | None, is_useless: Callable[[BaseException], bool]
) -> None:
    @event.listens_for(engine.sync_engine, "handle_error")
    def _refused(context: ExceptionContext) -> None:
        if not is_useless(context.original_exception):
            return
        context.is_disconnect = True  # and so are those that were made before
        if ways is not None and context.connection is not None:
            driver_connection = context.connection.connection.driver_connection
            ways.was_useless(driver_connection, context.original_exception)


def _watch(engine: AsyncEngine, ways: Ways) -> None:
    watches: dict[ConnectionPoolEntry, Watch] = {}

    @event.listens_for(engine.sync_engine, "checkout")
    def _out(_: Any, entry: ConnectionPoolEntry, __: Any) -> None:  # noqa: ANN401 - the driver's own
        watches[entry] = ways.watch(entry.driver_connection)

    @event.listens_for(engine.sync_engine, "checkin")
    def _back(connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - as above
        if entry in watches:
            watches.pop(entry).end(lives=connection is not None)

    @event.listens_for(engine.sync_engine, "engine_disposed")
    def _disposed(_: Any) -> None:  # noqa: ANN401 - the engine itself
        ways.close()


def _ask_in_doubt(engine: AsyncEngine, doubt: Doubt, ways: Ways | None) -> None:
    @event.listens_for(engine.sync_engine, "handle_error")
    def _broke(context: ExceptionContext) -> None:
        if context.is_disconnect:
            doubt.arises()

    @event.listens_for(engine.sync_engine, "checkin")
    def _back(_: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - the driver's own
        # Whoever used it has seen that it lives. Of several hosts that is not enough: one that was
        # made a standby goes on answering those who read, and is asked every so often what it is.
        if ways is None:
            entry.info["sure_at"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _out(connection: Any, entry: ConnectionPoolEntry, _: Any) -> None:  # noqa: ANN401 - as above
        now = time.monotonic()
        if not doubt.concerns(entry.info.setdefault("sure_at", now)):
            return
        try:
            alive = (
                engine.dialect.do_ping(connection)
                if ways is None
                else connection.run_async(ways.is_usable)
            )
        except Exception as error:
            raise DisconnectionError from error
        if not alive:
            raise DisconnectionError
        entry.info["sure_at"] = now
