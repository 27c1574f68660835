"""A traveller's whole story, looked at on every page it leads to."""

from __future__ import annotations

import re

from playwright.async_api import expect

from .looks import look
from .visitor import DAY_H


async def test_from_the_first_search_to_the_money_back(system, visitors):
    flight = await system.flight(await a_busy_flight(system))
    ada = await visitors.comes("Ada")
    await finds(ada, flight)
    await becomes_a_customer(ada)
    locator = await books(ada)
    await pays(ada, locator)
    await cancels(ada, locator)

    states = await system.seat_states(flight["id"])
    assert (states["12A"], states["12B"]) == ("available", "available")


async def finds(ada, flight) -> None:
    await ada.opens("/")
    await look(ada.page, "01-home")
    await ada.page.get_by_label("From").press_sequentially("kenn")
    await expect(ada.page.get_by_role("option", name="JFK")).to_be_visible()
    await look(ada.page, "02-airports")
    await ada.picks_airport("From", "edy", "JFK")
    await ada.picks_airport("To", "los ang", "LAX")
    await ada.page.get_by_label("On", exact=True).fill(flight["departing_at"][:10])
    await ada.page.get_by_label("Travellers").select_option("2")
    await ada.presses("Search")
    await ada.reads(flight["flight_number"])
    await look(ada.page, "03-flights")
    await ada.takes(flight["flight_number"])


async def becomes_a_customer(ada) -> None:
    await ada.arrives_at("Sign in")
    await look(ada.page, "04-sign-in")
    await ada.follows("Open an account")
    await ada.arrives_at("Open an account")
    await look(ada.page, "05-register")
    await ada.opens_account()


async def books(ada) -> str:
    await ada.arrives_at("Choose your seats")
    await look(ada.page, "06-seats-and-passengers")
    await ada.names("Ada Lovelace", "Grace Hopper")
    await ada.chooses_seat("12A")
    await ada.chooses_seat("12B")
    await look(ada.page, "07-chosen")
    await ada.holds()
    await ada.is_("held")
    await expect(ada.page.get_by_role("timer")).to_have_text(re.compile(r"1[34] min \d\d s left"))
    await ada.reads("258.00 USD")
    await look(ada.page, "08-held")
    return await ada.locator()


async def pays(ada, locator: str) -> None:
    await ada.pays_with("tok_visa")
    await ada.is_("confirmed")
    await look(ada.page, "09-confirmed")
    await ada.follows("Itinerary and boarding code")
    await ada.reads(locator)
    await look(ada.page, "10-itinerary")


async def cancels(ada, locator: str) -> None:
    await ada.follows("My bookings")
    await ada.reads(locator)
    await look(ada.page, "11-my-bookings")
    await ada.follows(locator)
    await ada.follows(re.compile("^Cancel this booking"))
    await ada.reads(re.compile(r"You get back\s+258\.00 USD"))
    await look(ada.page, "12-cancel")
    await ada.presses("Cancel the booking")
    await ada.is_("cancelled")
    await ada.reads("258.00 USD has been given back")
    await look(ada.page, "13-cancelled")


async def a_busy_flight(system) -> str:
    """A flight with two cabins, where others have seats already."""
    flight = await system.a_flight(
        aircraft="320", departs_in_h=20 * DAY_H, first="420.00", economy="129.00"
    )
    someone = await system.traveller("Someone")
    for seats in (["5A", "5B", "5C"], ["11D", "11E"], ["12F"], ["19C", "19D"], ["22A"]):
        booked = await someone.book(flight, party=len(seats), seats=seats)
        assert booked.status == 201, booked.body
    return flight
