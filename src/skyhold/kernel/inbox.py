"""The inbox: an event that comes twice, or too late, has its effect once, or none.

A consumer takes the event in the transaction of its effect:

    async def effect(tx: Tx) -> None:
        if await inbox.take(tx, "notifications", event):
            await letters.add(tx, letter)

    await db.transact(effect)

An inbox is two tables: the events that were taken, and for each subject the sequence of the
newest of them. The second one is also the lock on which concurrent transactions queue.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Table,
    and_,
    insert,
    select,
    update,
)

from .columns import Key
from .db import Duplicate, LostRace, ReadTx, Tx
from .messaging import Event


def inbox_table(metadata: MetaData, name: str) -> Table:
    """The inbox of a service, and with it the table `<name>_positions`."""
    Table(
        _positions(name),
        metadata,
        Column("consumer", Key(64), primary_key=True),
        Column("source", Key(64), primary_key=True),
        Column("subject", Key(64), primary_key=True),
        Column("sequence", BigInteger, nullable=False),
        Column("ver", BigInteger, nullable=False),
    )
    return Table(
        name,
        metadata,
        Column("consumer", Key(64), primary_key=True),
        Column("source", Key(64), primary_key=True),
        Column("event_id", Key(64), primary_key=True),
    )


class Taken(NamedTuple):
    """An event, and who takes it."""

    consumer: str
    event: Event

    def __hash__(self) -> int:
        """By the event's id: what it tells of is no key."""
        return hash((self.consumer, self.event.id))

    @property
    def place(self) -> tuple[str, str, str]:
        """Whose position moves: a consumer's, with a subject of a source."""
        return self.consumer, self.event.source, self.event.subject

    def position(self) -> dict[str, object]:
        """The values of the first position."""
        consumer, source, subject = self.place
        where = {"consumer": consumer, "source": source, "subject": subject}
        return where | {"sequence": self.event.sequence, "ver": 1}

    def entry(self) -> dict[str, object]:
        """The values that say it was taken."""
        source, event_id = self.event.source, self.event.id
        return {"consumer": self.consumer, "source": source, "event_id": event_id}


@dataclass(frozen=True, slots=True)
class Inbox:
    """Questions and answers about one inbox."""

    table: Table

    async def take(self, tx: Tx, consumer: str, event: Event) -> bool:
        """True exactly once for each event and consumer, and never after a newer one was taken.

        Newer is a higher sequence of the same source and subject. What this transaction writes
        and the event's being taken are committed together, or neither is.
        """
        if not await self._advance(tx, consumer, event):
            return False
        # Only now, behind the lock on the subject's position: before it, a concurrent
        # transaction could take the same event between this question and our insert.
        if await self._was_taken(tx, consumer, event):
            return False
        await tx.run(
            insert(self.table).values(consumer=consumer, source=event.source, event_id=event.id)
        )
        return True

    async def seen(self, tx: ReadTx, consumer: str, event: Event) -> bool:
        """Whether `take` would say no.

        For an effect outside of the database, which comes first and is noted afterwards: look,
        do it, take.
        """
        positions = self._positions
        newer = select(positions.c.sequence).where(
            _of_subject(positions, consumer, event), positions.c.sequence > event.sequence
        )
        return await tx.scalar(newer) is not None or await self._was_taken(tx, consumer, event)

    async def seen_among(self, tx: ReadTx, taken: Collection[Taken]) -> set[Taken]:
        """Those that `take` would say no to."""
        ahead = await self._sequences(tx, taken)
        table = self.table
        known = await tx.rows(
            select(table.c.consumer, table.c.source, table.c.event_id).where(
                table.c.consumer.in_({one.consumer for one in taken}),
                table.c.source.in_({one.event.source for one in taken}),
                table.c.event_id.in_({one.event.id for one in taken}),
            )
        )
        before = {(row.consumer, row.source, row.event_id) for row in known}
        return {
            one
            for one in taken
            if (one.consumer, one.event.source, one.event.id) in before
            or ahead.get(one.place, one.event.sequence) > one.event.sequence
        }

    async def take_all(self, tx: Tx, taken: Sequence[Taken]) -> None:
        """Take each of them, as far as it was not: what they were taken for is done already."""
        known = await self._sequences(tx, taken)
        first: dict[tuple[str, str, str], Taken] = {}
        for one in taken:
            if one.place in known or one.place in first:
                continue
            first[one.place] = one
        new = set(first.values())
        try:
            await tx.run(insert(self._positions), [one.position() for one in first.values()])
            await tx.run(insert(self.table), [one.entry() for one in first.values()])
        except Duplicate as error:
            raise LostRace from error
        for one in taken:
            if one not in new:
                await self.take(tx, one.consumer, one.event)

    async def _sequences(
        self, tx: ReadTx, taken: Collection[Taken]
    ) -> dict[tuple[str, str, str], int]:
        """How far each consumer is with each subject that it has heard of."""
        positions = self._positions
        rows = await tx.rows(
            select(
                positions.c.consumer, positions.c.source, positions.c.subject, positions.c.sequence
            ).where(
                positions.c.consumer.in_({one.consumer for one in taken}),
                positions.c.source.in_({one.event.source for one in taken}),
                positions.c.subject.in_({one.event.subject for one in taken}),
            )
        )
        return {(row.consumer, row.source, row.subject): row.sequence for row in rows}

    async def _advance(self, tx: Tx, consumer: str, event: Event) -> bool:
        """Move the subject's position up to this event; False when it is ahead already."""
        positions = self._positions
        subject = _of_subject(positions, consumer, event)
        # `ver` makes every match a change: MySQL counts rows that changed, and a repeat of the
        # newest event sets the sequence that is there.
        moved = await tx.run(
            update(positions)
            .where(subject, positions.c.sequence <= event.sequence)
            .values(sequence=event.sequence, ver=positions.c.ver + 1)
        )
        if moved:
            return True
        found = await tx.scalar(select(positions.c.sequence).where(subject))
        if found is not None:
            if found <= event.sequence:  # written since the update looked for it
                raise LostRace
            return False
        first = insert(positions).values(
            consumer=consumer,
            source=event.source,
            subject=event.subject,
            sequence=event.sequence,
            ver=1,
        )
        try:
            await tx.run(first)
        except Duplicate as error:
            raise LostRace from error
        return True

    @property
    def _positions(self) -> Table:
        return self.table.metadata.tables[_positions(self.table.name)]

    async def _was_taken(self, tx: ReadTx, consumer: str, event: Event) -> bool:
        table = self.table
        taken = select(table.c.event_id).where(
            table.c.consumer == consumer,
            table.c.source == event.source,
            table.c.event_id == event.id,
        )
        return await tx.scalar(taken) is not None


def _of_subject(positions: Table, consumer: str, event: Event) -> ColumnElement[bool]:
    return and_(
        positions.c.consumer == consumer,
        positions.c.source == event.source,
        positions.c.subject == event.subject,
    )


def _positions(name: str) -> str:
    return f"{name}_positions"
