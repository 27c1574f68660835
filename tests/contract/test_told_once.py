"""The outbox and the inbox: told in order, taken once, on every engine."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from contract_stage import NOTES, note
from sqlalchemy import delete, insert

from skyhold.booking.models.tables import INBOX, OUTBOX
from skyhold.kernel.db import LostRace
from skyhold.kernel.ids import new_id
from skyhold.kernel.inbox import Inbox
from skyhold.kernel.messaging import Event
from skyhold.kernel.outbox import Outbox

AT = datetime(2080, 1, 1, 12, tzinfo=UTC)
SOURCE = "/skyhold/booking"


def an_event(subject="s", sequence=1, **more):
    fields = {
        "id": new_id(),
        "type": "booking.held",
        "subject": subject,
        "sequence": sequence,
        "data": {"name": "Zoë \N{AIRPLANE}", "total": None},
        "occurred_at": AT,
        "source": SOURCE,
    }
    return Event(**fields | more)


@pytest.fixture
async def outbox(db):
    await db.transact(lambda tx: tx.run(delete(OUTBOX)))
    return Outbox(OUTBOX, SOURCE)


async def untold(db, outbox, limit=10):
    async with db.read() as tx:
        return await outbox.unpublished(tx, limit)


async def test_an_event_comes_back_as_it_was_written(db, outbox):
    event = an_event(request_id="r" * 64, traceparent="t" * 55)
    await db.transact(lambda tx: outbox.add(tx, event))
    assert await untold(db, outbox) == [event]


async def test_of_one_subject_events_come_in_sequence_whatever_their_ids(db, outbox):
    ids = sorted(new_id() for _ in range(4))
    events = [
        an_event("x", 2, id=ids[0]),
        an_event("y", 1, id=ids[1]),
        an_event("x", 1, id=ids[3]),
        an_event("y", 2, id=ids[2]),
    ]
    await db.transact(lambda tx: outbox.add(tx, *events))
    told = [(event.subject, event.sequence) for event in await untold(db, outbox)]
    assert told == [("x", 1), ("x", 2), ("y", 1), ("y", 2)]
    assert [event.sequence for event in await untold(db, outbox, limit=1)] == [1]


async def test_an_event_of_a_transaction_that_failed_was_never_there(db, outbox):
    async def work(tx):
        await outbox.add(tx, an_event())
        raise LookupError

    with pytest.raises(LookupError):
        await db.transact(work)
    assert await untold(db, outbox) == []


async def test_what_is_confirmed_is_marked_once(connect, db, outbox):
    events = [an_event(str(nth)) for nth in range(6)]
    await db.transact(lambda tx: outbox.add(tx, *events))
    replicas, ids = (db, connect()), [event.id for event in events[:4]]
    marked = await asyncio.gather(
        *(
            replicas[nth % 2].transact(lambda tx: outbox.mark_published(tx, ids, AT))
            for nth in range(6)
        )
    )
    assert sorted(marked) == [0, 0, 0, 0, 0, 4]
    assert await untold(db, outbox) == events[4:]


# --- taken once ------------------------------------------------------------------------------


@pytest.fixture
async def inbox(db, rows):
    positions = INBOX.metadata.tables[f"{INBOX.name}_positions"]
    for table in (INBOX, positions):
        await db.transact(lambda tx, table=table: tx.run(delete(table)))
    return Inbox(INBOX)


def effect(inbox, event, consumer="c"):
    """Take the event, and leave a note of it in the same transaction."""

    async def work(tx):
        taken = await inbox.take(tx, consumer, event)
        if taken:
            await tx.run(note(f"{consumer}{event.id}"[:36]))
        return taken

    return work


async def test_an_event_that_comes_many_times_at_once_is_taken_once(connect, inbox, rows):
    replicas, event = (rows.db, connect()), an_event()
    taken = await asyncio.gather(
        *(replicas[nth % 2].transact(effect(inbox, event)) for nth in range(12))
    )
    assert Counter(taken) == {True: 1, False: 11}
    assert len(await rows.all()) == 1


async def test_each_consumer_and_each_source_takes_for_itself(db, inbox):
    event = an_event()
    for consumer in ("a", "b"):
        for source in ("/x", "/y"):
            same = replace(event, source=source)
            assert await db.transact(lambda tx, e=same, c=consumer: inbox.take(tx, c, e))
            assert not await db.transact(lambda tx, e=same, c=consumer: inbox.take(tx, c, e))


async def test_an_older_event_is_not_taken_after_a_newer_one(db, inbox):
    first, second, third = (an_event(sequence=nth) for nth in (1, 2, 3))
    taken = [
        await db.transact(lambda tx, e=event: inbox.take(tx, "c", e))
        for event in (second, first, third, second, third)
    ]
    assert taken == [True, False, True, False, False]


async def test_what_is_rolled_back_was_not_taken(db, inbox):
    event = an_event()

    async def fails(tx):
        assert await inbox.take(tx, "c", event)
        raise LookupError

    with pytest.raises(LookupError):
        await db.transact(fails)
    assert await db.transact(lambda tx: inbox.take(tx, "c", event))


async def test_a_storm_of_repeats_and_disorder_has_each_effect_at_most_once(connect, inbox, rows):
    """And that of the newest always."""
    replicas = rows.db, connect()
    events = [an_event(f"s{subject}", n) for subject in range(3) for n in range(1, 6)]
    storm = [(event, nth % 2) for event in events for nth in range(4)]
    effects: list[tuple[str, int]] = []

    async def deliver(event, at):
        async def work(tx):
            taken = await inbox.take(tx, "c", event)
            if taken:
                await tx.run(insert(NOTES).values(id=event.id, number=event.sequence))
            return taken

        for _ in range(5):
            try:
                if await replicas[at].transact(work):
                    effects.append((event.subject, event.sequence))
            except LostRace:
                continue
            return

    random.Random(3).shuffle(storm)
    await asyncio.gather(*(deliver(event, at) for event, at in storm))
    counted = Counter(effects)
    assert set(counted.values()) == {1}
    assert {(f"s{subject}", 5) for subject in range(3)} <= set(effects)
    assert len(await rows.all()) == len(effects)
