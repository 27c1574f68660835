"""`python -m rabbit_cluster`: kill -9 nodes of a RabbitMQ cluster under load. Is an event lost?"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from support.rabbit_cluster import Cluster, lacking

from .story import Story, begin

BEFORE_S = 3.0
SETTLES_S = 1.0  # what was on its way when the node died has been answered by then
ENDS_WITHIN_S = 120.0
# Where a durable commit reaches a disk: /tmp may be in memory.
LASTING = "/var/tmp" if Path("/var/tmp").is_dir() else None  # noqa: S108 - each makes its own


@dataclass(frozen=True)
class Kill:
    """One node's death and return: what was confirmed meanwhile, and how long nothing was."""

    node: int
    dead_s: float
    confirmed: int  # from a moment after its death until it was started again
    pause_s: float  # the longest without any confirmation
    after_start_s: float  # from its start until an event was confirmed


@dataclass(frozen=True)
class Run:
    """What a cluster of so many nodes did."""

    nodes: int
    kills: list[Kill]
    written: int
    unpublished: int
    never_arrived: int
    came_again: int
    overtaken: int
    without_effect: int
    effect_twice: int
    dead_letters: int

    def problems(self) -> list[str]:
        """What must not be."""
        found = [
            f"{number} {what}"
            for number, what in (
                (self.unpublished, "events were never published"),
                (self.never_arrived, "events never arrived"),
                (self.without_effect, "events had no effect"),
                (self.effect_twice, "events had more than one effect"),
                (self.dead_letters, "events were given up"),
            )
            if number
        ]
        if not self.kills or not self.written:
            found.append("nothing was tried")
        if self.nodes > 2:  # those that are left are a majority
            found += [
                f"nothing was confirmed while node {it.node} was dead"
                for it in self.kills
                if not it.confirmed
            ]
        return [f"{self.nodes} nodes: {it}" for it in found]


def main() -> int:
    """0: every event was published, arrived, and had its effect once. 1: not so."""
    parser = argparse.ArgumentParser(prog="python -m rabbit_cluster", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 3], help="clusters of so many")
    parser.add_argument("--kills", type=int, default=2, help="how often a node is killed in each")
    parser.add_argument("--dead-s", type=float, default=10.0, help="how long it stays dead")
    given = parser.parse_args()
    console = Console(highlight=False)
    if missing := lacking():
        console.print(f"[red]lacking: {missing}")
        return 1
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    runs = [asyncio.run(_run(nodes, given.kills, given.dead_s, console)) for nodes in given.nodes]
    show(console, runs)
    problems = [problem for run in runs for problem in run.problems()]
    for problem in problems:
        console.print(f"[red]{problem}")
    return 1 if problems else 0


async def _run(nodes: int, kills: int, dead_s: float, console: Console) -> Run:
    with tempfile.TemporaryDirectory(prefix="skyhold-rabbit-", dir=LASTING) as folder:
        cluster = Cluster(_home(Path(folder)), nodes=nodes)
        try:
            async with AsyncExitStack() as stack:
                began_at = time.monotonic()
                await cluster.start()
                console.print(f"{nodes} nodes: started in {time.monotonic() - began_at:.0f} s")
                story = await begin(stack, cluster.url(), Path(folder))
                await asyncio.sleep(BEFORE_S)
                deaths = [await _kill(cluster, n % nodes, story, dead_s) for n in range(kills)]
                await story.ends(ENDS_WITHIN_S)
                return await _account(nodes, deaths, story)
        finally:
            cluster.close()


def _home(folder: Path) -> Path:
    folder.chmod(0o755)  # the server's user passes through
    home = folder / "cluster"
    home.mkdir()
    return home


async def _kill(cluster: Cluster, number: int, story: Story, dead_s: float) -> Kill:
    node = cluster.nodes[number]
    node.kill()
    died_at = time.monotonic()
    await asyncio.sleep(dead_s)
    node.begin()
    begun_at = time.monotonic()
    await node.ready()
    await asyncio.sleep(BEFORE_S)
    await story.confirms_since(begun_at, ENDS_WITHIN_S)  # the next one's death would hide it
    now = time.monotonic()
    at = story.bus.confirmed_at
    around = [max((it for it in at if it <= died_at), default=died_at)]
    around += [it for it in at if it > died_at] + [now]
    after = [it for it in at if it >= begun_at]
    return Kill(
        node=number,
        dead_s=begun_at - died_at,
        confirmed=sum(died_at + SETTLES_S <= it < begun_at for it in at),
        pause_s=max(later - one for one, later in pairwise(around)),
        after_start_s=(after[0] if after else now) - begun_at,
    )


async def _account(nodes: int, kills: list[Kill], story: Story) -> Run:
    effects, overtaken = await story.effects(), await story.overtaken()
    return Run(
        nodes=nodes,
        kills=kills,
        written=story.events,
        unpublished=await story.unpublished(),
        never_arrived=sum(id_ not in story.arrivals for id_ in effects),
        came_again=sum(times - 1 for times in story.arrivals.values()),
        overtaken=len(overtaken),
        without_effect=sum(not times for id_, times in effects.items() if id_ not in overtaken),
        effect_twice=sum(times > 1 for times in effects.values()),
        dead_letters=sum((await story.bus.dead_letters()).values()),
    )


def show(console: Console, runs: list[Run]) -> None:
    """One table of the deaths, and one of what became of the events."""
    deaths = Table(title="kill -9 of a node")
    for column in ("nodes", "node", "dead, s", "confirmed meanwhile", "longest pause, s"):
        deaths.add_column(column, justify="right")
    deaths.add_column("first confirmed after its start, s", justify="right")
    events = Table(title="events")
    for column in (
        "nodes",
        "written",
        "published",
        "arrived",
        "again",
        "in effect once",
        "overtaken",
    ):
        events.add_column(column, justify="right")
    for run in runs:
        for it in run.kills:
            deaths.add_row(
                str(run.nodes),
                str(it.node),
                f"{it.dead_s:.1f}",
                f"{it.confirmed:,}",
                f"{it.pause_s:.1f}",
                f"{it.after_start_s:.1f}",
            )
        events.add_row(
            str(run.nodes),
            f"{run.written:,}",
            f"{run.written - run.unpublished:,}",
            f"{run.written - run.never_arrived:,}",
            f"{run.came_again:,}",
            f"{run.written - run.overtaken - run.without_effect - run.effect_twice:,}",
            f"{run.overtaken:,}",
        )
    console.print(deaths, events)


if __name__ == "__main__":
    sys.exit(main())
