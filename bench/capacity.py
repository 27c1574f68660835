"""`python -m bench.capacity`: what so many bookings a second take, from what was measured.

A booking is not alone: people look before they book. `Day` says how often, and how full a core may
be. The CPU of each operation is that of `results/latest.json`; which part of the system it is
spent in comes from the newest run that measured it, as `latest.json` keeps the sum alone.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .numbers import FOREIGN
from .page import put_between
from .processes import ROOT
from .results import LATEST_FILE, RESULTS, Latest

PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- capacity: written by `make bench-capacity` -->", "<!-- end of capacity -->"
PARTS = ("booking", "flight", "worker", "database")
RATES = (10, 1_000, 100_000)
SERVERS = ("mariadb", "postgresql")  # SQLite is one machine by nature
Costs = Mapping[str, float]  # milliseconds of CPU, by part


@dataclass(frozen=True)
class Day:
    """What comes with each booking that is made and paid, and how full a core may be."""

    searches: float = 10
    seat_maps: float = 3
    reads: float = 2
    full_max: float = 0.6
    server_cores: int = 64  # of the largest database server that one would buy


def costs(database: str, latest: Latest, runs: list[Mapping[str, Any]], day: Day) -> Costs:
    """The CPU of one booking with all that comes with it, part by part."""
    times = {
        "create_and_pay": 1.0,
        "search": day.searches,
        "seat_map": day.seat_maps,
        "read": day.reads,
    }
    found = dict.fromkeys(PARTS, 0.0)
    for operation, count in times.items():
        shares = _shares(database, operation, runs)
        for part in PARTS:
            whole = latest[database][operation]["cpu_ms"]
            found[part] += count * whole * shares.get(part, 0.0)
    return found


def _shares(database: str, operation: str, runs: list[Mapping[str, Any]]) -> Costs:
    """Which share of it each part had, in the newest run that measured it."""
    for run in runs:
        told = run["databases"].get(database, {}).get("operations", {}).get(operation)
        if told is not None:
            parts = {it: ms for it, ms in told["parts_cpu_ms"].items() if it != FOREIGN}
            whole = sum(parts.values())
            return {part: ms / whole for part, ms in parts.items()}
    raise SystemExit(f"no run in {RESULTS.name} measured {operation} on {database}")


def cores(a_booking: Costs, per_s: float, day: Day) -> dict[str, int]:
    """How many cores each part needs. Of our processes each has one, so it is their number."""
    return {
        part: max(1, math.ceil(per_s * a_booking[part] / 1000 / day.full_max)) for part in PARTS
    }


def limits(a_booking: Costs, day: Day) -> list[tuple[float, str]]:
    """At how many bookings a second what breaks, the first one first.

    What can be had twice breaks nothing. The relay cannot: a lease lets one process of a service
    publish. How much of a worker's CPU is its relay's is not measured, so all of it counts.
    """
    return sorted(
        [
            (
                day.full_max * 1000 / a_booking["worker"],
                "the relay: one process of a service publishes its events",
            ),
            (
                day.full_max * 1000 * day.server_cores / a_booking["database"],
                f"a database server of {day.server_cores} cores, or one primary of it",
            ),
        ]
    )


def lines(latest: Latest, runs: list[Mapping[str, Any]], day: Day) -> Iterator[str]:
    """The page's part."""
    yield (
        f"With each paid booking come {day.searches:g} searches, {day.seat_maps:g} seat maps and "
        f"{day.reads:g} reads; a core is {day.full_max:.0%} full at most."
    )
    yield ""
    yield "| database | bookings/s | booking | flight | worker | database cores |"
    yield "|---|--:|--:|--:|--:|--:|"
    known = {it: costs(it, latest, runs, day) for it in SERVERS if it in latest}
    for database, a_booking in known.items():
        for rate in RATES:
            needed = cores(a_booking, rate, day)
            cells = " | ".join(f"{needed[part]:,}" for part in PARTS)
            yield f"| {database} | {rate:,} | {cells} |"
    yield ""
    yield "What breaks first, and at how many bookings a second:"
    yield ""
    for database, a_booking in known.items():
        for rate, what in limits(a_booking, day):
            yield f"- {database}, {rate:,.0f}: {what}"


def newest_first(folder: Path) -> list[Mapping[str, Any]]:
    """All runs that were saved."""
    told = [json.loads(path.read_text()) for path in folder.glob("[0-9]*.json")]
    return sorted(told, key=lambda run: run["at"], reverse=True)


def bring_up_to_date() -> str:
    """Write the page's part anew, and answer it."""
    latest: Latest = json.loads(LATEST_FILE.read_text())
    text = "\n".join(lines(latest, newest_first(RESULTS), Day()))
    PAGE.write_text(put_between(PAGE.read_text(), BEGIN, END, text))
    return text


def main() -> int:
    """0, once the page is written."""
    sys.stdout.write(bring_up_to_date() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
