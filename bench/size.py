"""Cost against size: the same operations with a thousand flights, and with millions of rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from .bulk import Bulk
from .expiry import measure_expiry
from .operations import BY_NAME
from .plot import Line, plot
from .processes import ROOT
from .results import RESULTS, about_run, described, shown, write
from .rounds import Bench, run_rounds

MEASURED = ("create", "read", "search")
SIZES = "1000:0,336776:0,3000000:0,3000000:2000000"
FLAT_MAX = 0.2  # how much an operation may cost more or less than with the fewest rows
FILE, PLOT = RESULTS / "size.json", ROOT / "docs" / "performance-size.svg"


@dataclass(frozen=True)
class Size:
    """How many flights and bookings there are beside those that the load itself makes."""

    flights: int
    bookings: int

    def __str__(self) -> str:
        more = f" and {_short(self.bookings)} bookings" if self.bookings else ""
        return f"{_short(self.flights)} flights{more}"


def sizes(text: str) -> list[Size]:
    """From `1000:0,336776:0`: flights and bookings, never fewer than before."""
    found = [Size(*map(int, it.split(":"))) for it in text.split(",")]
    if found != sorted(found, key=lambda it: (it.flights, it.bookings)):
        raise ValueError(f"{text}: the smallest comes first")
    return found


def measure_sizes(bench: Bench, wanted: list[Size], rounds: int, server: str) -> dict[str, Any]:
    """Let the databases grow, and measure at each size."""
    bulk = Bulk(bench.system)
    operations = [BY_NAME[it] for it in MEASURED]
    run_rounds(bench, operations, 1)  # thrown away: it pays for all that is made once
    points = []
    for size in wanted:
        began_at = time.monotonic()
        bulk.grow(size.flights, size.bookings)
        if not bench.rest():  # what was made before is paid for before
            raise SystemExit(f"{size}: the system did not come to rest")
        bench.say(f"{size}: grown in {time.monotonic() - began_at:.0f} s")
        samples = run_rounds(bench, operations, rounds)
        told = described(samples, server)["operations"]
        points.append(
            {
                "size": str(size),
                "flights": size.flights,
                "bookings": size.bookings,
                "operations": {it: told[it] for it in MEASURED},
                "expiry": measure_expiry(bench),
            }
        )
    return {
        **about_run(),
        "database": bench.system.database.name,
        "server": server,
        "points": points,
    }


def lines(told: dict[str, Any]) -> list[Line]:
    """Each cost at each size, as a multiple of what it was at the first one."""
    points = told["points"]
    costs = {
        name: [point["operations"][name]["cpu_ms"] for point in points] for name in MEASURED
    } | {"expire": [point["expiry"]["cpu_ms"] for point in points]}
    return [
        Line(f"{name} ({many[0]:.2f} ms)", [cost / many[0] for cost in many])
        for name, many in costs.items()
    ]


def show_sizes(console: Console, told: dict[str, Any]) -> None:
    """Print it, and write size.json and the plot."""
    table = Table(title=f"{told['database']}: CPU against size, 1 is that of the smallest")
    names = [point["size"] for point in told["points"]]
    for column in ("operation", *names, "flat"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    for line in lines(told):
        flat = all(abs(value - 1) <= FLAT_MAX for value in line.values)
        table.add_row(
            line.name,
            *(f"{value:.2f}" for value in line.values),
            "met" if flat else "[yellow]missed",
        )
    questions = (f"{point['expiry']['question_ms']:.2f}" for point in told["points"])
    table.add_row("what is due? (ms)", *questions, "")
    console.print(table)
    write(FILE, told)
    PLOT.write_text(plot(lines(told), names, band=FLAT_MAX))
    console.print(f"written: {shown(FILE)}, {shown(PLOT)}")


def _short(number: int) -> str:
    millions, rest = divmod(number, 1_000_000)
    return f"{millions} million" if millions and not rest else f"{number:,}"
