"""Counters of limits, in our own database: what is counted holds for every process."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from limits.aio.storage import Storage
from sqlalchemy import Table, delete, insert, select, update

from .clock import Clock
from .db import Database, Duplicate, LostRace, Tx
from .errors import Problem


class DatabaseCounters(Storage):
    """A storage for the library `limits`.

    `table` has a `key` (SHA-256 in hex, so that no address or e-mail is kept), `hits` and
    `expires_at`. A transaction whose commit is not heard of may count twice, never not at all.
    """

    STORAGE_SCHEME = None

    def __init__(self, db: Database, table: Table, clock: Clock) -> None:
        super().__init__()
        self._db = db
        self._table = table
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        """What goes wrong here is a Problem of our own."""
        return Problem

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count; a window begins with its first hit and lasts `expiry` seconds."""
        table, kept = self._table, _kept(key)
        this = table.c.key == kept

        async def count(tx: Tx) -> int:
            now = self._clock.now()
            begun = {"hits": amount, "expires_at": now + timedelta(seconds=expiry)}
            going_on = update(table).where(this, table.c.expires_at > now)
            over = update(table).where(this, table.c.expires_at <= now)
            if not await tx.run(going_on.values(hits=table.c.hits + amount)) and not await tx.run(
                over.values(**begun)
            ):
                try:
                    await tx.run(insert(table).values(key=kept, **begun))
                except Duplicate as error:
                    raise LostRace from error
            hits: int = await tx.scalar(select(table.c.hits).where(this))
            return hits

        return await self._db.transact(count)

    async def get(self, key: str) -> int:
        """What has been counted in the present window."""
        table = self._table
        found = select(table.c.hits).where(
            table.c.key == _kept(key), table.c.expires_at > self._clock.now()
        )
        async with self._db.read() as tx:
            return await tx.scalar(found) or 0

    async def get_expiry(self, key: str) -> float:
        """When the present window ends (Unix time)."""
        table = self._table
        async with self._db.read() as tx:
            ends = await tx.scalar(select(table.c.expires_at).where(table.c.key == _kept(key)))
        return (ends or self._clock.now()).timestamp()

    async def check(self) -> bool:
        """It is as well as the database."""
        return True

    async def reset(self) -> int | None:
        """Forget everything."""
        return await self._db.transact(lambda tx: tx.run(delete(self._table)))

    async def clear(self, key: str) -> None:
        """Forget one counter."""
        gone = delete(self._table).where(self._table.c.key == _kept(key))
        await self._db.transact(lambda tx: tx.run(gone))

    async def purge(self, limit: int) -> int:
        """Delete up to `limit` counters whose window is over; answers how many there were."""
        table, now = self._table, self._clock.now()
        over = select(table.c.key).where(table.c.expires_at <= now).limit(limit)
        async with self._db.read() as tx:
            keys = [row.key for row in await tx.rows(over)]
        if keys:
            gone = delete(table).where(table.c.key.in_(keys), table.c.expires_at <= now)
            await self._db.transact(lambda tx: tx.run(gone))
        return len(keys)


def _kept(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
