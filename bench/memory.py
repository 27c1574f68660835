"""Memory over time: does a process grow while it does the same again and again?"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from .proc import used
from .results import RESULTS, about_run, shown, write
from .rounds import WARM_UP_S, Bench
from .wrk import run_wrk

FILE = RESULTS / "memory.json"
EVERY_S = 10.0
MIB = 1 << 20
CONNECTIONS = 8  # enough to keep it busy, and no more than is served at once


def measure_memory(bench: Bench, minutes: float) -> dict[str, Any]:
    """Resident memory of every part, every ten seconds, while bookings come and go."""
    world = bench.world.write(bench.world.fresh_flights())
    url = bench.system.booking
    run_wrk(url, "life", WARM_UP_S, world=world, connections=CONNECTIONS)
    loads: list[Any] = []
    load = threading.Thread(
        target=lambda: loads.append(
            run_wrk(url, "life", 60 * minutes, world=world, connections=CONNECTIONS)
        )
    )
    load.start()
    seen: dict[str, list[int]] = {part: [] for part in bench.system.pids}
    while load.is_alive():
        for part, pid in bench.system.pids.items():
            seen[part].append(used(pid).rss_bytes)
        load.join(EVERY_S)
    done = loads[0]
    told = {
        "minutes": minutes,
        "every_s": EVERY_S,
        "requests": done.done,
        "statuses": done.statuses,
    }
    return {**about_run(), "database": bench.system.database.name, **told, "rss_bytes": seen}


def show_memory(console: Console, told: dict[str, Any]) -> None:
    """Print it, and write memory.json."""
    title = f"{told['database']}: MiB resident, {told['requests']:,} requests {told['statuses']}"
    table = Table(title=title)
    columns = ("part", "first", "a third", "two thirds", "last", "most", "last third")
    for column in columns:
        table.add_column(column, justify="left" if column == "part" else "right")
    for part, cells in rows(told["rss_bytes"]).items():
        table.add_row(part, *(f"{cell:,.1f}" for cell in cells))
    console.print(table)
    write(FILE, {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **told})
    console.print(f"written: {shown(FILE)}")


def rows(rss_bytes: Mapping[str, Sequence[int]]) -> dict[str, list[float]]:
    """MiB of each part along the way, at most, and by how much it grew in the last third."""
    found = {}
    for part, many in rss_bytes.items():
        third = many[len(many) * 1 // 3], many[len(many) * 2 // 3]
        cells = [many[0], *third, many[-1], max(many), many[-1] - third[1]]
        found[part] = [cell / MIB for cell in cells]
    return found
