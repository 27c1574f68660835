"""The outbox: what happened is written with the change itself, and told to others afterwards.

An event is inserted in the transaction of its cause, so there is never one without the other. The
relay publishes what is unpublished and marks what the bus confirmed; dying between the two means
the event goes out twice, never not at all. Consumers tell repeats by the event's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    MetaData,
    Table,
    insert,
    select,
    update,
)

from .clock import Clock
from .columns import Instant, Key
from .db import Database, ReadTx, Tx
from .logging import get_logger
from .messaging import Bus, Event

log = get_logger(__name__)


def outbox_table(metadata: MetaData, name: str) -> Table:
    """The outbox of a service. Ids are UUIDv7, so nothing counts up on the hot path."""
    table = Table(
        name,
        metadata,
        Column("id", Key(36), primary_key=True),
        Column("type", Key(64), nullable=False),
        Column("subject", Key(36), nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("data", JSON, nullable=False),
        Column("occurred_at", Instant, nullable=False),
        Column("published_at", Instant),
    )
    Index(f"ix_{name}_unpublished", table.c.published_at, table.c.id)
    Index(f"ix_{name}_subject", table.c.subject, table.c.sequence)
    return table


class Outbox:
    """Questions and answers about one outbox table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, tx: Tx, *events: Event) -> None:
        """Write events; they are published if and only if this transaction commits."""
        await tx.run(insert(self._table), [_row(event) for event in events])

    async def unpublished(self, tx: ReadTx, limit: int) -> list[Event]:
        """The oldest events that nobody has been told, of one subject always in sequence.

        Not "id greater than the last one": ids commit out of order. And not by id within a subject
        either: another process's clock may have given a later event a smaller one. So the oldest
        ids say whose turn it is, and each subject is told from its first untold event on.
        """
        table = self._table
        oldest = (
            select(table.c.subject, table.c.id)
            .where(table.c.published_at.is_(None))
            .order_by(table.c.id)
            .limit(limit)
        )
        place: dict[str, int] = {}
        for row in await tx.rows(oldest):
            place.setdefault(row.subject, len(place))
        rows = await tx.rows(
            select(table).where(table.c.published_at.is_(None), table.c.subject.in_(place))
        )
        events = [
            Event(row.id, row.type, row.subject, row.sequence, row.data, row.occurred_at)
            for row in rows
        ]
        in_turn = sorted(events, key=lambda event: (place[event.subject], event.sequence))
        return in_turn[:limit]

    async def mark_published(self, tx: Tx, ids: Iterable[str], at: datetime) -> int:
        """Remember that these were confirmed."""
        table = self._table
        return await tx.run(
            update(table)
            .where(table.c.id.in_(list(ids)), table.c.published_at.is_(None))
            .values(published_at=at)
        )


@dataclass(frozen=True, slots=True)
class Relay:
    """Carries events from the outbox to the bus."""

    db: Database
    outbox: Outbox
    bus: Bus
    clock: Clock
    round_max: int

    async def run_once(self) -> int:
        """Publish at most `round_max` events; the number of those that the bus confirmed."""
        async with self.db.read() as tx:
            events = await self.outbox.unpublished(tx, self.round_max)
        confirmed = await self._publish(events)
        if not confirmed:
            return 0
        at = self.clock.now()
        await self.db.transact(lambda tx: self.outbox.mark_published(tx, confirmed, at))
        return len(confirmed)

    async def _publish(self, events: Iterable[Event]) -> list[str]:
        """The ids of the events that the bus took.

        Once it did not take one, what comes after it of the same subject waits too: nobody is told
        of a confirmation before the booking.
        """
        confirmed: list[str] = []
        stalled: set[str] = set()
        for event in events:
            if event.subject in stalled:
                continue
            try:
                taken = await self.bus.publish(event)
            except Exception:
                log.exception("event.not_published", id=event.id, type=event.type)
                taken = False
            if taken:
                confirmed.append(event.id)
            else:
                stalled.add(event.subject)
        return confirmed


def _row(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "subject": event.subject,
        "sequence": event.sequence,
        "data": dict(event.data),
        "occurred_at": event.occurred_at,
        "published_at": None,
    }
