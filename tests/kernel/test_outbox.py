"""What happened is written with its cause, and told to others at least once, in order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Column, Table, insert, select

from skyhold.kernel.columns import Key, metadata
from skyhold.kernel.db import Duplicate
from skyhold.kernel.messaging import Event, MemoryBus
from skyhold.kernel.outbox import Outbox, Relay, outbox_table

METADATA = metadata()
OUTBOX = outbox_table(METADATA, "events")
CAUSES = Table("causes", METADATA, Column("id", Key(36), primary_key=True))


class Listener:
    """Hears events; those named in `refuses` it does not take."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.refuses: set[str] = set()

    async def __call__(self, event: Event) -> None:
        if event.id in self.refuses:
            raise ConnectionError(event.id)
        self.heard.append(event)

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.heard]


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(OUTBOX)


@pytest.fixture
async def db(db):
    await db.run_sync(METADATA.create_all)
    return db


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def relay(db, outbox, listener, clock) -> Relay:
    bus = MemoryBus()
    bus.subscribe(listener)
    return Relay(db, outbox, bus, clock, round_max=3)


@pytest.fixture
def happens(db, outbox, clock):
    """Write events, each (id, subject, sequence), in one transaction."""

    async def write(*events: tuple[str, str, int]) -> None:
        now = clock.now()
        made = [Event(id, "it.happened", on, number, {}, now) for id, on, number in events]
        await db.transact(lambda tx: outbox.add(tx, *made))

    return write


async def unpublished(db, outbox, limit=100):
    async with db.read() as tx:
        return [event.id for event in await outbox.unpublished(tx, limit)]


async def test_an_event_is_written_with_its_cause_or_not_at_all(db, outbox, clock):
    event = Event("e1", "it.happened", "s", 1, {}, clock.now())

    async def cause_and_event(tx):
        await outbox.add(tx, event)
        await tx.run(insert(CAUSES).values(id="the one"))

    await db.transact(lambda tx: tx.run(insert(CAUSES).values(id="the one")))
    with pytest.raises(Duplicate):
        await db.transact(cause_and_event)
    assert await unpublished(db, outbox) == []

    await db.transact(lambda tx: tx.run(CAUSES.delete()))
    await db.transact(cause_and_event)
    assert await unpublished(db, outbox) == ["e1"]
    async with db.read() as tx:
        assert await tx.scalar(select(CAUSES.c.id)) == "the one"


async def test_an_event_arrives_as_it_was_written(db, outbox, relay, listener, clock):
    data = {"seats": ["12A", None], "total": {"amount": "129.00"}, "paid": False, "é": 1.5}
    event = Event("e1", "seat.sold", "booking-1", 2**40, data, clock.now())
    await db.transact(lambda tx: outbox.add(tx, event))
    clock.advance(minutes=1)
    assert await relay.run_once() == 1
    assert listener.heard == [event]


async def test_the_oldest_are_told_first_and_no_more_than_asked_for(db, outbox, happens):
    await happens(("c", "s3", 1), ("a", "s1", 1))
    await happens(("b", "s2", 1))
    assert await unpublished(db, outbox) == ["a", "b", "c"]
    assert await unpublished(db, outbox, limit=2) == ["a", "b"]


async def test_a_late_commit_with_an_early_id_is_still_told(relay, listener, happens):
    await happens(("b", "s2", 1))
    await relay.run_once()
    await happens(("a", "s1", 1))
    await relay.run_once()
    assert listener.ids == ["b", "a"]


async def test_events_of_one_subject_are_told_in_sequence_even_when_a_later_one_has_a_smaller_id(
    relay, listener, happens
):
    await happens(("m", "s", 1), ("b", "s", 2), ("c", "another", 1))
    while await relay.run_once():
        pass
    assert listener.ids == ["m", "b", "c"]


async def test_a_round_has_a_limit_and_a_backlog_is_told_round_by_round(relay, listener, happens):
    await happens(*((f"e{number}", "s", number) for number in range(7)))
    assert [await relay.run_once() for _ in range(4)] == [3, 3, 1, 0]
    assert listener.ids == [f"e{number}" for number in range(7)]


async def test_what_the_bus_refuses_stays_and_comes_again(
    db, outbox, relay, listener, happens, logged
):
    await happens(("a", "s1", 1), ("b", "s2", 1), ("c", "s3", 1))
    listener.refuses = {"b"}
    assert await relay.run_once() == 2
    assert await unpublished(db, outbox) == ["b"]
    assert await relay.run_once() == 0

    listener.refuses = set()
    assert await relay.run_once() == 1
    assert listener.ids == ["a", "c", "b"]
    assert {line["event"] for line in logged} == {"event.refused"}


async def test_what_comes_after_a_refused_event_of_the_same_subject_waits_for_it(
    relay, listener, happens, logged
):
    await happens(("a", "s", 1), ("b", "s", 2), ("c", "another", 1))
    listener.refuses = {"a"}
    assert await relay.run_once() == 1
    assert listener.ids == ["c"]

    listener.refuses = set()
    assert await relay.run_once() == 2
    assert listener.ids == ["c", "a", "b"]


class BrokenBus(MemoryBus):
    """Fails with an exception for the events it is told to."""

    def __init__(self, *breaks_at: str) -> None:
        super().__init__()
        self.breaks_at = breaks_at

    async def publish(self, event: Event) -> bool:
        if event.id in self.breaks_at:
            raise ConnectionError
        return await super().publish(event)


async def test_a_bus_that_fails_at_one_event_still_gets_the_others_and_only_once(
    db, outbox, listener, happens, clock, logged
):
    bus = BrokenBus("b")
    bus.subscribe(listener)
    relay = Relay(db, outbox, bus, clock, round_max=3)
    await happens(("a", "s1", 1), ("b", "s2", 1), ("c", "s3", 1))
    assert [await relay.run_once() for _ in range(2)] == [2, 0]
    assert listener.ids == ["a", "c"]
    assert await unpublished(db, outbox) == ["b"]


async def test_what_is_marked_is_not_told_again(db, outbox, relay, listener, happens, clock):
    await happens(("a", "s1", 1))
    assert await relay.run_once() == 1
    assert await relay.run_once() == 0
    assert listener.ids == ["a"]

    first_marked_at = clock.now()
    clock.advance(minutes=1)
    assert await db.transact(lambda tx: outbox.mark_published(tx, ["a"], clock.now())) == 0
    async with db.read() as tx:
        assert await tx.scalar(select(OUTBOX.c.published_at)) == first_marked_at


class PowerCut(BaseException):
    """The process is gone."""


class ClockOfADyingProcess:
    """The relay asks for the time between telling and remembering that it has told."""

    def now(self):
        raise PowerCut


async def test_a_relay_that_dies_before_marking_tells_again_under_the_same_id(
    db, outbox, relay, listener, happens, clock
):
    await happens(("a", "s1", 1))
    dying = Relay(db, outbox, relay.bus, ClockOfADyingProcess(), round_max=3)
    with pytest.raises(PowerCut):
        await dying.run_once()
    clock.advance(seconds=timedelta(hours=1).total_seconds())
    assert await relay.run_once() == 1
    assert listener.ids == ["a", "a"]
