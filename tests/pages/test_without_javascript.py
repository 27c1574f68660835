"""The whole story in a browser that runs no scripts."""

from __future__ import annotations

import re

import pytest_asyncio
from playwright.async_api import expect

from .looks import shot
from .test_paying import approval
from .visitor import DAY_H


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visitors):
    return await visitors.comes(java_script_enabled=False)


async def test_the_whole_story(system, visitor):
    flight = await system.flight(await system.a_flight(aircraft="320", departs_in_h=21 * DAY_H))
    await visitor.searches("JFK", "LAX", on=flight["departing_at"][:10], travellers=2)
    await visitor.takes(flight["flight_number"])
    await visitor.registers()

    await visitor.names("Ada Lovelace", "Grace Hopper")
    await visitor.page.get_by_label("Seat for passenger 1").select_option("12A")
    await visitor.page.get_by_label("Seat for passenger 2").select_option("12B")
    await shot(visitor.page, "without-javascript-seats")
    await visitor.holds()
    await visitor.is_("held")
    await visitor.reads(re.compile(r"1[34] min \d\d s left"))
    await visitor.pays_with("tok_visa")
    await visitor.is_("confirmed")

    await visitor.cancels()
    await visitor.is_("cancelled")
    await visitor.reads("258.00 USD")


async def test_a_city_with_several_airports_asks_which_one(system, visitor):
    flight = await system.flight(await system.a_flight(departs_in_h=22 * DAY_H))
    await visitor.opens("/")
    await visitor.page.get_by_label("From").fill("New York")
    await visitor.page.get_by_label("To").fill("LAX")
    await visitor.page.get_by_label("On", exact=True).fill(flight["departing_at"][:10])
    await visitor.presses("Search")
    await visitor.reads("Several airports match")
    await visitor.page.get_by_role("radio", name="(JFK)").check()
    await visitor.presses("Search")
    await visitor.reads(flight["flight_number"])


async def test_a_seat_that_is_gone_is_named_and_nothing_typed_is_lost(system, visitor):
    flight = await system.a_flight()
    await visitor.has_an_account()
    await visitor.opens(f"/book?flight={flight}&cabin=economy&passengers=1")
    await visitor.names("Ada Lovelace")
    await visitor.page.get_by_label("Seat for passenger 1").select_option("12A")
    await (await system.traveller("Someone")).book(flight, seats=["12A"])
    await visitor.presses("Hold the seats")
    await visitor.is_told("12A")
    await expect(visitor.page.get_by_label("Given name")).to_have_value("Ada")
    await expect(visitor.page.get_by_label("Family name")).to_have_value("Lovelace")

    await visitor.holds()  # any seat will do
    await visitor.is_("held")


async def test_a_payer_approves_and_looks_again(system, visitor):
    await visitor.has_an_account()
    await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.pays_with("tok_3ds")
    await approval(visitor, "Approve")

    async def looks() -> bool:
        await visitor.page.reload()
        return await visitor.page.locator("main header .badge").inner_text() == "confirmed"

    await visitor.sees(looks)


async def test_a_declined_payment_is_told_and_its_address_leads_back(system, visitor):
    await visitor.has_an_account()
    booking = await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.pays_with("tok_declined")
    await visitor.is_told("declined")
    await visitor.opens(f"{booking}/pay")
    await visitor.is_("held")
