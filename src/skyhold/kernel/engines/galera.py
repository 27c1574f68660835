"""What only a Galera cluster needs: a lock that is one for all of its nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from skyhold.kernel.ids import new_id

TABLE = "skyhold_schema_lock"
WAIT_S = 60
# Whoever dies with the lock keeps the others out for so long, or until somebody deletes its row.
LEASE_S = 900
_TAKEN = {1062, 1205, 1213}  # it is there; it is being written; another node was quicker
_MAKE = text(
    "CREATE TABLE IF NOT EXISTS skyhold_schema_lock (name VARCHAR(64) NOT NULL PRIMARY KEY,"
    " holder VARCHAR(36) NOT NULL, until_at DATETIME(6) NOT NULL)"
)
_TAKE_OVER = text(
    "UPDATE skyhold_schema_lock"
    " SET holder = :holder, until_at = UTC_TIMESTAMP(6) + INTERVAL :lease_s SECOND"
    " WHERE name = :name AND until_at < UTC_TIMESTAMP(6)"
)
_TAKE = text(
    "INSERT INTO skyhold_schema_lock"
    " VALUES (:name, :holder, UTC_TIMESTAMP(6) + INTERVAL :lease_s SECOND)"
)
_GIVE_BACK = text("DELETE FROM skyhold_schema_lock WHERE name = :name AND holder = :holder")
_PAUSE = text("SELECT SLEEP(0.25)")  # the server sleeps, and nobody here


class Locked(Exception):
    """Somebody else has had the lock for as long as one waits for it."""


def is_one(connection: Connection) -> bool:
    """Whether this server is a node of a cluster."""
    asked = text("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_provider')")
    found = {str(row[0]).lower(): str(row[1]) for row in connection.execute(asked)}
    return found.get("wsrep_on") == "ON" and found.get("wsrep_provider", "none") != "none"


@contextmanager
def locked(connection: Connection, name: str) -> Iterator[None]:
    """Nobody else is in here under this name, at whichever node. Raises Locked.

    GET_LOCK and the locks of rows are a node's own; what holds everywhere is a row that was
    committed. (A streamed transaction would keep its row locked on every node, and go with its
    connection. But schema changes beside one made a node hang, with MariaDB 10.11.)
    """
    if not inspect(connection).has_table(TABLE):
        connection.execute(_MAKE)
    connection.commit()
    mine = {"name": name, "holder": new_id(), "lease_s": LEASE_S}
    with connection.engine.connect() as keeper:
        give_up_at = time.monotonic() + WAIT_S
        while not _taken(keeper, mine):
            if time.monotonic() > give_up_at:
                raise Locked
            keeper.execute(_PAUSE)
            keeper.rollback()
        try:
            yield
        finally:
            keeper.execute(_GIVE_BACK, {"name": name, "holder": mine["holder"]})
            keeper.commit()


def _taken(keeper: Connection, mine: Mapping[str, object]) -> bool:
    """Whether it is ours now: the row is written, and COMMIT returned."""
    try:
        if not keeper.execute(_TAKE_OVER, mine).rowcount:
            keeper.execute(_TAKE, mine)
        keeper.commit()
    except DBAPIError as error:
        if getattr(error.orig, "args", (None,))[0] not in _TAKEN:
            raise
        with suppress(DBAPIError):  # where another node was quicker, ROLLBACK too says 1213
            keeper.rollback()
        return False
    return True
