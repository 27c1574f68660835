"""What every engine has to answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections one process opens, and how long anything may take, in seconds."""

    readers_max: int
    writers_max: int
    wait_s: float
    statement_s: float

    @property
    def run_s(self) -> float:
        """A server that has stopped answering must not keep us: a little after its own limit."""
        return self.statement_s + self.wait_s


@dataclass(frozen=True, slots=True)
class Pools:
    """Connections that write, and connections that can do nothing but read."""

    writer: AsyncEngine
    reader: AsyncEngine
    # Drops every connection that writes just now, so that its server is not told to stop.
    drop_writers: Callable[[], None] = lambda: None


def pool_of(engine: AsyncEngine) -> QueuePool:
    """The connections of one of them."""
    pool = engine.pool
    assert isinstance(pool, QueuePool), "every engine is given a queue of connections"
    return pool


class Meaning(Enum):
    """What a driver's error means to whoever ran the statement."""

    DUPLICATE = auto()  # a unique key refused a row
    DANGLING = auto()  # a foreign key refused a row
    CONFLICT = auto()  # others were in the way: run the whole function again
    UNWELL = auto()  # it cannot be written just now, and running it again will not help
    LOST = auto()  # the connection is gone, and with it the answer
    OTHER = auto()  # a mistake of ours


@dataclass(frozen=True, slots=True)
class Unsafe:
    """A setting of the database server under which a promise of ours does not hold."""

    setting: str
    value: str
    wanted: str
    because: str


class Engine(Protocol):
    """One kind of database."""

    # Whether it is a server that may stop answering, or a file of this machine.
    is_server: bool

    def pools(self, url: URL, limits: Limits) -> Pools:
        """Engines whose connections are configured as PROTOCOL asks; none is opened yet."""
        ...

    def migrator(self, url: URL) -> AsyncEngine:
        """An engine for schema changes: one connection, without limits on statements."""
        ...

    def changing_schema(self, connection: Connection, name: str) -> AbstractContextManager[object]:
        """A transaction during which nobody else changes the schema `name`."""
        ...

    def meaning(self, error: DBAPIError) -> Meaning:
        """What the error means, by the driver's own code."""
        ...

    def unsafe(self, connection: Connection) -> list[Unsafe]:
        """The server's settings that are not safe."""
        ...
