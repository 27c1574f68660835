"""An event that comes twice, or too late, has its effect once, or none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, Table, func, insert, select

from skyhold.kernel.columns import Key, metadata
from skyhold.kernel.db import Database, LostRace
from skyhold.kernel.inbox import Inbox, Taken, inbox_table
from skyhold.kernel.messaging import Event

METADATA = metadata()
INBOX = inbox_table(METADATA, "inbox")
EFFECTS = Table(
    "effects",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("event_id", Key(36)),
)


@pytest.fixture
async def db(db):
    await db.run_sync(METADATA.create_all)
    return db


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(INBOX)


@pytest.fixture
def an_event(clock):
    def make(id: str, sequence: int = 1, subject: str = "s", source: str = "/a") -> Event:
        return Event(id, "it.happened", subject, sequence, {}, clock.now(), source=source)

    return make


@pytest.fixture
def take(db, inbox):
    async def take(event: Event, consumer: str = "c") -> bool:
        return await db.transact(lambda tx: inbox.take(tx, consumer, event))

    return take


async def test_an_event_is_taken_once(take, an_event):
    assert [await take(an_event("e1")) for _ in range(3)] == [True, False, False]


async def test_every_consumer_takes_it_for_itself(take, an_event):
    assert await take(an_event("e1"), "one")
    assert await take(an_event("e1"), "other")


async def test_ids_and_sequences_of_another_source_or_subject_are_others(take, an_event):
    assert await take(an_event("e1", 5))
    assert await take(an_event("e1", 1, source="/b"))
    assert await take(an_event("e2", 1, subject="t"))


async def test_an_older_event_is_not_taken_after_a_newer_one(take, an_event):
    assert await take(an_event("e2", 2))
    assert not await take(an_event("e1", 1))
    assert await take(an_event("e3", 3))
    assert not await take(an_event("e2", 2))


async def test_another_event_of_the_same_sequence_is_taken(take, an_event):
    assert await take(an_event("e1", 2))
    assert await take(an_event("e2", 2))
    assert not await take(an_event("e1", 2))


async def test_it_is_taken_with_its_effect_or_not_at_all(db, inbox, take, an_event):
    async def fails(tx):
        assert await inbox.take(tx, "c", an_event("e1"))
        raise LookupError

    with pytest.raises(LookupError):
        await db.transact(fails)
    assert await take(an_event("e1"))


async def test_of_many_at_once_one_has_the_effect(db, inbox, an_event):
    async def effect(tx):
        if await inbox.take(tx, "c", an_event("e1")):
            await tx.run(insert(EFFECTS).values(event_id="e1"))

    await asyncio.gather(*(db.transact(effect) for _ in range(20)))
    async with db.read() as tx:
        assert await tx.scalar(select(func.count()).select_from(EFFECTS)) == 1


async def test_seen_says_what_take_would_say(db, inbox, take, an_event):
    async def seen(event):
        async with db.read() as tx:
            return await inbox.seen(tx, "c", event)

    assert not await seen(an_event("e2", 2))
    await take(an_event("e2", 2))
    assert await seen(an_event("e2", 2))
    assert await seen(an_event("e1", 1))
    assert not await seen(an_event("e3", 2))
    assert not await seen(an_event("e4", 3))


class Rival:
    """A transaction in which somebody else's first event of the subject comes in between."""

    def __init__(self, tx, between) -> None:
        self._tx, self._between = tx, between

    async def run(self, statement, rows=None):
        if self._between is not None and statement.is_insert:
            between, self._between = self._between, None
            await self._tx.run(between)
        return await self._tx.run(statement, rows)

    async def scalar(self, statement):
        return await self._tx.scalar(statement)


async def test_who_is_second_with_a_subjects_first_event_looks_again(db, inbox, an_event):
    positions = METADATA.tables["inbox_positions"]
    first = insert(positions).values(consumer="c", source="/a", subject="s", sequence=1, ver=1)

    async def work(tx):
        with pytest.raises(LostRace):
            await inbox.take(Rival(tx, first), "c", an_event("e2", 2))
        raise LookupError

    with pytest.raises(LookupError):
        await db.transact(work)


comings = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(0, 1)), max_size=12
)


@settings(max_examples=40)
@given(comings=comings)
def test_whatever_comes_in_whatever_order_each_has_one_effect_and_none_goes_back(
    tmp_path_factory, comings
):
    """Against the rule itself, kept in two dictionaries."""
    found = asyncio.run(_take_all(tmp_path_factory.mktemp("inbox") / "inbox.db", comings))
    newest, taken, expected = {}, set(), []
    for subject, sequence, twin in comings:
        id = f"{subject}{sequence}{twin}"
        may = id not in taken and sequence >= newest.get(subject, 0)
        expected.append(may)
        if may:
            taken.add(id)
            newest[subject] = sequence
    assert found == expected


async def _take_all(path, comings) -> list[bool]:
    at = datetime(2026, 12, 1, tzinfo=UTC)
    db, inbox = Database(f"sqlite:///{path}"), Inbox(INBOX)
    await db.run_sync(METADATA.create_all)
    answers = []
    for subject, sequence, twin in comings:
        event = Event(f"{subject}{sequence}{twin}", "t", subject, sequence, {}, at, source="/a")
        answers.append(await db.transact(lambda tx, event=event: inbox.take(tx, "c", event)))
    await db.close()
    return answers


# --- many at once -----------------------------------------------------------------------------

CASES = [("e1", 1, "s"), ("e2", 2, "s"), ("e3", 2, "s"), ("e4", 5, "t"), ("e5", 4, "t")]


@pytest.mark.parametrize("before", [[], [0], [1], [3], [1, 4], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("batch", [[0], [0, 1], [1, 0], [1, 2, 3], [4, 3, 2], [0, 0, 1]])
async def test_many_are_taken_as_they_would_be_one_by_one(db, inbox, take, an_event, before, batch):
    events = [an_event(*case) for case in CASES]
    for number in before:
        await take(events[number], "many")
        await take(events[number], "single")
    for number in batch:
        await take(events[number], "single")
    many = [Taken("many", events[number]) for number in batch]

    await db.transact(lambda tx: inbox.take_all(tx, many))

    async with db.read() as tx:
        every = [Taken(consumer, event) for event in events for consumer in ("many", "single")]
        seen = await inbox.seen_among(tx, every)
        for one in every:
            assert (one in seen) == await inbox.seen(tx, one.consumer, one.event), one
    by_consumer = {
        consumer: {one.event.id for one in seen if one.consumer == consumer}
        for consumer in ("many", "single")
    }
    assert by_consumer["many"] == by_consumer["single"]


async def test_of_two_batches_with_the_same_first_event_both_end_well(db, inbox, an_event):
    taken = [Taken("c", an_event("e1"))]
    await asyncio.gather(*(db.transact(lambda tx: inbox.take_all(tx, taken)) for _ in range(4)))
    async with db.read() as tx:
        assert await inbox.seen_among(tx, taken) == set(taken)
