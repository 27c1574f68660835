"""What a database's schema is, so that two of them can be compared."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect
from sqlalchemy.engine import Connection

from skyhold.kernel.db import Database
from skyhold.kernel.engines import galera
from skyhold.kernel.migrations import History


def differences(connection: Connection, history: History, metadata: MetaData) -> list[Any]:
    """What Alembic would change to bring this database to the models."""
    ours = set(metadata.tables)
    options = {
        "compare_type": True,
        "compare_server_default": False,
        "version_table": history.version_table,
        "include_name": lambda name, kind, _: kind != "table" or name in ours,
    }
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def shape(connection: Connection) -> dict[str, Any]:
    """Every table with its columns, and everything that the database itself refuses."""
    found = inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), _collation(column), column["nullable"])
                for column in sorted(found.get_columns(table), key=lambda each: each["name"])
            ],
            "checks": sorted(
                (check["name"], " ".join(check["sqltext"].split()))
                for check in found.get_check_constraints(table)
            ),
            "unique": sorted(
                (key["name"], *key["column_names"]) for key in found.get_unique_constraints(table)
            ),
            "keys": sorted(
                (*key["constrained_columns"], key["referred_table"], *key["referred_columns"])
                for key in found.get_foreign_keys(table)
            ),
            "primary": found.get_pk_constraint(table)["constrained_columns"],
            "indexes": sorted(
                (index["name"], bool(index["unique"]), *index["column_names"])
                for index in found.get_indexes(table)
            ),
        }
        for table in found.get_table_names()
        if table != galera.TABLE  # of whoever migrates a cluster
    }


def _collation(column: Any) -> str | None:
    return getattr(column["type"], "collation", None)


async def downgrade(db: Database, history: History, to: str = "base") -> None:
    """Take the schema down again."""
    await db.run_sync(lambda connection: command.downgrade(history.config(connection), to))


async def upgrade(db: Database, history: History, to: str) -> None:
    """Bring the schema up, but not further than `to`."""
    await db.run_sync(lambda connection: command.upgrade(history.config(connection), to))


MIGRATE = """
import asyncio, os, pathlib, sys
from skyhold.kernel.db import Database
from skyhold.kernel.migrations import History

service, folder, url = sys.argv[1:]
history = History(service, pathlib.Path(folder))
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        asyncio.run(history.upgrade(Database(url)))
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def migrate_at_once(history: History, url: str) -> None:
    """Let three processes migrate the same database at the same moment."""
    ended = subprocess.run(
        [sys.executable, "-c", MIGRATE, history.service, history.folder, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
