"""`python -m bench.contended`: conflicts of replicas, simulated and measured side by side."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import structlog

from support.databases import fresh_database, migrate

from .contention import Costs, Setup, simulate
from .contention_measured import Timed, add_flights, costs_of, measure
from .machine import commit, machine
from .page import put_between
from .plot import Line, plot
from .processes import ROOT
from .results import RESULTS, write

FILE, PLOT = RESULTS / "contention.json", ROOT / "docs" / "scale-contention.svg"
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- contention: written by `make bench-contention` -->", "<!-- end of contention -->"
SIZES = (2, 8, 32, 64)  # clients of one replica, and so the sizes of its batches
ROUNDS = 5
FLIGHTS_TO_FIT = 20
PLACES = ((1, 1), (2, 1), (3, 1), (1, 200), (2, 200), (3, 200))  # replicas, flights
CLIENTS = 48  # of all replicas together, so that they are offered the same
SPARE = 7_500
REPLICAS = (1, 2, 4, 8, 16)
PREDICTED = (
    ("one flight", 1, 0.0),
    ("100 flights", 100, 0.0),
    ("10,000 flights", 10_000, 0.0),
    ("10,000 flights, Zipf", 10_000, 1.0),
)
OF_EACH = 4  # clients of a replica in the prediction: batches of a few, as under a usual load
COMPARED = ("holds_per_s", "batch", "lost_per_batch", "p50_ms", "p99_ms")


def main() -> int:
    """0, once all is written."""
    parser = argparse.ArgumentParser(prog="python -m bench.contended", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh_database("mariadb", Path(folder)) as url,
    ):
        migrate(url)
        told = {**commit(), "machine": machine(), "seed": given.seed, "seconds": given.seconds}
        told |= _measured(url, given.seconds, given.seed)
    told["predicted"] = predicted(_costs(told["costs"]), given.seed)
    sys.stdout.write("\n".join(lines(told)) + "\n")
    if not given.dry:
        write(FILE, told)
        PLOT.write_text(drawn(told["predicted"]))
        page = PAGE.read_text()
        PAGE.write_text(put_between(page, BEGIN, END, "\n".join(lines(told))))
    return 0


def _measured(url: str, seconds: float, seed: int) -> dict[str, Any]:
    spare = iter(add_flights(url, SPARE))

    def one(replicas: int, flights: int, clients: int, lasts_s: float) -> Any:
        some = [next(spare) for _ in range(flights + 220)]
        given = {"replicas": replicas, "flights": flights, "clients": clients}
        return asyncio.run(measure(url, some, seconds=lasts_s, **given))

    runs: list[Timed] = []
    # In turns: a disk that is slow for some seconds is then slow for all sizes alike.
    for clients in SIZES * ROUNDS:
        _, times, busy = one(1, FLIGHTS_TO_FIT, clients, seconds / ROUNDS)
        runs += times.runs
    costs = costs_of(runs, busy)
    compared = []
    for replicas, flights in PLACES:
        clients = CLIENTS // replicas
        found, _, _ = one(replicas, flights, clients, seconds)
        setup = Setup(costs, replicas, flights, clients=clients, cores=1, seed=seed)
        compared.append(
            {
                "replicas": replicas,
                "flights": flights,
                "measured": found.figures(),
                "simulated": simulate(setup).figures(),
            }
        )
    return {"costs": asdict(costs), "compared": compared}


def predicted(costs: Costs, seed: int) -> list[dict[str, Any]]:
    """More replicas than one machine has room for, each with a core of its own."""
    found = []
    for name, flights, zipf in PREDICTED:
        for replicas in REPLICAS:
            setup = Setup(costs, replicas, flights, clients=OF_EACH, zipf=zipf, seed=seed)
            found.append(
                {
                    "what": name,
                    "replicas": replicas,
                    "server": simulate(setup).figures(),
                    "cluster": simulate(replace(setup, cluster=True)).figures(),
                }
            )
    return found


def drawn(told: list[dict[str, Any]]) -> str:
    """Holds a second against replicas, one replica being 1."""
    of = {name: [it for it in told if it["what"] == name] for name, _, _ in PREDICTED}
    several = [
        Line(name, [it["server"]["holds_per_s"] / many[0]["server"]["holds_per_s"] for it in many])
        for name, many in of.items()
    ]
    axis = "holds a second, one replica = 1"
    places = [f"{it}" for it in REPLICAS]
    return plot(several, places, band=0.0, axis=axis, about="Holds a second against replicas")


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """The page's part: what was measured beside what was simulated, and what is predicted."""
    costs, on = told["costs"], told["machine"]
    yield (
        f"Commit `{told['commit']}`{' with changes' if told['dirty'] else ''}, {on['cores']} cores "
        f"of {on['cpu']}, MariaDB, seed {told['seed']}. A batch of n holds took "
        f"{1000 * costs['base_s']:.1f} + {1000 * costs['each_s']:.2f} n ms; {costs['reads']:.0%} "
        "of that had passed when its seats were chosen."
    )
    yield ""
    yield "| replicas | flights | | holds/s | batch | lost runs a batch | p50, ms | p99, ms |"
    yield "|--:|--:|---|--:|--:|--:|--:|--:|"
    for it in told["compared"]:
        for kind in ("measured", "simulated"):
            where = f"| {it['replicas']} | {it['flights']} " if kind == "measured" else "| | "
            yield f"{where}| {kind} | {_cells(it[kind])} |"
    yield ""
    yield "Predicted, with a core for each replica and few clients at each:"
    yield ""
    yield (
        "| flights | replicas | holds/s | lost runs a batch | p99, ms "
        "| Galera: holds/s | lost runs | p99, ms |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for it in told["predicted"]:
        server, cluster = it["server"], it["cluster"]
        yield (f"| {it['what']} | {it['replicas']} | {_short(server)} | {_short(cluster)} |")


def _cells(found: Mapping[str, float]) -> str:
    return " | ".join(
        f"{found[it]:,.2f}" if it == "lost_per_batch" else f"{found[it]:,.0f}" for it in COMPARED
    )


def _short(found: Mapping[str, float]) -> str:
    return f"{found['holds_per_s']:,.0f} | {found['lost_per_batch']:.2f} | {found['p99_ms']:,.0f}"


def _costs(told: Mapping[str, Any]) -> Costs:
    return Costs(**{**told, "spread": tuple(told["spread"])})


if __name__ == "__main__":
    sys.exit(main())
