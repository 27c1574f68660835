"""What the pages cost, and how heavy they are: CPU, bytes, requests."""

from __future__ import annotations

import random
import re
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from skyhold.kernel.ids import new_id

from .floors import measure_bare
from .numbers import Spread, total_ms
from .operations import FLOOR
from .proc import cpu_of, wait_until_quiet
from .results import RESULTS, about_run, shown, write
from .rounds import FLOOR_S, Bench, warm_up
from .samples import sample_of
from .world import World
from .wrk import run_wrk

FILE = RESULTS / "pages.json"
PAGES = {
    "search form": "/",
    "results": "/flights?{search}&passengers=1",
    "seats and passengers": f"/book?flight={{flight}}&cabin=economy&passengers=1&key={new_id()}",
    "a booking": "/bookings/{booking}",
    "my bookings": "/bookings",
    "itinerary": "/bookings/{booking}/itinerary",
}
OWN_FILES = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def measure_pages(bench: Bench, rounds: int) -> dict[str, Any]:
    """Each page some seconds in each round, with the bare endpoint right before it."""
    warm_up(bench, ())
    costs: dict[str, list[float]] = {name: [] for name in PAGES}
    ratios: dict[str, list[float]] = {name: [] for name in PAGES}
    for number in range(rounds + 1):
        bench.say(f"round {number} of {rounds}" if number else "warming up")
        for name, page in PAGES.items():
            floor = measure_bare(bench.bare, bench.world, FLOOR_S).cpu_ms[FLOOR]
            cost = _cost(bench, name, page)
            if number:
                costs[name].append(cost)
                ratios[name].append(cost / floor)
    weights = {name: _weight(bench, page) for name, page in PAGES.items()}
    return {
        **about_run(),
        "database": bench.system.database.name,
        "pages": {
            name: {
                "cpu_ms": round(Spread.of(costs[name]).median, 3),
                "floors": round(Spread.of(ratios[name]).median, 1),
                **weights[name],
            }
            for name in PAGES
        },
    }


def show_pages(console: Console, told: dict[str, Any]) -> None:
    """Print it, and write pages.json."""
    table = Table(title="what a page costs and weighs")
    for column in ("page", "CPU, ms", "x floor", "page, KB", "packed, KB", "all, KB", "requests"):
        table.add_column(column, justify="left" if column == "page" else "right")
    for name, page in told["pages"].items():
        table.add_row(
            name,
            f"{page['cpu_ms']:.1f}",
            f"{page['floors']:.0f}",
            *(f"{page[it] / 1e3:.1f}" for it in ("bytes", "packed_bytes", "first_visit_bytes")),
            str(page["requests"]),
        )
    console.print(table)
    write(FILE, told)
    console.print(f"written: {shown(FILE)}")


def _cost(bench: Bench, name: str, page: str) -> float:
    pids = bench.system.pids
    world = bench.world.write([])
    before = cpu_of(pids)
    load = run_wrk(
        bench.system.booking, "page", bench.seconds, world=world, told={"BENCH_PAGE": page}
    )
    wait_until_quiet(pids)
    sample = sample_of(load, before, cpu_of(pids), "200")
    if sample.problem:
        raise SystemExit(f"{name}: {sample.problem}")
    return total_ms(sample.cpu_ms)


def _weight(bench: Bench, page: str) -> dict[str, int]:
    """What goes over the wire at a first visit: the page, and all that it loads."""
    token, address = _filled_in(bench.world, page)
    with httpx.Client(base_url=bench.system.booking, cookies={"skyhold_access": token}) as http:
        reply = http.get(address)
        assert reply.status_code == 200, (address, reply.status_code)  # noqa: PLR2004
        files = set(OWN_FILES.findall(reply.text))
        loaded = [http.get(it).num_bytes_downloaded for it in files]
    return {
        "bytes": len(reply.content),
        "packed_bytes": reply.num_bytes_downloaded,
        "first_visit_bytes": reply.num_bytes_downloaded + sum(loaded),
        "requests": 1 + len(loaded),
    }


def _filled_in(world: World, page: str) -> tuple[str, str]:
    """Somebody's token, and the address of a page that is theirs to see."""
    booking, user = random.Random(1).choice(list(world.bookings))  # noqa: S311
    flight = world.schedule[0]
    search = f"origin={flight.origin}&destination={flight.destination}&date={flight.day}"
    address = page.format(booking=booking, flight=flight.id, search=search)
    return world.tokens[user - 1], address  # Lua counts from 1
