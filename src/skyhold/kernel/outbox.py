"""The outbox: what happened is written with the change itself, and told to others afterwards.

An event is inserted in the transaction of its cause, so there is never one without the other. The
relay tells it, see `relay`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    MetaData,
    Row,
    Table,
    insert,
    select,
    update,
)
from structlog.contextvars import get_contextvars

from . import tracing
from .columns import Instant, Key
from .db import ReadTx, Tx
from .logging import get_logger
from .messaging import Event

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
        Column("request_id", Key(64)),
        Column("traceparent", Key(55)),
        Column("occurred_at", Instant, nullable=False),
        Column("published_at", Instant),
    )
    Index(f"ix_{name}_unpublished", table.c.published_at, table.c.id)
    Index(f"ix_{name}_subject", table.c.subject, table.c.sequence)
    return table


class Outbox:
    """Questions and answers about one outbox table; `source` is the service that tells of it."""

    def __init__(self, table: Table, source: str) -> None:
        self._table = table
        self._add = insert(table)
        self.source = source

    async def add(self, tx: Tx, *events: Event) -> None:
        """Write events; they are published if and only if this transaction commits.

        An event that does not say in the course of which request it happened did so in this one.
        """
        request_id = get_contextvars().get("request_id")
        traceparent = tracing.current_traceparent()
        rows = [
            _row(event)
            | {
                "request_id": event.request_id or request_id,
                "traceparent": event.traceparent or traceparent,
            }
            for event in events
        ]
        await tx.run(self._add, rows)

    async def unpublished(
        self, tx: ReadTx, limit: int, *, but_not: Collection[str] = ()
    ) -> list[Event]:
        """The oldest events that nobody has been told, of one subject always in sequence.

        Those of the subjects in `but_not` are left out.

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
        if but_not:
            oldest = oldest.where(table.c.subject.not_in(but_not))
        place: dict[str, int] = {}
        for row in await tx.rows(oldest):
            place.setdefault(row.subject, len(place))
        rows = await tx.rows(
            select(table).where(table.c.published_at.is_(None), table.c.subject.in_(place))
        )
        events = [self._event(row) for row in rows]
        in_turn = sorted(events, key=lambda event: (place[event.subject], event.sequence))
        return in_turn[:limit]

    async def about(self, tx: ReadTx, subject: str, limit: int) -> list[Event]:
        """What happened to one subject, from the beginning, whether it has been told or not."""
        table = self._table
        rows = await tx.rows(
            select(table).where(table.c.subject == subject).order_by(table.c.sequence).limit(limit)
        )
        return [self._event(row) for row in rows]

    async def mark_published(self, tx: Tx, ids: Iterable[str], at: datetime) -> int:
        """Remember that these were confirmed."""
        table = self._table
        return await tx.run(
            update(table)
            .where(table.c.id.in_(list(ids)), table.c.published_at.is_(None))
            .values(published_at=at)
        )

    def _event(self, row: Row[Any]) -> Event:
        return Event(
            id=row.id,
            type=row.type,
            subject=row.subject,
            sequence=row.sequence,
            data=row.data,
            occurred_at=row.occurred_at,
            source=self.source,
            request_id=row.request_id,
            traceparent=row.traceparent,
        )


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
