"""Sorting more than fits into memory: records go in as they come, and out in the order of keys."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

Record = tuple[str, str]


class Spool:
    """Records of a key and a text, on disk while there are many; gone when it is closed.

    Equal ones are one; those of one key come in the order of their texts. For one task at a time.
    """

    def __init__(self) -> None:
        # SQLite's name for a database of nobody else's: it lives in a file that has no name, from
        # the moment on that the cache of two megabytes is full.
        self._file = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA cache_size = -2000")
        self._file.execute("CREATE TABLE record (key, text, PRIMARY KEY (key, text)) WITHOUT ROWID")

    async def add(self, records: Sequence[Record]) -> None:
        """Take these in."""
        await asyncio.to_thread(self._add, records)

    async def page(self, after: Record | None, limit: int) -> list[Record]:
        """The next records in the order of their keys."""
        return await asyncio.to_thread(self._page, after, limit)

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def _add(self, records: Sequence[Record]) -> None:
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR IGNORE INTO record VALUES (?, ?)", records)
        self._file.execute("COMMIT")

    def _page(self, after: Record | None, limit: int) -> list[Record]:
        found = "SELECT key, text FROM record WHERE (key, text) > (?, ?) ORDER BY key, text LIMIT ?"
        return self._file.execute(found, (*(after or ("", "")), limit)).fetchall()
