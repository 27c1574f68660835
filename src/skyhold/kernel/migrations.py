"""Alembic, driven from inside the process: one history per service."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, String, column, inspect, select, table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from .db import Database, DatabaseBusy


class SchemaState(Enum):
    """How a database's schema compares with the one this version wants."""

    EMPTY = auto()
    OLD = auto()
    CURRENT = auto()
    NEWER = auto()


@dataclass(frozen=True, slots=True)
class History:
    """Where a service's migrations are, and the table that remembers how far a database is."""

    service: str
    folder: Path

    @property
    def version_table(self) -> str:
        """One per service, so that two services could share a database."""
        return f"{self.service}_schema_version"

    def config(self, connection: Connection | None = None) -> Config:
        """What Alembic wants to know."""
        config = Config()
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        config.attributes["version_table"] = self.version_table
        return config

    async def upgrade(self, db: Database) -> None:
        """Bring the database to this version's schema. Doing it again changes nothing.

        Two histories at once are for two processes: Alembic keeps its context in a global.
        """

        def upgrade(connection: Connection) -> None:
            command.upgrade(self.config(connection), "head")

        # Of several processes that start together one migrates, and the others find it done.
        await db.run_sync(upgrade, lock=self.version_table)

    async def state(self, db: Database) -> SchemaState:
        """Where the database stands. Raises what the database raises when it cannot be asked."""
        return await db.run_sync(self._state)

    async def is_current(self, db: Database) -> bool:
        """Whether the database answers and has this version's schema, or a newer one.

        A newer one is what an old process finds during an upgrade: migrations only add, so it goes
        on working until its turn has come.
        """
        version = column("version_num", String)
        try:
            async with db.read() as tx:
                rows = await tx.rows(select(version).select_from(table(self.version_table)))
        except (DBAPIError, DatabaseBusy):
            return False
        here = {row.version_num for row in rows}
        return here == _heads(self.folder) or bool(here - _known(self.folder))

    def _state(self, connection: Connection) -> SchemaState:
        if not inspect(connection).has_table(self.version_table):
            return SchemaState.EMPTY
        version = column("version_num", String)
        rows = connection.execute(select(version).select_from(table(self.version_table)))
        here = {row.version_num for row in rows}
        if here == _heads(self.folder):
            return SchemaState.CURRENT
        if not here:
            return SchemaState.EMPTY
        return SchemaState.OLD if here <= _known(self.folder) else SchemaState.NEWER


@cache
def _heads(folder: Path) -> frozenset[str]:
    return frozenset(_script(folder).get_heads())


@cache
def _known(folder: Path) -> frozenset[str]:
    return frozenset(script.revision for script in _script(folder).walk_revisions())


def _script(folder: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(History("", folder).config())


def run(context: EnvironmentContext, metadata: MetaData) -> None:
    """What every env.py does: migrate over the connection it was handed."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        target_metadata=metadata,
        version_table=attributes["version_table"],
    )
    with context.begin_transaction():
        context.run_migrations()
