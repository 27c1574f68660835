"""Take the pictures that README.md shows: a seat map as a traveller sees it, and the desk.

A system of its own is started with the demo schedule, and lives through a day and a half of
bookings in some seconds. Run by `make screenshots`; needs Chromium.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import expect

from pages.chromium import chromium
from pages.shapes import Shape
from pages.stage import House, Visitors, clients, hire, serving
from pages.visitor import Visitor
from support.system import TwoProcesses, eventually
from support.traveller import Traveller

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SCREEN = Shape("readme", 1200, 900)
HOURS = 36
NIGHT = range(8)
ROUTE = {"origin": "JFK", "destination": "LAX", "passengers": "1"}
DAYS_AHEAD = 4
AIRCRAFT = "Airbus A320"
OUTCOMES = ("paid", "paid", "paid", "paid", "cancelled", "expired")
CHOSEN = ("Ada Lovelace", "Grace Hopper")
PAYING_MINUTES, PAUSE_MINUTES = 16, 44

chance = random.Random(7)  # noqa: S311 - the same pictures every time


async def main() -> None:
    """Both pictures, into docs/images."""
    with tempfile.TemporaryDirectory() as folder:
        _put_back_clock(Path(folder, "clock"))
        with serving(Path(folder), "--demo") as house:
            async with clients(house) as system, chromium() as browser:
                flights = await _flights(system)
                for hour in range(HOURS):
                    await _an_hour(system, flights, hour)
                visitors = Visitors(browser, house.url)
                await _seats(await visitors.comes("Ada", SCREEN), system, flights[0])
                await _desk(await visitors.comes("Dora", SCREEN), house)


def _put_back_clock(file: Path) -> None:
    file.write_text(str(-3600 * HOURS))


async def _flights(system: TwoProcesses) -> list[str]:
    """Some of one kind of aircraft, days ahead."""
    day = (system.now() + timedelta(hours=HOURS, days=DAYS_AHEAD)).date()
    found = await system.flights_http.get("/api/v1/flights", params=ROUTE | {"date": str(day)})
    return [it["id"] for it in found.json()["data"] if it["aircraft"].startswith(AIRCRAFT)][:2]


async def _an_hour(system: TwoProcesses, flights: Sequence[str], hour: int) -> None:
    """Some book and most of them pay; at night there are fewer."""
    traveller = await system.traveller("Nora")
    many = chance.randint(0, 1) if hour % 24 in NIGHT else chance.randint(2, 6)
    made = [await _a_booking(system, traveller, chance.choice(flights)) for _ in range(many)]
    system.advance(minutes=PAYING_MINUTES)

    async def is_over() -> bool:
        return all([(await traveller.get(booking))["status"] != "held" for booking in made])

    await eventually(is_over, within_s=60)
    system.advance(minutes=PAUSE_MINUTES)


async def _a_booking(system: TwoProcesses, traveller: Traveller, flight: str) -> dict[str, str]:
    seats = await _neighbours(system, flight)
    booked = await traveller.book(flight, party=len(seats), seats=seats)
    outcome = chance.choice(OUTCOMES)
    if outcome != "expired":
        await traveller.pay(booked)
    if outcome == "cancelled":
        await traveller.cancel(booked)
    return {"id": booked["id"]}


async def _neighbours(system: TwoProcesses, flight: str) -> list[str]:
    """One seat, or two beside each other."""
    rows = await _rows(system, flight)
    pairs = [pair for row in rows for pair in pairwise(row) if _close(*pair)]
    return list(chance.choice(pairs))[: chance.randint(1, 2)]


async def _rows(system: TwoProcesses, flight: str) -> list[list[str]]:
    """The free economy seats, row by row."""
    seat_map = (await system.flights_http.get(f"/api/v1/flights/{flight}/seats")).json()
    return [
        [seat["seat"] for seat in row["seats"] if seat["status"] == "available"]
        for cabin in seat_map["cabins"]
        if cabin["cabin"] == "economy"
        for row in cabin["rows"]
    ]


def _close(one: str, other: str) -> bool:
    return ord(other[-1]) - ord(one[-1]) == 1


async def _seats(ada: Visitor, system: TwoProcesses, flight: str) -> None:
    """Two choose their seats beside each other, in the middle of the aircraft."""
    rows = await _rows(system, flight)
    pairs = [row[:2] for row in rows if row and _close(*row[:2])]
    await ada.has_an_account()
    await ada.opens(f"/book?flight={flight}&cabin=economy&passengers={len(CHOSEN)}")
    await ada.names(*CHOSEN)
    for seat in pairs[len(pairs) // 3]:
        await ada.chooses_seat(seat)
    await ada.page.locator("[data-seat-picker]").evaluate(
        "it => scrollTo(0, it.closest('section').getBoundingClientRect().top + scrollY - 16)"
    )
    await _picture(ada, "seats")


async def _desk(dora: Visitor, house: House) -> None:
    await dora.signs_in(await hire(house, "desk@example.com"))
    await dora.opens("/desk")
    await expect(dora.page.get_by_role("img").first).to_be_visible()
    await dora.page.locator("h1").evaluate(
        "it => scrollTo(0, it.getBoundingClientRect().top + scrollY - 16)"
    )
    await _picture(dora, "desk")


async def _picture(visitor: Visitor, name: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    file = IMAGES / f"{name}.png"
    await visitor.page.mouse.move(0, 0)
    await visitor.page.screenshot(path=file, animations="disabled", caret="hide")
    print(f"{file}: {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except pytest.skip.Exception as lacking:
        sys.exit(str(lacking))
