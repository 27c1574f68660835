"""The calendar file of a booking: the same as in its letters, at any time, for who may see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from booking_stage import a_member_of_staff, done, look
from icalendar import Calendar
from notifications_stage import NOW, a_payment, calendar_of, letters, news, read

from skyhold.booking.models.payment import Failure, PaymentStatus
from skyhold.booking.services.itinerary import Journey, calendar
from skyhold.booking.services.look import View
from skyhold.booking.services.news import was_confirmed

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def asks(still):
    """Ask for a booking's calendar as somebody; a file is no JSON."""

    async def asks(person, booking):
        return await still.bookings_http.get(
            f"/api/v1/bookings/{booking['id']}/calendar",
            headers={"authorization": f"Bearer {person.token}"},
        )

    return asks


@pytest.fixture
def calendar_for(asks):
    """The calendar as a program reads it."""

    async def calendar_for(person, booking):
        reply = await asks(person, booking)
        assert reply.status_code == 200, reply.text
        made = Calendar.from_ical(reply.content)
        assert not made.errors
        return made

    return calendar_for


async def a_journey(person, *flights):
    booking = await person.book(*flights)
    assert (await person.pay(booking)).status == 201
    return booking


async def the_flight_changes(still, flight, **what):
    reply = await still.flights_http.patch(
        f"/api/v1/flights/{flight}", json=what, headers=still.staff()
    )
    assert reply.status_code == 200, reply.text
    (relay,) = [job for job in still.flights.jobs if job.name == "relay"]
    await relay.work()
    while await still.bookings.drive.run_once():
        pass


def refused(reply):
    return reply.status_code, reply.json()["code"]


# --- what is in it ---------------------------------------------------------------------------


async def test_a_confirmed_booking_has_a_file_of_its_own_name(alice, flight, asks):
    booking = await a_journey(alice, flight)
    reply = await asks(alice, booking)
    name = f"skyhold-{booking['record_locator']}.ics"
    assert reply.headers["content-type"] == "text/calendar; charset=utf-8"
    assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.content.startswith(b"BEGIN:VCALENDAR\r\n")


async def test_each_flight_is_an_entry_in_local_times(still, alice, flight, calendar_for):
    onward = await still.a_flight(origin="LAX", destination="SEA", departs_in_h=260, takes_h=3)
    booking = await a_journey(alice, flight, onward)
    made = await calendar_for(alice, booking)
    assert made["METHOD"] == "PUBLISH"
    for entry, segment in zip(made.events, booking["segments"], strict=True):
        assert entry["UID"] == f"{booking['id']}.{segment['flight_id']}@skyhold"
        assert entry["STATUS"] == "CONFIRMED"
        assert segment["seats"][0] in entry["DESCRIPTION"]
        for name, at in (("DTSTART", "departing_at"), ("DTEND", "arriving_at")):
            assert entry[name].dt == datetime.fromisoformat(segment[at])
            assert "TZID" in entry[name].params


async def test_new_times_bring_the_same_entry_up_to_date(still, alice, flight, calendar_for):
    booking = await a_journey(alice, flight)
    (before,) = (await calendar_for(alice, booking)).events
    moved = {
        name: (before[part].dt.astimezone(UTC) + timedelta(hours=2)).isoformat()
        for name, part in (("departing_at", "DTSTART"), ("arriving_at", "DTEND"))
    }
    await the_flight_changes(still, flight, **moved)
    (after,) = (await calendar_for(alice, booking)).events
    assert after["UID"] == before["UID"]
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["DTSTART"].dt == before["DTSTART"].dt + timedelta(hours=2)
    assert after["DTEND"].dt == before["DTEND"].dt + timedelta(hours=2)


async def test_a_cancelled_booking_takes_its_entries_back(still, alice, flight, calendar_for):
    booking = await a_journey(alice, flight)
    (before,) = (await calendar_for(alice, booking)).events
    await alice.cancel(booking)
    made = await calendar_for(alice, booking)
    (after,) = made.events
    assert (made["METHOD"], after["STATUS"]) == ("CANCEL", "CANCELLED")
    assert (after["UID"], after["SEQUENCE"] > before["SEQUENCE"]) == (before["UID"], True)
    assert after["SEQUENCE"] == (await look(still, booking))[0].ver


async def test_so_does_a_flight_that_does_not_go(still, alice, flight, calendar_for):
    booking = await a_journey(alice, flight)
    await the_flight_changes(still, flight, status="cancelled")
    made = await calendar_for(alice, booking)
    assert (made["METHOD"], made.events[0]["STATUS"]) == ("CANCEL", "CANCELLED")


CONFIRMED, CANCELLED = "booking.confirmed", "booking.cancelled"


@pytest.mark.parametrize("type_", [CONFIRMED, CANCELLED])
async def test_it_is_the_calendar_that_came_with_the_letter(type_):
    told = news(type_, payment=a_payment(PaymentStatus.REFUND_DUE))
    letter = calendar_of(read(letters.compose(told)))
    seen = Journey.seen_in(View(told.booking, told.payment, NOW))
    assert Calendar.from_ical(calendar(seen, letters.sender)).to_ical() == letter.to_ical()


# --- for whom --------------------------------------------------------------------------------


async def test_what_is_not_confirmed_has_none(still, alice, flight, asks):
    booking = await alice.book(flight)
    assert refused(await asks(alice, booking)) == (409, "not_confirmed")
    await alice.pay(booking, "tok_declined")
    assert refused(await asks(alice, booking)) == (409, "not_confirmed")
    await alice.cancel(booking)
    assert refused(await asks(alice, booking)) == (409, "not_confirmed")
    late = await alice.book(flight)
    still.advance(minutes=15, seconds=1)
    await still.bookings.driver.settle(late["id"])
    assert refused(await asks(alice, late)) == (409, "not_confirmed")


@pytest.mark.parametrize("paid", [None, a_payment(PaymentStatus.REFUNDED, Failure.CAPTURE_REFUSED)])
async def test_nor_has_what_was_cancelled_before_its_money_was_there(paid):
    assert not was_confirmed(news(CANCELLED).booking, paid)


async def test_to_others_there_is_no_such_booking(alice, bob, flight, asks):
    booking = await a_journey(alice, flight)
    assert refused(await asks(bob, booking)) == (404, "booking_not_found")
    assert "viewed" not in dict(await done(alice, booking))


async def test_staff_get_it_too_and_are_seen_to(still, alice, flight, calendar_for):
    booking = await a_journey(alice, flight)
    stan = await a_member_of_staff(still)
    assert (await calendar_for(stan, booking)).events
    assert (await done(alice, booking))[-1] == ("viewed", "staff")
