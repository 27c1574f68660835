"""`python -m bench`: what each operation costs, beside its floor."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from .capacity import PAGE as CAPACITY
from .capacity import bring_up_to_date
from .compare import show_against
from .floors import start_bare
from .machine import server_version
from .memory import measure_memory, show_memory
from .operations import BY_NAME, OPERATIONS
from .pages import measure_pages, show_pages
from .results import LATEST_FILE, described, latest_of, save, shown
from .rounds import Bench, run_rounds
from .servers import NAMES
from .size import SIZES, measure_sizes, show_sizes, sizes
from .startup import measure_startup, show_startup
from .system import running
from .table import show
from .world import make_world

# Where a durable commit reaches a disk: /tmp may be in memory.
LASTING = "/var/tmp" if Path("/var/tmp").is_dir() else None  # noqa: S108 - each makes its own
WIDE = 140  # a table's cells are read side by side


def main() -> int:
    """0: everything was measured. 1: some answers were not what they should be."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDE)
    given = _options()
    if given.size or given.memory or given.startup or given.pages:
        _measure_else(given, console)
        return 0
    databases = {name: _measure(name, given, console) for name in given.db or NAMES}
    if given.against:
        show_against(console, latest_of({"databases": databases}), given.against)
    if not given.dry:
        path = save(databases, {"seconds": given.seconds, "rounds": given.rounds})
        bring_up_to_date()
        console.print(f"written: {shown(path)}, {shown(LATEST_FILE)}, {shown(CAPACITY)}")
    failed = [it for found in databases.values() for it in found["operations"].values()]
    return 1 if any(it["failed"] for it in failed) else 0


def _measure(name: str, given: argparse.Namespace, console: Console) -> dict[str, Any]:
    operations = [BY_NAME[it] for it in given.only.split(",")] if given.only else OPERATIONS
    with _bench(name, given, console) as bench:
        samples = run_rounds(bench, operations, given.rounds)
        show(console, name, samples)
        return described(samples, server_version(bench.system))


def _measure_else(given: argparse.Namespace, console: Console) -> None:
    """What is asked of one database only: MariaDB, unless another one is named."""
    with _bench((given.db or ["mariadb"])[0], given, console) as bench:
        if given.startup:
            show_startup(console, measure_startup(bench.system))
        if given.memory:
            show_memory(console, measure_memory(bench, given.memory))
        if given.pages:
            show_pages(console, measure_pages(bench, given.rounds))
        if given.size:
            server = server_version(bench.system)
            wanted = sizes(given.sizes)
            show_sizes(console, measure_sizes(bench, wanted, given.rounds, server))


@contextmanager
def _bench(name: str, given: argparse.Namespace, console: Console) -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="skyhold-bench-", dir=LASTING) as folder,
        running(name, Path(folder)) as system,
    ):
        yield Bench(
            system=system,
            world=make_world(system),
            bare=start_bare(system.processes),
            seconds=given.seconds,
            say=lambda text: console.print(text, style="dim", markup=False, soft_wrap=True),
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("--db", choices=NAMES, action="append", help="several times for several")
    parser.add_argument("--seconds", type=float, default=5, help="each operation in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="operations, separated by commas")
    parser.add_argument("--against", type=Path, help="a file of bench/results to compare with")
    parser.add_argument("--dry", action="store_true", help="write nothing down")
    parser.add_argument("--size", action="store_true", help="cost against size")
    parser.add_argument("--sizes", default=SIZES, help="FLIGHTS:BOOKINGS,…, the smallest first")
    parser.add_argument("--memory", type=float, metavar="MINUTES", help="memory over time")
    parser.add_argument("--startup", action="store_true", help="how long it takes to start")
    parser.add_argument("--pages", action="store_true", help="what the pages cost and weigh")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
