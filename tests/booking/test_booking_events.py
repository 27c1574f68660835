"""What others are told: with the change itself, in order, and at least once."""

from __future__ import annotations

import pytest
from booking_stage import a_traveller, look, lost_request, states, told
from sqlalchemy import select

from skyhold.booking.models.tables import OUTBOX
from skyhold.booking.services.events import Happened
from skyhold.kernel.db import DatabaseBusy
from skyhold.kernel.messaging import MemoryBus, Subscription
from skyhold.kernel.outbox import Outbox
from skyhold.kernel.relay import Relay
from support.system import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Subscriber:
    """Hears events, and refuses them while it is told to."""

    def __init__(self):
        self.heard, self.refuses = [], 0

    async def __call__(self, event):
        if self.refuses:
            self.refuses -= 1
            raise ConnectionError("not now")
        self.heard.append(event)

    def of(self, booking):
        return [event for event in self.heard if event.subject == booking["id"]]


def relay_to(system, *subscribers, round_max=100):
    bus = MemoryBus()
    for number, subscriber in enumerate(subscribers):
        bus.subscribe(Subscription(f"ear-{number}", ("#",)), subscriber)
    outbox = Outbox(OUTBOX, source="/skyhold/booking")
    return Relay(system.bookings.db, outbox, bus, system.clock, round_max)


async def rows(system, booking):
    async with system.bookings.db.read() as tx:
        return await tx.rows(
            select(OUTBOX).where(OUTBOX.c.subject == booking["id"]).order_by(OUTBOX.c.sequence)
        )


async def a_long_story(alice, flight):
    booking = await alice.book(flight, party=2)
    await alice.pay(booking, "tok_declined")
    await alice.pay(booking)
    await alice.cancel(booking)
    return booking


STORY = [
    "booking.held",
    "payment.declined",
    "booking.confirmed",
    "booking.cancelled",
    "payment.refunded",
]


async def test_every_change_is_told_once_with_a_growing_sequence(still, alice, flight):
    booking = await a_long_story(alice, flight)
    found = await rows(still, booking)
    assert [row.type for row in found] == STORY
    sequences = [row.sequence for row in found]
    assert sequences == sorted(set(sequences))
    assert len({row.id for row in found}) == len(found)


async def test_an_event_tells_the_state_it_led_to(still, alice, flight):
    booking = await a_long_story(alice, flight)
    found = await rows(still, booking)
    statuses = [row.data["status"] for row in found]
    assert statuses == ["held", "held", "confirmed", "cancelled", "cancelled"]
    kept, _ = await look(still, booking)
    assert found[0].data == {
        "booking_id": booking["id"],
        "record_locator": booking["record_locator"],
        "user_id": kept.user_id,
        "status": "held",
        "total": {"amount": "258.00", "currency": "USD"},
        "segments": [
            {
                "flight_id": flight,
                "cabin": "economy",
                "seats": booking["segments"][0]["seats"],
            }
        ],
        "changes": [],
    }


async def test_no_name_token_or_email_is_told(still, alice, flight):
    booking = await a_long_story(alice, flight)
    everything = repr(await rows(still, booking))
    for secret in ("Tester", alice.email, "tok_", alice.token):
        assert secret not in everything


@pytest.mark.parametrize("what", ["book", "pay", "cancel", "expire"])
async def test_without_its_event_there_is_no_change(still, alice, flight, monkeypatch, what):
    """Both are written in one transaction: when one cannot be, neither is."""
    booking = await alice.book(flight)
    before, events = await states(still, booking), await told(still, booking)

    async def no_more_room(*_):
        raise DatabaseBusy

    monkeypatch.setattr(Outbox, "add", no_more_room)
    if what == "book":
        other = await alice.send("POST", "bookings", wish(flight))
        assert other.status == 503
        monkeypatch.undo()
        assert [b["id"] for b in (await alice.send("GET", "bookings"))["data"]] == [booking["id"]]
        return
    if what == "pay":
        await alice.pay(booking, "tok_declined")
        before = ("paying", "created", True)
    elif what == "cancel":
        assert (await alice.cancel(booking)).status == 503
    else:
        still.advance(minutes=15, seconds=1)
        await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == before
    assert await told(still, booking) == events


def wish(flight):
    who = {"given_name": "Ada", "family_name": "Tester"}
    return {"segments": [{"flight_id": flight}], "passengers": [who]}


async def test_subscribers_hear_every_event_in_order_and_once(still, alice, bob, flight):
    ear = Subscriber()
    relay = relay_to(still, ear)
    while await relay.run_once():
        pass
    hers, his = await a_long_story(alice, flight), await bob.book(flight)
    while await relay.run_once():
        pass
    assert [event.type for event in ear.of(hers)] == STORY
    assert [event.type for event in ear.of(his)] == ["booking.held"]
    assert await relay.run_once() == 0
    assert {row.published_at is not None for row in await rows(still, hers)} == {True}


async def test_an_event_that_was_refused_comes_again_and_nothing_overtakes_it(still, alice, flight):
    ear = Subscriber()
    relay = relay_to(still, ear)
    while await relay.run_once():
        pass
    booking = await a_long_story(alice, flight)
    ear.refuses = 1
    await relay.run_once()
    assert ear.of(booking) == []  # the first was refused, so the later ones wait
    while await relay.run_once():
        pass
    assert [event.type for event in ear.of(booking)] == STORY


async def test_one_bookings_refused_event_holds_up_no_other_booking(still, alice, bob, flight):
    ear = Subscriber()
    relay = relay_to(still, ear)
    while await relay.run_once():
        pass
    refused = await alice.book(flight)
    heard = await bob.book(flight)
    ear.refuses = 1
    await relay.run_once()
    assert (ear.of(refused), len(ear.of(heard))) == ([], 1)


async def test_dying_between_telling_and_noting_it_tells_again_and_not_never(
    still, alice, world, flight
):
    ear = Subscriber()
    relay = relay_to(still, ear)
    while await relay.run_once():
        pass
    booking = await alice.book(flight)
    world.on("transact", lost_request, times=1)
    with pytest.raises(Exception, match="lost"):
        await relay.run_once()
    await relay.run_once()
    first, again = ear.of(booking)
    assert first == again  # the same id: a consumer can tell that it knows it


async def test_a_round_is_bounded(still, alice, flight):
    ear = Subscriber()
    while await relay_to(still, ear).run_once():
        pass
    booking = await a_long_story(alice, flight)
    relay = relay_to(still, ear, round_max=2)
    assert [await relay.run_once() for _ in range(4)] == [2, 2, 1, 0]
    assert [event.type for event in ear.of(booking)] == STORY


async def test_the_service_tells_its_events_by_itself(start):
    async with start(relay_period_s=0.02, expiry_period_s=0.02) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await a_long_story(alice, flight)

        async def all_told():
            return all(row.published_at for row in await rows(system, booking))

        await eventually(all_told)


async def test_there_is_an_event_for_everything_that_a_customer_would_want_to_know():
    assert {event.value for event in Happened} == {
        "booking.held",
        "booking.confirmed",
        "booking.expired",
        "booking.cancelled",
        "booking.flight_changed",
        "payment.declined",
        "payment.refunded",
    }
