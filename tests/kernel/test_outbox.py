"""What happened is written with its cause, and told to others at least once, in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Column, Table, insert, select
from structlog.contextvars import bound_contextvars, get_contextvars

from skyhold.kernel import relay as relay_module
from skyhold.kernel import tracing
from skyhold.kernel.columns import Key, metadata
from skyhold.kernel.db import Duplicate
from skyhold.kernel.leases import Lease, lease_table
from skyhold.kernel.messaging import Event, MemoryBus, Subscription
from skyhold.kernel.outbox import Outbox, outbox_table
from skyhold.kernel.relay import PAUSE_MAX_S, REFUSED_IN_A_ROW_MAX, Relay

METADATA = metadata()
OUTBOX = outbox_table(METADATA, "events")
LEASES = lease_table(METADATA, "leases")
EVERYTHING = Subscription("everything", ("#",))
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
    return Outbox(OUTBOX, source="/skyhold/test")


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
    bus.subscribe(EVERYTHING, listener)
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
    assert listener.heard == [replace(event, source="/skyhold/test")]


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_an_event_remembers_the_request_and_the_trace_in_whose_course_it_happened(
    db, outbox, relay, listener, clock, monkeypatch
):
    monkeypatch.setattr(tracing, "current_traceparent", lambda: TRACEPARENT)
    event = Event("e1", "it.happened", "s1", 1, {}, clock.now())
    with bound_contextvars(request_id="r-1"):
        await db.transact(lambda tx: outbox.add(tx, event))
    await relay.run_once()
    (heard,) = listener.heard
    assert (heard.request_id, heard.traceparent) == ("r-1", TRACEPARENT)


async def test_an_event_that_says_of_which_request_it_is_keeps_saying_so(
    db, outbox, relay, listener, clock
):
    event = Event("e1", "it.happened", "s1", 1, {}, clock.now(), request_id="its own")
    with bound_contextvars(request_id="r-1"):
        await db.transact(lambda tx: outbox.add(tx, event))
    await relay.run_once()
    assert [event.request_id for event in listener.heard] == ["its own"]


async def test_an_event_of_no_request_is_of_none(db, outbox, relay, listener, happens):
    await happens(("e1", "s1", 1))
    await relay.run_once()
    (heard,) = listener.heard
    assert (heard.request_id, heard.traceparent) == (None, None)


class Scribe(MemoryBus):
    """Notes in the course of which request it is asked to publish."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str | None] = []

    async def publish(self, event: Event) -> bool:
        self.requests.append(get_contextvars().get("request_id"))
        return await super().publish(event)


async def test_an_event_is_published_in_the_course_of_its_own_request(db, outbox, clock):
    bus = Scribe()
    relay = Relay(db, outbox, bus, clock, round_max=3)
    one = Event("e1", "t", "s1", 1, {}, clock.now(), request_id="r-1")
    other = Event("e2", "t", "s2", 1, {}, clock.now())
    await db.transact(lambda tx: outbox.add(tx, one, other))
    await relay.run_once()
    assert bus.requests == ["r-1", None]


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


async def test_of_two_relays_only_the_holder_of_the_lease_publishes(
    db, outbox, relay, listener, happens, clock
):
    one, other = (
        replace(relay, lease=Lease(db, LEASES, "relay", clock, ttl_s=10)) for _ in range(2)
    )
    await happens(("a", "x", 1))
    assert await one.run_once() == 1
    await happens(("b", "y", 1))
    assert await other.run_once() == 0
    assert await one.run_once() == 1
    await happens(("c", "z", 1))
    clock.advance(seconds=10)  # the first has fallen silent
    assert await other.run_once() == 1
    assert await one.run_once() == 0
    assert listener.ids == ["a", "b", "c"]


async def test_what_the_bus_refuses_stays_and_comes_again(
    db, outbox, relay, listener, happens, logged
):
    await happens(("a", "s1", 1), ("b", "s2", 1), ("c", "s3", 1))
    listener.refuses = {"b"}
    assert await relay.run_once() == 2
    assert await unpublished(db, outbox) == ["b"]

    listener.refuses = set()
    assert await relay.run_once() == 1  # the first time it comes again at once
    assert listener.ids == ["a", "c", "b"]
    assert [line["event"] for line in logged] == [
        "event.refused",
        "events.not_published",
        "events.published_again",
    ]


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
    bus.subscribe(EVERYTHING, listener)
    relay = Relay(db, outbox, bus, clock, round_max=3)
    await happens(("a", "s1", 1), ("b", "s2", 1), ("c", "s3", 1))
    assert [await relay.run_once() for _ in range(2)] == [2, 0]
    assert listener.ids == ["a", "c"]
    assert await unpublished(db, outbox) == ["b"]


# --- a bus that takes nothing ------------------------------------------------------------------


class SlowBus:
    """Takes what it is let take, after every event of the round has been begun or waits."""

    connected = True

    def __init__(self, *, lanes: int, takes: bool = True) -> None:
        self.lanes, self.takes = lanes, takes
        self.tried: list[str] = []
        self.at_once, self.most_at_once = 0, 0

    async def publish(self, event: Event) -> bool:
        self.tried.append(event.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(5):
            await asyncio.sleep(0)
        self.at_once -= 1
        return self.takes


async def test_what_is_refused_again_and_again_comes_after_longer_and_longer_pauses(
    db, outbox, happens, clock
):
    bus = SlowBus(lanes=1, takes=False)
    relay = Relay(db, outbox, bus, clock, round_max=3)
    await happens(("a", "s1", 1))
    pauses, waited = [], 0
    while len(pauses) < 10:
        before = len(bus.tried)
        assert await relay.run_once() == 0
        if len(bus.tried) > before:
            pauses.append(waited)
            waited = 0
        clock.advance(seconds=0.5)
        waited += 0.5
    assert pauses == [0, 0.5, 1, 2, 4, 8, 16, 32, PAUSE_MAX_S, PAUSE_MAX_S]


async def test_a_pause_is_bounded_however_long_the_trouble_lasts(clock):
    rest = relay_module._Rest(clock.now())
    for _ in range(5_000):
        rest = rest.longer(clock.now())
    assert rest.until - clock.now() == timedelta(seconds=PAUSE_MAX_S)


async def test_what_was_refused_rests_and_others_take_its_place_in_the_round(
    db, outbox, relay, listener, happens, logged
):
    """Three that nobody takes do not fill the rounds of three for good."""
    await happens(("a", "s1", 1), ("b", "s2", 1), ("c", "s3", 1), ("d", "s4", 1))
    listener.refuses = {"a", "b", "c"}
    assert [await relay.run_once() for _ in range(3)] == [0, 0, 1]
    assert listener.ids == ["d"]


async def test_one_outage_is_one_warning_and_its_end_one_line(db, outbox, happens, clock, logged):
    bus = SlowBus(lanes=1, takes=False)
    relay = Relay(db, outbox, bus, clock, round_max=10)
    await happens(("a", "s1", 1), ("b", "s2", 1))
    for _ in range(20):
        await relay.run_once()
        clock.advance(seconds=30)
    bus.takes = True
    clock.advance(seconds=PAUSE_MAX_S)
    assert await relay.run_once() == 2
    assert [(line["log_level"], line["event"], line.get("count")) for line in logged] == [
        ("warning", "events.not_published", 2),
        ("info", "events.published_again", None),
    ]


async def test_a_bus_out_of_reach_is_not_even_tried_and_what_waits_goes_out_once_it_is_back(
    db, outbox, happens, clock, logged
):
    bus = SlowBus(lanes=1)
    relay = Relay(db, outbox, bus, clock, round_max=10)
    await happens(("a", "s1", 1), ("b", "s2", 1))
    bus.connected = False
    assert [await relay.run_once() for _ in range(3)] == [0, 0, 0]
    assert bus.tried == []
    bus.connected = True
    assert await relay.run_once() == 2
    assert [(line["event"], line.get("count")) for line in logged] == [
        ("events.not_published", 2),
        ("events.published_again", None),
    ]


async def test_a_round_ends_when_it_looks_as_if_the_bus_took_nothing(db, outbox, happens, clock):
    bus = SlowBus(lanes=1, takes=False)
    relay = Relay(db, outbox, bus, clock, round_max=100)
    await happens(*((f"e{number:03}", f"s{number}", 1) for number in range(50)))
    assert await relay.run_once() == 0
    assert len(bus.tried) == REFUSED_IN_A_ROW_MAX


# --- many at once ------------------------------------------------------------------------------


async def test_subjects_are_published_at_once_as_far_as_the_bus_has_lanes(
    db, outbox, happens, clock
):
    bus = SlowBus(lanes=4)
    relay = Relay(db, outbox, bus, clock, round_max=100)
    await happens(*((f"e{number:03}", f"s{number}", 1) for number in range(20)))
    assert await relay.run_once() == 20
    assert bus.most_at_once == 4


async def test_events_of_one_subject_are_never_published_at_once(db, outbox, happens, clock):
    bus = SlowBus(lanes=4)
    relay = Relay(db, outbox, bus, clock, round_max=100)
    await happens(*((f"e{number}", "s", number) for number in range(6)))
    assert await relay.run_once() == 6
    assert bus.tried == [f"e{number}" for number in range(6)]
    assert bus.most_at_once == 1


async def test_what_follows_a_refused_event_waits_also_where_many_are_published_at_once(
    db, outbox, happens, clock
):
    bus = SlowBus(lanes=4, takes=False)
    relay = Relay(db, outbox, bus, clock, round_max=100)
    await happens(("a1", "a", 1), ("a2", "a", 2), ("b1", "b", 1), ("b2", "b", 2))
    assert await relay.run_once() == 0
    assert sorted(bus.tried) == ["a1", "b1"]


# --- remembering -------------------------------------------------------------------------------


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
