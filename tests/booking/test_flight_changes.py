"""A flight that is cancelled or retimed reaches everybody who booked it, once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from booking_stage import (
    Gate,
    a_traveller,
    in_the_end,
    ledger,
    look,
    lost_answer,
    states,
    told,
)
from sqlalchemy import delete, insert, select, update

from skyhold.booking.models.tables import BookingFlightRow, BookingRow, FlightChangeRow
from skyhold.booking.repositories import booking_moves, flight_changes
from skyhold.booking.schemas.flight_events import news_of
from skyhold.booking.services.flight_changes import SETTLE_S
from skyhold.flight.models.tables import OUTBOX as FLIGHT_OUTBOX
from skyhold.kernel.messaging import Event

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def change(system, flight, **what):
    reply = await system.flights_http.patch(
        f"/api/v1/flights/{flight}", json=what, headers=system.staff()
    )
    assert reply.status_code == 200, reply.text
    return reply.json()


async def cancel_flight(system, flight):
    return await change(system, flight, status="cancelled")


async def retime(system, flight, **later):
    """Both times moved by so much."""
    before = await system.flight(flight)
    moved = {
        name: (datetime.fromisoformat(before[name]) + timedelta(**later)).isoformat()
        for name in ("departing_at", "arriving_at")
    }
    await change(system, flight, **moved)
    return before, moved


async def news_arrives(system):
    """Everything the flight service has to tell goes over the bus."""
    (relay,) = [job for job in system.flights.jobs if job.name == "relay"]
    await relay.work()


async def job_runs(system):
    """The driver's rounds, until nothing is due any more."""
    while await system.bookings.drive.run_once():
        pass


async def settles(system, flight):
    """What was on its way when the change came in has had its time."""
    system.advance(seconds=SETTLE_S)
    await job_runs(system)
    return (await change_of(system, flight)).due_at is None


async def news_spreads(system):
    await news_arrives(system)
    await job_runs(system)


async def paid(alice, flight, **wish):
    booking = await alice.book(flight, **wish)
    assert (await alice.pay(booking)).status == 201
    return booking


async def change_of(system, flight):
    async with system.bookings.db.read() as tx:
        return await tx.row(
            select(FlightChangeRow.__table__).where(FlightChangeRow.flight_id == flight)
        )


async def events_of(system, flight):
    async with system.flights.db.read() as tx:
        rows = await tx.rows(
            select(FLIGHT_OUTBOX.c.type, FLIGHT_OUTBOX.c.sequence)
            .where(FLIGHT_OUTBOX.c.subject == flight)
            .order_by(FLIGHT_OUTBOX.c.sequence)
        )
    return [(row.type, row.sequence) for row in rows]


# --- a flight that does not go ---------------------------------------------------------------


async def test_a_paid_booking_of_a_cancelled_flight_is_cancelled_and_refunded(still, alice, flight):
    booking = await paid(alice, flight, party=2)
    await cancel_flight(still, flight)
    await news_spreads(still)
    seen = await alice.get(booking)
    assert (seen["status"], seen["available_actions"]) == ("cancelled", [])
    assert seen["payment"]["refund"]["status"] == "succeeded"
    (noted,) = seen["changes"]
    assert (noted["flight_id"], noted["kind"], noted["now"]) == (flight, "cancelled", None)
    assert noted["was"]["departing_at"] == seen["segments"][0]["departing_at"]
    assert await ledger(still, booking) == ["refunded"]
    assert await states(still, booking) == ("cancelled", "refunded", False)
    happened = ["booking.held", "booking.confirmed", "booking.cancelled", "payment.refunded"]
    assert await told(still, booking) == happened


async def test_an_unpaid_booking_of_a_cancelled_flight_is_cancelled(still, alice, flight):
    booking = await alice.book(flight)
    await cancel_flight(still, flight)
    await news_spreads(still)
    assert await states(still, booking) == ("cancelled", None, False)
    assert (await alice.pay(booking)).code == "already_cancelled"


async def test_a_journey_of_two_flights_is_called_off_when_one_of_them_is(still, alice, flight):
    onward = await still.a_flight(origin="LAX", destination="SFO", departs_in_h=300)
    booking = await alice.book(flight, onward)
    await alice.pay(booking)
    await cancel_flight(still, onward)
    await news_spreads(still)
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert await still.seats_left(flight) == 100


async def test_bookings_of_other_flights_are_left_alone(still, alice, flight):
    other = await still.a_flight()
    booking = await paid(alice, other)
    await cancel_flight(still, flight)
    await news_spreads(still)
    seen = await alice.get(booking)
    assert (seen["status"], seen["changes"]) == ("confirmed", [])


async def test_a_booking_that_is_being_paid_is_waited_for_and_then_refunded(
    still, world, alice, flight
):
    booking = await alice.book(flight)
    world.on("capture", gate := Gate(before=False))
    paying = asyncio.create_task(alice.pay(booking))
    await gate.reached.wait()
    await cancel_flight(still, flight)
    await news_spreads(still)
    assert (await change_of(still, flight)).due_at is not None, "it must be looked at again"
    assert (await look(still, booking))[0].status == "paying"
    gate.opens()
    assert (await paying).status == 201
    still.advance(seconds=2)
    await job_runs(still)
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert await settles(still, flight)


async def test_nobody_pays_for_a_flight_that_was_cancelled_while_they_paid(
    still, world, alice, flight
):
    booking = await alice.book(flight)
    world.on("authorise", gate := Gate(before=True))
    paying = asyncio.create_task(alice.pay(booking))
    await gate.reached.wait()
    await cancel_flight(still, flight)
    await news_spreads(still)
    gate.opens()
    assert (await paying).code == "hold_expired"
    still.advance(seconds=2)
    await job_runs(still)
    assert await in_the_end(still, booking) == "expired"
    assert await settles(still, flight)


async def test_a_booking_that_is_written_down_after_the_news_hears_of_it_too(
    still, world, alice, flight
):
    world.on("PUT hold", gate := Gate(before=False), times=1)
    booking = asyncio.create_task(alice.book(flight))
    await gate.reached.wait()
    await cancel_flight(still, flight)
    await news_spreads(still)
    assert await settles(still, flight), "everybody there has heard of it"
    gate.opens()
    booking = await booking
    assert booking.status == 201
    await job_runs(still)
    assert await states(still, booking) == ("cancelled", None, False)


async def test_a_booking_recorded_while_a_change_is_called_done_is_not_forgotten(
    still, alice, flight, monkeypatch
):
    """The round has looked for who is unaware, found nobody, and is about to call it done."""
    await retime(still, flight, hours=1)
    await news_arrives(still)
    still.advance(seconds=SETTLE_S)
    changes = still.bookings.changes
    look_again = type(changes)._look_again
    booked = []

    async def slowly(self, news, due_at, *, attempts):
        if due_at is None and not booked:
            booked.append(await alice.book(flight))
        await look_again(self, news, due_at, attempts=attempts)

    monkeypatch.setattr(type(changes), "_look_again", slowly)
    await changes.apply(flight)
    assert booked
    assert (await change_of(still, flight)).due_at is not None
    assert await settles(still, flight)


async def test_a_booking_whose_commit_took_longer_than_the_first_look_hears_of_it_too(
    still, alice, flight
):
    """Its transaction began before the change was there, and ended after nobody was found."""
    booking = await alice.book(flight)
    async with still.bookings.db.read() as tx:
        mine = await tx.rows(
            select(BookingFlightRow.__table__).where(BookingFlightRow.booking_id == booking["id"])
        )
    db = still.bookings.db
    unseen = delete(BookingFlightRow).where(BookingFlightRow.booking_id == booking["id"])
    await db.transact(lambda tx: tx.run(unseen))
    await cancel_flight(still, flight)
    await news_spreads(still)
    rows = [dict(row._mapping) for row in mine]
    await db.transact(lambda tx: tx.run(insert(BookingFlightRow), rows))
    assert await settles(still, flight)
    assert await states(still, booking) == ("cancelled", None, False)


async def looks(system, flight, monkeypatch, after, then):
    """A round for this flight, and what happens after it listed whom to tell, told them, or read
    who is left.
    """
    changes, happened = system.bookings.changes, []

    def wrapped(of, name, is_it):
        real = getattr(of, name)

        async def slowly(*args, **more):
            answer = await real(*args, **more)
            if is_it(args) and not happened:
                happened.append(name)
                await then()
            return answer

        monkeypatch.setattr(of, name, slowly)

    if after == "told":
        wrapped(type(changes), "_tell_all", lambda _: True)
    elif after == "listed":
        wrapped(flight_changes, "unaware", lambda _: True)
    else:
        wrapped(flight_changes, "unaware", lambda args: "paying" in args[2])
    await changes.apply(flight)
    assert happened


async def test_a_booking_paid_while_a_round_looks_is_not_forgotten(
    still, alice, flight, world, monkeypatch
):
    """It was being paid when the round told the others, and confirmed when it looked once more."""
    booking = await alice.book(flight)
    gate = Gate(before=True)
    world.on("capture", gate)
    paying = asyncio.create_task(alice.pay(booking))
    await gate.reached.wait()
    await cancel_flight(still, flight)
    await news_arrives(still)
    still.advance(seconds=SETTLE_S)

    async def then_it_is_paid():
        gate.opens()
        assert (await paying).status == 201

    await looks(still, flight, monkeypatch, "told", then_it_is_paid)
    assert (await change_of(still, flight)).due_at is not None
    assert await settles(still, flight)
    assert await states(still, booking) == ("cancelled", "refunded", False)


async def test_a_booking_that_is_being_paid_when_its_turn_comes_is_waited_for(
    still, alice, flight, world, monkeypatch
):
    """It was held when the round listed whom to tell: calling it off now would lose its payment."""
    booking = await alice.book(flight)
    await cancel_flight(still, flight)
    await news_arrives(still)
    world.on("authorise", gate := Gate(before=True))
    paying = []

    async def then_it_is_being_paid():
        paying.append(asyncio.create_task(alice.pay(booking)))
        await gate.reached.wait()

    await looks(still, flight, monkeypatch, "listed", then_it_is_being_paid)
    assert (await look(still, booking))[0].status == "paying"
    assert (await change_of(still, flight)).attempts == 0, "that was no trouble"
    gate.opens()
    await paying[0]
    assert await settles(still, flight)
    assert (await states(still, booking))[2] is False


async def test_a_booking_that_was_cancelled_before_its_turn_came_is_left_alone(
    still, alice, flight, monkeypatch
):
    booking = await alice.book(flight)
    await cancel_flight(still, flight)
    await news_arrives(still)
    await looks(still, flight, monkeypatch, "listed", lambda: alice.cancel(booking))
    assert (await change_of(still, flight)).attempts == 0, "that was no trouble"
    assert await settles(still, flight)
    assert await told(still, booking) == ["booking.held", "booking.cancelled"]


@pytest.mark.parametrize("after", ["told", "read"])
async def test_a_round_that_was_paused_after_it_looked_looks_again(
    still, alice, flight, monkeypatch, after
):
    """It looked while a booking was on its way, and woke up when that must have arrived."""
    booking = await alice.book(flight)
    mine = BookingFlightRow.booking_id == booking["id"]
    db = still.bookings.db
    async with db.read() as tx:
        rows = await tx.rows(select(BookingFlightRow.__table__).where(mine))
    await db.transact(lambda tx: tx.run(delete(BookingFlightRow).where(mine)))
    await cancel_flight(still, flight)
    await news_arrives(still)

    async def then_it_arrives():
        seen = [dict(row._mapping) for row in rows]
        await db.transact(lambda tx: tx.run(insert(BookingFlightRow), seen))
        still.advance(seconds=SETTLE_S)

    await looks(still, flight, monkeypatch, after, then_it_arrives)
    assert (await change_of(still, flight)).due_at is not None
    assert await settles(still, flight)
    assert await states(still, booking) == ("cancelled", None, False)


async def test_one_booking_that_cannot_be_read_keeps_nobody_else_from_their_refund(still, flight):
    travellers = [await a_traveller(still, f"T{n}") for n in range(4)]
    booked = [await paid(traveller, flight) for traveller in travellers]
    first = min(booked, key=lambda booking: booking["id"])
    async with still.bookings.db.read() as tx:
        segments = await tx.scalar(select(BookingRow.segments).where(BookingRow.id == first["id"]))
    await write_segments(still, first, [segments[0] | {"cabin": "balcony"}])
    await cancel_flight(still, flight)
    await news_spreads(still)
    for booking in booked:
        if booking is not first:
            assert await states(still, booking) == ("cancelled", "refunded", False)
    assert (await change_of(still, flight)).due_at is not None, "somebody must look at the first"
    await write_segments(still, first, segments)
    still.advance(seconds=SETTLE_S)
    await job_runs(still)
    assert await states(still, first) == ("cancelled", "refunded", False)


async def write_segments(system, booking, segments):
    change = update(BookingRow).where(BookingRow.id == booking["id"]).values(segments=segments)
    await system.bookings.db.transact(lambda tx: tx.run(change))


# --- a flight that goes at another time ------------------------------------------------------


async def test_a_booking_shows_the_new_times_and_what_they_were(still, alice, flight):
    booking = await paid(alice, flight)
    before, moved = await retime(still, flight, hours=2)
    await news_spreads(still)
    seen = await alice.get(booking)
    assert seen["status"] == "confirmed"
    (noted,) = seen["changes"]
    assert noted["kind"] == "rescheduled"
    for name, new in moved.items():
        assert datetime.fromisoformat(seen["segments"][0][name]) == datetime.fromisoformat(new)
        assert noted["now"][name] == seen["segments"][0][name]
        assert datetime.fromisoformat(noted["was"][name]) == datetime.fromisoformat(before[name])
    happened = ["booking.held", "booking.confirmed", "booking.flight_changed"]
    assert await told(still, booking) == happened
    assert (await alice.cancel(booking))["payment"]["refund"]["status"] == "succeeded"


async def test_only_the_last_of_several_changes_is_told_to_who_has_not_heard_of_the_first(
    still, alice, flight
):
    booking = await paid(alice, flight)
    before, _ = await retime(still, flight, hours=2)
    await news_arrives(still)
    _, moved = await retime(still, flight, hours=3)
    await news_spreads(still)
    (noted,) = (await alice.get(booking))["changes"]
    new = datetime.fromisoformat(moved["departing_at"])
    assert datetime.fromisoformat(noted["now"]["departing_at"]) == new
    old = datetime.fromisoformat(before["departing_at"])
    assert datetime.fromisoformat(noted["was"]["departing_at"]) == old


async def test_a_flight_that_moves_back_and_forth_is_told_each_time(still, alice, flight):
    booking = await paid(alice, flight)
    for hours in (2, -2):
        await retime(still, flight, hours=hours)
        await news_spreads(still)
    seen = await alice.get(booking)
    assert [noted["kind"] for noted in seen["changes"]] == ["rescheduled", "rescheduled"]
    assert seen["segments"][0]["departing_at"] == seen["changes"][0]["was"]["departing_at"]


async def test_who_books_a_retimed_flight_is_not_told_what_they_know(still, alice, flight):
    await retime(still, flight, hours=2)
    await news_spreads(still)
    booking = await paid(alice, flight)
    await job_runs(still)
    assert (await alice.get(booking))["changes"] == []
    assert await told(still, booking) == ["booking.held", "booking.confirmed"]


async def test_a_change_that_was_made_before_they_booked_is_not_told_although_it_comes_late(
    still, alice, flight
):
    """The first of two changes is known here, the second still waits to be told; then they book."""
    await retime(still, flight, hours=5)
    await news_arrives(still)
    await retime(still, flight, hours=5)
    booking = await paid(alice, flight)
    await job_runs(still)
    seen = await alice.get(booking)
    assert (seen["changes"], seen["segments"]) == ([], booking["segments"])
    await news_spreads(still)
    assert (await alice.get(booking))["changes"] == []


async def test_an_earlier_departure_moves_the_deadline_of_a_held_booking(still, alice):
    flight = await still.a_flight(departs_in_h=2)
    booking = await alice.book(flight)
    _, moved = await retime(still, flight, minutes=-115)
    await news_spreads(still)
    seen = await alice.get(booking)
    new = datetime.fromisoformat(moved["departing_at"])
    assert datetime.fromisoformat(seen["payment_required_by"]) == new
    still.advance(minutes=6)
    await job_runs(still)
    assert await in_the_end(still, booking) == "expired"


async def test_a_booking_that_is_being_paid_gets_its_new_times_and_is_confirmed(
    still, world, alice, flight
):
    booking = await alice.book(flight)
    world.on("authorise", gate := Gate(before=True))
    paying = asyncio.create_task(alice.pay(booking))
    await gate.reached.wait()
    await retime(still, flight, hours=2)
    await news_spreads(still)
    gate.opens()
    assert (await paying).status == 201
    seen = await alice.get(booking)
    assert (seen["status"], len(seen["changes"])) == ("confirmed", 1)


# --- what is told, and how often it counts ---------------------------------------------------


async def test_a_change_that_changes_nothing_is_not_told(still, flight):
    flown = await still.flight(flight)
    await change(still, flight, departing_at=flown["departing_at"])
    await change(still, flight, fares={"economy": {"amount": "99.00", "currency": "USD"}})
    await cancel_flight(still, flight)
    await cancel_flight(still, flight)
    assert [kind for kind, _ in await events_of(still, flight)] == ["flight.cancelled"]


async def test_what_has_landed_is_not_changed_any_more(start):
    async with start() as system:
        flight = await system.a_flight(departs_in_h=2, takes_h=3)
        alice = await a_traveller(system, "Alice")
        booking = await paid(alice, flight)
        system.advance(minutes=5 * 60 + 1)
        reply = await system.flights_http.patch(
            f"/api/v1/flights/{flight}", json={"status": "cancelled"}, headers=system.staff()
        )
        assert (reply.status_code, reply.json()["code"]) == (409, "flight_departed")
        assert await events_of(system, flight) == []
        assert (await alice.get(booking))["status"] == "confirmed"


async def test_events_of_a_flight_are_numbered_in_their_order(still, flight):
    await retime(still, flight, hours=1)
    await retime(still, flight, hours=1)
    await cancel_flight(still, flight)
    events = await events_of(still, flight)
    kinds = ["flight.rescheduled", "flight.rescheduled", "flight.cancelled"]
    assert [kind for kind, _ in events] == kinds
    numbers = [number for _, number in events]
    assert numbers == sorted(set(numbers))


def event(flight, sequence, kind="flight.rescheduled", id_=None, **hours):
    at = datetime.fromisoformat("2090-12-01T10:00:00-05:00") + timedelta(**hours)
    times = {"departing_at": at.isoformat(), "arriving_at": (at + timedelta(hours=6)).isoformat()}
    data = {"flight_id": flight, "flight_number": "B61", "status": "scheduled", **times}
    return Event(
        id=id_ or f"{flight}-{sequence}",
        type=kind,
        subject=flight,
        sequence=sequence,
        data=data | {"was": times},
        occurred_at=at,
        source="/skyhold/flight",
    )


async def test_an_event_that_comes_twice_has_its_effect_once(still, alice, flight):
    booking = await paid(alice, flight)
    for _ in range(2):
        await still.flights.bus.publish(event(flight, 5))
        await job_runs(still)
    assert len((await alice.get(booking))["changes"]) == 1
    assert (await told(still, booking)).count("booking.flight_changed") == 1


async def test_an_older_event_that_comes_late_has_no_effect(still, alice, flight):
    booking = await paid(alice, flight)
    await still.flights.bus.publish(event(flight, 9, hours=9))
    await job_runs(still)
    await still.flights.bus.publish(event(flight, 8, "flight.cancelled"))
    await job_runs(still)
    seen = await alice.get(booking)
    assert (seen["status"], len(seen["changes"])) == ("confirmed", 1)
    assert (await change_of(still, flight)).sequence == 9


async def test_two_drivers_at_once_tell_every_booking_once(still, flight):
    travellers = [await a_traveller(still, f"T{n}") for n in range(12)]
    booked = [await paid(traveller, flight) for traveller in travellers]
    await cancel_flight(still, flight)
    await news_arrives(still)
    changes = still.bookings.changes
    while any(await asyncio.gather(*(changes.apply(flight) for _ in range(3)))):
        pass
    await job_runs(still)
    for booking in booked:
        assert (await told(still, booking)).count("booking.cancelled") == 1
        assert await ledger(still, booking) == ["refunded"]


async def test_a_lost_answer_of_the_commit_tells_nobody_twice(still, world, alice, flight):
    booking = await paid(alice, flight)
    await cancel_flight(still, flight)
    await news_arrives(still)
    world.on("transact", lost_answer, times=1)
    await job_runs(still)
    still.advance(minutes=1)
    await job_runs(still)
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert (await told(still, booking)).count("booking.cancelled") == 1


async def test_more_bookings_than_a_round_takes_are_told_in_several(start):
    async with start(expiry_batch_max=3) as system:
        flight = await system.a_flight()
        alice = await a_traveller(system, "Alice")
        booked = [await alice.book(flight) for _ in range(8)]
        await cancel_flight(system, flight)
        await news_spreads(system)
        for booking in booked:
            assert (await states(system, booking))[0] == "cancelled"


async def test_every_booking_is_known_by_its_flights(still, alice, flight):
    onward = await still.a_flight(origin="LAX", destination="SFO", departs_in_h=300)
    booking = await alice.book(flight, onward)
    async with still.bookings.db.read() as tx:
        rows = await tx.rows(
            select(BookingFlightRow.flight_id).where(BookingFlightRow.booking_id == booking["id"])
        )
    assert {row.flight_id for row in rows} == {flight, onward}


# --- what the rows themselves refuse ---------------------------------------------------------


async def test_a_change_is_not_written_over_a_booking_that_has_moved(still, alice, flight):
    booking = await alice.book(flight)
    as_read, _ = await look(still, booking)
    await alice.pay(booking)
    db = still.bookings.db
    assert not await db.transact(lambda tx: booking_moves.change(tx, as_read, as_read))
    now, _ = await look(still, booking)
    assert await db.transact(lambda tx: booking_moves.change(tx, now, now))


async def test_of_a_flights_changes_the_latest_is_kept_and_each_is_heard_once(still, alice, flight):
    booking = await alice.book(flight)
    db, now = still.bookings.db, still.now()
    newer, older = (news_of(event(flight, number), now) for number in (7, 6))
    assert await db.transact(lambda tx: flight_changes.note(tx, newer))
    assert not await db.transact(lambda tx: flight_changes.note(tx, older))
    assert not await db.transact(lambda tx: flight_changes.note(tx, newer))
    assert await db.transact(lambda tx: flight_changes.hear(tx, newer, booking["id"]))
    assert not await db.transact(lambda tx: flight_changes.hear(tx, newer, booking["id"]))
    assert not await db.transact(lambda tx: flight_changes.hear(tx, older, booking["id"]))
