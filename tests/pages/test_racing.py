"""Two people want the same seat."""

from __future__ import annotations

import asyncio
import re

from playwright.async_api import expect

from .shapes import WIDE


async def test_two_race_for_one_seat_and_the_loser_books_another(system, visitors):
    flight = await system.a_flight()
    ada, grace = [await at_the_map(visitors, name, flight) for name in ("Ada", "Grace")]
    for racer in (ada, grace):
        await racer.names(f"{racer.name} Racer")
        await racer.chooses_seat("12A")
    await asyncio.gather(*(racer.presses("Hold the seats") for racer in (ada, grace)))

    winner, loser = await one_and_the_other(ada, grace)
    await winner.is_("held")
    await loser.is_told("12A")
    await expect(loser.page.get_by_label("Given name")).to_have_value(loser.name)
    await expect(loser.seat("12A")).to_have_class(re.compile("taken"))

    await loser.chooses_seat("12C")
    await loser.holds()
    await loser.is_("held")
    await loser.reads("12C")
    states = await system.seat_states(flight)
    assert (states["12A"], states["12C"]) == ("held", "held")


async def test_a_seat_taken_elsewhere_turns_grey_while_one_looks(system, visitors):
    flight = await system.a_flight()
    ada = await at_the_map(visitors, "Ada", flight)
    await expect(ada.seat("12A")).to_have_class(re.compile("available"))
    someone = await system.traveller("Someone")
    booking = await someone.book(flight, seats=["12A"])
    await expect(ada.seat("12A")).to_have_class(re.compile("taken"))
    await expect(ada.seat("12A")).to_have_accessible_name(re.compile("taken"))

    await someone.cancel(booking)
    await expect(ada.seat("12A")).to_have_class(re.compile("available"))
    await ada.chooses_seat("12A")


async def test_whoever_has_chosen_it_already_is_told_at_once(system, visitors):
    flight = await system.a_flight()
    ada = await at_the_map(visitors, "Ada", flight)
    await ada.names("Ada Lovelace")
    await ada.chooses_seat("12A")
    await (await system.traveller("Someone")).book(flight, seats=["12A"])
    await ada.is_told(re.compile("12A.*taken"))
    await expect(ada.page.get_by_label("Seat for passenger 1")).to_have_value("")
    await expect(ada.page.get_by_label("Given name")).to_have_value("Ada")


async def at_the_map(visitors, name: str, flight: str):
    """Somebody who looks at this flight's seats."""
    visitor = await visitors.comes(name, WIDE)
    await visitor.has_an_account()
    await visitor.opens(f"/book?flight={flight}&cabin=economy&passengers=1")
    return visitor


async def one_and_the_other(ada, grace):
    """Whoever has the booking, and the other one."""
    won = re.compile("/bookings/")
    for racer in (ada, grace):
        await racer.page.wait_for_load_state()
        await expect(
            racer.page.get_by_role("timer").or_(racer.page.get_by_role("alert"))
        ).to_be_visible()
    winners = [racer for racer in (ada, grace) if won.search(racer.page.url)]
    assert len(winners) == 1, [racer.page.url for racer in (ada, grace)]
    return (ada, grace) if winners == [ada] else (grace, ada)
