"""What the two database servers have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from .engine import Limits

CONNECT_S = 5.0
# A connection that nobody used for so long is asked whether it still lives before it is handed
# out: a server that was restarted, or a firewall, may have ended it.
IDLE_S = 5.0


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

    def concerns(self, idle_since: float) -> bool:
        """Whether a connection nobody used since then has to be asked if it lives."""
        return idle_since <= max(self._since, time.monotonic() - IDLE_S)


def pooled(
    url: URL,
    limits: Limits,
    *,
    size: int,
    isolation: str,
    connect_args: Mapping[str, Any],
    doubt: Doubt,
    **more: Any,  # noqa: ANN401 - what create_async_engine takes
) -> AsyncEngine:
    """An engine with at most `size` connections; one that is waited for too long is not had."""
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=limits.wait_s,
        pool_use_lifo=True,  # the rest may grow old, and their server may have them back
        isolation_level=isolation,
        connect_args=dict(connect_args),
        hide_parameters=True,  # they are people's data, and errors go to the log
        **more,
    )
    _ask_in_doubt(engine, doubt)
    return engine


def single(url: URL, *, connect_args: Mapping[str, Any]) -> AsyncEngine:
    """An engine for one connection that is closed after its use."""
    return create_async_engine(
        url, poolclass=NullPool, connect_args=dict(connect_args), hide_parameters=True
    )


def _ask_in_doubt(engine: AsyncEngine, doubt: Doubt) -> None:
    @event.listens_for(engine.sync_engine, "handle_error")
    def _broke(context: ExceptionContext) -> None:
        if context.is_disconnect:
            doubt.arises()

    @event.listens_for(engine.sync_engine, "checkin")
    def _back(_: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - the driver's own
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _out(connection: Any, entry: ConnectionPoolEntry, _: Any) -> None:  # noqa: ANN401 - as above
        idle_since = entry.info.get("idle_since")
        if idle_since is None or not doubt.concerns(idle_since):
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except Exception as error:
            raise DisconnectionError from error
        if not alive:
            raise DisconnectionError
