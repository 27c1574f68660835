"""Staff: what happened to this booking, and a flight that does not go."""

from __future__ import annotations

import re

import pytest_asyncio
from playwright.async_api import expect

from .looks import look
from .shapes import WIDE
from .stage import hire


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def staff(house) -> str:
    return await hire(house, "desk@example.com")


@pytest_asyncio.fixture(loop_scope="session")
async def dora(visitors, staff):
    """At the desk, signed in."""
    dora = await visitors.comes("Dora", WIDE)
    await dora.signs_in(staff)
    await dora.follows(re.compile("^Desk$"))
    return dora


async def test_what_happened_to_this_booking(system, visitors, dora):
    ada = await visitors.comes("Ada")
    await ada.has_an_account()
    await ada.has_booked(await system.a_flight(), "12A")
    locator = await ada.locator()
    await ada.pays_with("tok_declined")
    await ada.is_told("declined")
    await ada.pays_with("tok_visa")
    await ada.is_("confirmed")

    await dora.arrives_at("Desk")
    await look(dora.page, "desk-01-front")
    await dora.page.get_by_label("Record locator").fill(locator.lower())
    await dora.presses("Look up")
    await dora.arrives_at(locator)
    for told in ("Payment declined", "Confirmed", "12A", "129.00 USD", "Hold in the flight"):
        await dora.reads(told)
    await look(dora.page, "desk-02-story")

    # Whoever's booking it is can read that somebody looked.
    await ada.page.reload()
    await ada.reads(re.compile(r"by (staff|the desk)", re.IGNORECASE))


async def test_a_booking_is_found_by_its_surname(system, visitors, dora):
    ada = await visitors.comes("Ada")
    await ada.has_an_account()
    await ada.has_booked(await system.a_flight(), "12A")
    locator = await ada.locator()
    await dora.follows(re.compile("^Bookings$"))
    await dora.page.get_by_label("or surname").fill("Lovelace")
    await dora.presses("Look up")
    await dora.reads(locator)
    await look(dora.page, "desk-03-found")


async def test_a_flight_is_cancelled_and_who_is_on_it_is_seen_first(system, visitors, dora):
    flight = await system.a_flight(aircraft="320", first="420.00", economy="129.00")
    ada = await visitors.comes("Ada")
    await ada.has_an_account()
    booking = await ada.has_booked(flight, "12A")
    locator = await ada.locator()
    await ada.pays_with("tok_visa")
    await ada.is_("confirmed")

    await dora.follows(re.compile("^Flights$"))
    await look(dora.page, "desk-04-flights")
    await dora.page.get_by_label("Flight", exact=True).fill(flight)
    await dora.presses("Find")
    await dora.arrives_at(flight)
    await look(dora.page, "desk-05-flight")
    await dora.follows(re.compile("^Cancel this flight"))
    await dora.reads("1 booking with 1 passenger is affected")
    await dora.reads(locator)
    await look(dora.page, "desk-06-affected")
    await dora.presses("Cancel the flight")
    await dora.is_told("The flight is cancelled")

    await until_changed(ada, booking)
    await ada.opens(booking)
    await ada.is_("cancelled")
    await ada.reads("does not go")
    await ada.reads("129.00 USD")
    await look(ada.page, "booking-flight-cancelled")


async def test_a_flight_gets_new_times_and_its_traveller_sees_them(system, visitors, dora):
    flight = await system.a_flight()
    facts = await system.flight(flight)
    ada = await visitors.comes("Ada")
    await ada.has_an_account()
    booking = await ada.has_booked(flight, "12A")

    await dora.opens(f"/desk/flights/{flight}")
    for label, instant in (("Leaves JFK", "departing_at"), ("Lands in LAX", "arriving_at")):
        local = facts[instant][:14] + ("07" if facts[instant][14:16] != "07" else "08")
        await dora.page.get_by_label(label).fill(local)
    await dora.presses(re.compile("^See who is affected"))
    await dora.reads("1 booking")
    await look(dora.page, "desk-07-retime")
    await dora.presses("Change the times")
    await dora.is_told("The flight has new times")

    await until_changed(ada, booking)
    await ada.opens(booking)
    await ada.reads("has new times")
    await look(ada.page, "booking-flight-retimed")


async def test_what_waits_and_the_last_audit(dora):
    await dora.follows(re.compile("^Queues$"))
    await dora.arrives_at("Queues")
    await dora.reads("The last audit")
    await look(dora.page, "desk-08-queues")


async def test_for_a_customer_there_is_no_desk(visitor):
    await visitor.has_an_account()
    await visitor.opens("/")
    await expect(visitor.page.get_by_role("link", name="Desk")).to_have_count(0)
    await visitor.opens("/desk")
    await visitor.arrives_at("There is no such page")


async def until_changed(visitor, booking: str) -> None:
    """Until the booking has heard of its flight's change."""

    async def heard() -> bool:
        answer = await visitor.page.request.get(f"/api/v1{booking}")
        return bool((await answer.json())["changes"])

    await visitor.sees(heard)
