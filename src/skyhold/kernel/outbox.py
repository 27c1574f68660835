"""The outbox: what happened is written with the change itself, and told to others afterwards.

An event is inserted in the transaction of its cause, so there is never one without the other. The
relay publishes what is unpublished and marks what the bus confirmed; dying between the two means
the event goes out twice, never not at all. Consumers tell repeats by the event's id. What the bus
refuses comes again after a pause, and holds up nothing but what follows it of the same subject.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
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
from structlog.contextvars import bound_contextvars, get_contextvars

from . import metrics, tracing
from .clock import Clock
from .columns import Instant, Key
from .db import Database, ReadTx, Tx
from .logging import get_logger
from .messaging import Bus, Event

log = get_logger(__name__)

REFUSED_IN_A_ROW_MAX = 8
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 60.0
DOUBLINGS_MAX = 12
RESTING_MAX = 500


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
        await tx.run(insert(self._table), rows)

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


@dataclass(slots=True)
class Relay:
    """Carries events from the outbox to the bus.

    Events of one subject go one after the other, those of different subjects as many at once as
    the bus has lanes for.
    """

    db: Database
    outbox: Outbox
    bus: Bus
    clock: Clock
    round_max: int
    _resting: dict[str, _Rest] = field(default_factory=dict, init=False)
    _in_trouble: bool = field(default=False, init=False)
    _metrics: metrics.Published = field(init=False)

    def __post_init__(self) -> None:
        self._metrics = metrics.Published(self.outbox.source.rpartition("/")[2])

    async def run_once(self) -> int:
        """Publish at most `round_max` events; the number of those that the bus confirmed."""
        resting = self._rests()
        if len(resting) >= RESTING_MAX:
            return 0
        async with self.db.read() as tx:
            events = await self.outbox.unpublished(tx, self.round_max, but_not=resting)
        if events and not self.bus.connected:
            self._note_trouble(len(events))
            return 0
        a_round = _Round(self.bus, events)
        await a_round.run()
        return await self._settle(a_round)

    async def _settle(self, a_round: _Round) -> int:
        """Remember what became of the events of a round."""
        if not a_round.confirmed and not a_round.refused:
            return 0
        at = self.clock.now()
        for event in a_round.confirmed:
            self._resting.pop(event.subject, None)
            self._metrics.published((at - event.occurred_at).total_seconds())
        for event in a_round.refused:
            self._resting[event.subject] = self._resting.get(event.subject, _Rest(at)).longer(at)
            self._metrics.refused()
        if a_round.refused:
            self._note_trouble(len(a_round.refused))
        elif self._in_trouble and not self._resting:
            self._in_trouble = False
            log.info("events.published_again")
        if a_round.confirmed:
            ids = [event.id for event in a_round.confirmed]
            await self.db.transact(lambda tx: self.outbox.mark_published(tx, ids, at))
        return len(a_round.confirmed)

    def _rests(self) -> list[str]:
        """The subjects whose turn has not come again yet."""
        if not self._resting:
            return []
        now = self.clock.now()
        # What was refused here another relay may have published: who is long overdue is forgotten.
        self._resting = {
            subject: rest for subject, rest in self._resting.items() if not rest.is_over(now)
        }
        return [subject for subject, rest in self._resting.items() if now < rest.until]

    def _note_trouble(self, refused: int) -> None:
        """Say it once, when it begins."""
        if not self._in_trouble:
            self._in_trouble = True
            log.warning("events.not_published", count=refused, connected=self.bus.connected)


@dataclass(frozen=True, slots=True)
class _Rest:
    """A subject whose event was refused `times` in a row: the next attempt is not before `until`.

    The first one is at once, in the next round.
    """

    until: datetime
    times: int = 0

    def longer(self, now: datetime) -> _Rest:
        pause_s = PAUSE_FIRST_S * 2 ** min(self.times - 1, DOUBLINGS_MAX) if self.times else 0
        return _Rest(now + timedelta(seconds=min(PAUSE_MAX_S, pause_s)), self.times + 1)

    def is_over(self, now: datetime) -> bool:
        return now > self.until + timedelta(seconds=2 * PAUSE_MAX_S)


class _Round:
    """Publishes some events, until all are told or it looks as if the bus took none at all."""

    def __init__(self, bus: Bus, events: Iterable[Event]) -> None:
        self._bus = bus
        self._stories = deque(list(story) for _, story in groupby(events, attrgetter("subject")))
        self._refused_in_a_row = 0
        self.confirmed: list[Event] = []
        self.refused: list[Event] = []

    async def run(self) -> None:
        lanes = min(self._bus.lanes, len(self._stories))
        await asyncio.gather(*(self._tell() for _ in range(lanes)))

    async def _tell(self) -> None:
        while self._stories and self._refused_in_a_row < REFUSED_IN_A_ROW_MAX:
            await self._tell_story(self._stories.popleft())

    async def _tell_story(self, story: list[Event]) -> None:
        """What happened to one subject.

        Once the bus did not take an event, what comes after it waits too: nobody is told of a
        confirmation before the booking.
        """
        for event in story:
            if not await self._publish(event):
                self.refused.append(event)
                self._refused_in_a_row += 1
                return
            self.confirmed.append(event)
            self._refused_in_a_row = 0

    async def _publish(self, event: Event) -> bool:
        request = (
            nullcontext()
            if event.request_id is None
            else bound_contextvars(request_id=event.request_id)
        )
        with (
            request,
            tracing.continue_from(event.traceparent),
            tracing.span(f"publish {event.type}", "producer", **{"messaging.message.id": event.id}),
        ):
            try:
                return await self._bus.publish(event)
            except Exception as error:  # noqa: BLE001 - it comes again, and is not told each time
                log.debug("event.not_published", id=event.id, type=event.type, error=repr(error))
                return False


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
