"""A transaction as its function sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from .db_errors import Dangling, Duplicate
from .engines import Engine, Meaning


class ReadTx:
    """A consistent view of the database; nothing can be written through it."""

    def __init__(self, connection: AsyncConnection, engine: Engine) -> None:
        self._connection = connection
        self._engine = engine

    async def row(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Row[Any] | None:
        """The first row, or None. `values` are those of the statement's bind parameters."""
        return (await self._connection.execute(statement, values)).first()

    async def rows(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Every row; the caller's statement carries the limit, and names what `values` gives."""
        return (await self._connection.execute(statement, values)).all()

    async def scalar(self, statement: Executable) -> Any:  # noqa: ANN401 - a column of any type
        """The first column of the first row, or None."""
        return await self._connection.scalar(statement)


class Tx(ReadTx):
    """A transaction in progress. It is committed by `transact`, never by who is handed it."""

    async def run(
        self,
        statement: Executable,
        rows: Iterable[Mapping[str, Any]] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
    ) -> int:
        """Execute a write: one statement, or an insert of many rows; answers how many it matched.

        `values` are for what a statement, that was built once and for all, names with bindparam().
        Raises Duplicate when a unique key refuses a row; the transaction is then over.
        """
        try:
            if rows is None:
                return (await self._connection.execute(statement, values)).rowcount
            many = list(rows)
            if many:
                await self._connection.execute(statement, many)
            return len(many)
        except DBAPIError as error:
            meaning = self._engine.meaning(error)
            if meaning is Meaning.DUPLICATE:
                raise Duplicate(str(error.orig)) from error
            if meaning is Meaning.DANGLING:
                raise Dangling(str(error.orig)) from error
            raise
