"""Leases: of several processes one does a piece of work, until it stops or falls silent.

A lease saves work, and repeats on the wire; nothing may depend on its holder being the only one.
Clocks that disagree, or a process that slept, can make it two for a moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Column, MetaData, Table, insert, or_, select, update

from .clock import Clock
from .columns import Instant, Key
from .db import Database, Duplicate, LostRace, Tx
from .errors import Unavailable
from .ids import new_id
from .logging import get_logger

log = get_logger(__name__)


def lease_table(metadata: MetaData, name: str) -> Table:
    """The leases of a service, one row for each piece of work."""
    return Table(
        name,
        metadata,
        Column("work", Key(64), primary_key=True),
        Column("holder", Key(36), nullable=False),
        Column("until", Instant, nullable=False),
        Column("ver", BigInteger, nullable=False),
    )


@dataclass(slots=True)
class Lease:
    """One process's claim to a piece of work."""

    db: Database
    table: Table
    work: str
    clock: Clock
    ttl_s: float
    holder: str = field(default_factory=new_id)
    _until: datetime | None = field(default=None, init=False)

    async def is_ours(self) -> bool:
        """Whether this process should do the work now; renewed when half of it is over."""
        now = self.clock.now()
        if self._until is not None and now < self._until - timedelta(seconds=self.ttl_s / 2):
            return True
        async with self.db.read() as tx:  # most of those who ask in vain need not write for it
            taken = await tx.row(select(self.table).where(self.table.c.work == self.work))
        if taken is not None and taken.holder != self.holder and now < taken.until:
            self._until = None
            return False
        until = now + timedelta(seconds=self.ttl_s)
        ours = await self.db.transact(lambda tx: self._take(tx, now, until))
        self._until = until if ours else None
        return ours

    async def give_up(self) -> None:
        """Let another process have it at once."""
        if self._until is None:
            return
        self._until = None
        table = self.table
        mine = (table.c.work == self.work) & (table.c.holder == self.holder)
        over = self.clock.now()
        try:
            await self.db.transact(
                lambda tx: tx.run(update(table).where(mine).values(until=over, ver=table.c.ver + 1))
            )
        except Unavailable as error:  # it runs out by itself
            log.info("lease.not_given_up", work=self.work, error=error.code)

    async def _take(self, tx: Tx, now: datetime, until: datetime) -> bool:
        table = self.table
        values = {"holder": self.holder, "until": until}
        free = or_(table.c.holder == self.holder, table.c.until <= now)
        taken = await tx.run(
            update(table)
            .where(table.c.work == self.work, free)
            .values(**values, ver=table.c.ver + 1)
        )
        if taken:
            return True
        found = select(table.c.work).where(table.c.work == self.work)
        if await tx.scalar(found) is not None:
            return False
        try:
            await tx.run(insert(table).values(work=self.work, **values, ver=1))
        except Duplicate as error:
            raise LostRace from error
        return True
