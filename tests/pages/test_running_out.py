"""The time to pay runs out while somebody looks."""

from __future__ import annotations

import re

from playwright.async_api import expect

from .looks import look

MINUTE_MS = 60_000


async def test_the_countdown_runs_out_and_the_page_says_so(system, visitor):
    await visitor.page.clock.install()  # the browser's time, as the clock file is the services'
    flight = await system.a_flight()
    await visitor.has_an_account()
    await visitor.has_booked(flight, "12A")
    countdown = visitor.page.get_by_role("timer")
    await expect(countdown).to_have_text(re.compile(r"1[34] min \d\d s left"))
    await visitor.page.clock.fast_forward(10 * MINUTE_MS)
    await expect(countdown).to_have_text(re.compile(r"[34] min \d\d s left"))

    system.advance(minutes=16)
    await visitor.page.clock.fast_forward(6 * MINUTE_MS)
    await expect(countdown).to_have_count(0)
    await visitor.is_("expired")
    await visitor.reads("The time to pay has run out")
    await visitor.reads("You have not been charged")
    await look(visitor.page, "booking-expired")


async def test_whoever_pays_too_late_is_told_and_keeps_their_money(system, visitor):
    flight = await system.a_flight()
    await visitor.has_an_account()
    booking = await visitor.has_booked(flight, "12A")
    system.advance(minutes=16)
    await visitor.pays_with("tok_visa")
    await visitor.is_told("please book again")
    await visitor.is_("expired")
    await visitor.reads("You have not been charged")

    answer = await visitor.page.request.get(f"/api/v1{booking}")
    assert (await answer.json())["payment"] is None
    assert (await system.seat_states(flight))["12A"] == "available"


async def test_a_booking_that_ran_out_leads_to_a_new_search(system, visitor):
    await visitor.has_an_account()
    booking = await visitor.has_booked(await system.a_flight(), "12A")
    system.advance(minutes=16)
    await visitor.opens(booking)
    await visitor.follows("Search again")
    await expect(visitor.page.get_by_label("From")).to_be_visible()
