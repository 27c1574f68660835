"""`make galera`: the suites on a real cluster of three nodes, and what became of them.

Exits with 1 when anything failed, or a stage ran nothing at all.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from support.galera import Cluster, missing

from .results import Result, read

MIGRATIONS = ("tests/booking/test_booking_migrations.py", "tests/flight/test_flight_migrations.py")
RACES = "tests/journeys/test_races.py"
A_RACE = "five_hundred_people"
# What is run, one after the other, each with pytest's arguments. On the cluster:
ON_IT: dict[str, Sequence[str]] = {
    "contracts": ("tests/contract", "-k", "galera"),
    "schemas": (*MIGRATIONS, "-k", "galera"),
    "journeys": ("tests/journeys", "-k", f"galera and not {A_RACE}"),
    "race": (RACES, "-k", f"galera and {A_RACE}"),
}
# And with clusters of their own, whose nodes are killed:
OF_THEIR_OWN: dict[str, Sequence[str]] = {
    "nodes that die": ("tests/galera", "--ignore", "tests/galera/test_faults.py"),
    "faults": ("tests/galera/test_faults.py",),
}


def main() -> int:
    """0: everything that was asked for ran, and passed."""
    names = [*ON_IT, *OF_THEIR_OWN]
    parser = argparse.ArgumentParser(prog="make galera", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="this one; may be repeated")
    wanted = parser.parse_args().only or names
    if lack := missing():
        print(lack, file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="skyhold-galera-"))
    folder.chmod(0o755)  # the server is another user
    try:
        results = asyncio.run(_run(folder, wanted))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _show(results)
    return 0 if all(result.is_good for result in results) else 1


async def _run(folder: Path, wanted: Sequence[str]) -> list[Result]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    results = []
    if on_it := [name for name in ON_IT if name in wanted]:
        begun = time.monotonic()
        cluster = Cluster(folder / "cluster")
        try:
            await cluster.start()
            await cluster.ready()
            print(f"three nodes after {time.monotonic() - begun:.0f} s", flush=True)
            urls = ",".join(node.url("") for node in cluster.nodes)
            results += [await _stage(name, ON_IT[name], folder, urls) for name in on_it]
        finally:
            await cluster.close()
    own = [each for each in OF_THEIR_OWN.items() if each[0] in wanted]
    return results + [await _stage(name, what, folder, "none") for name, what in own]


async def _stage(name: str, what: Sequence[str], folder: Path, urls: str) -> Result:
    print(f"\n== {name}", flush=True)
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "--tb=native"),  # others trip over greenlets
        *("-o", "junit_family=xunit1", f"--junitxml={report}"),
        *what,
        env=os.environ | {"SKYHOLD_TEST_ENGINES": "galera", "SKYHOLD_TEST_GALERA_URLS": urls},
    )
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    return read(report, name, status)


def _show(results: Sequence[Result]) -> None:
    table = Table("", "passed", "failed", "skipped", "took", "")
    for result in results:
        counts = map(str, (result.passed, result.failed, result.skipped))
        table.add_row(result.name, *counts, f"{result.took_s:.0f} s", result.figures)
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
