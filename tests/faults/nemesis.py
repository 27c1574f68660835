"""The nemesis: kills, stops, parts and confuses the system, by a plan that follows from a seed."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .cluster import NODES
from .disk import Disk
from .run import Journal
from .system import System

KINDS = ("kill", "stop", "partition", "cable", "clock", "full_disk", "blackout")
# What can only befall a cluster: a node that the others do not hear, and the end of all nodes.
OF_CLUSTERS = ("isolate", "all_nodes")
ALL_KINDS = (*KINDS, *OF_CLUSTERS)
WITHOUT_CLOCK = frozenset({"database", "haproxy", *NODES})
EVERYTHING = "everything"
DOWN_MAX = 2
RECOVER_MAX_S = 60.0
LOOK_EVERY_S = 0.2
NOTICED_AFTER_S = 4.0  # that a node hangs is noticed after three, and it may have gone on by then


@dataclass(frozen=True)
class Blow:
    """One thing that befalls one part, and for how long."""

    kind: str
    where: str
    lasts_s: float
    ahead_s: int
    lot: float  # settles what else there is to choose


class Nemesis:
    """Strikes again and again; several blows may be felt at once."""

    def __init__(
        self,
        system: System,
        disk: Disk,
        faults: Journal,
        *,
        seed: int,
        only: Sequence[str] = ALL_KINDS,
    ) -> None:
        self.has_done_all = asyncio.Event()
        self._system, self._disk = system, disk
        self._faults = faults
        self._chance = random.Random(f"{seed} nemesis")
        self._only = frozenset(only)
        self._nodes_struck = 0
        self._under_way: set[asyncio.Task[None]] = set()

    def left_out(self) -> list[str]:
        """What cannot be done on this machine, and what it would take."""
        lacking = []
        if "clock" in self._only and not self._system.clocks.can_jump:
            lacking.append("clock jumps (apt-get install libfaketime)")
        if "full_disk" in self._only and self._system.nodes is not None:
            lacking.append("the full disk (all nodes are on one)")
        elif "full_disk" in self._only and not self._disk.is_small:
            lacking.append("the full disk (needs root, to mount a tmpfs)")
        if "broker" not in self._system.cuts:
            lacking.append("RabbitMQ (apt-get install rabbitmq-server, or set AMQP_URL)")
        return lacking

    def planned(self) -> list[tuple[str, str]]:
        """Everything that can be done to every part, each once."""
        parts, links = list(self._system.parts), list(self._system.links)
        links.remove("staff→flight")
        nodes = self._system.nodes
        clocks = [part for part in parts if part not in WITHOUT_CLOCK]
        everything: dict[str, list[str]] = {
            "kill": parts,
            "stop": parts,
            "partition": links,
            "cable": list(self._system.cuts),
            "clock": clocks if self._system.clocks.can_jump else [],
            "full_disk": ["disk"] if self._disk.is_small and nodes is None else [],
            "blackout": [EVERYTHING],
            "isolate": list(NODES) if nodes else [],
            "all_nodes": [EVERYTHING] if nodes else [],
        }
        return [
            (kind, part)
            for kind in ALL_KINDS
            for part in everything[kind]
            if self._only & {kind, f"{kind}:{part}"}
        ]

    async def strike(self, *, pause_s: float) -> None:
        """Until cancelled. What was begun is then ended by `relent`."""
        once = len(self.planned())
        try:
            for number, blow in enumerate(self._blows(), 1):
                await asyncio.sleep(self._chance.uniform(0.5, 1.5) * pause_s)
                await self._let_recover()
                if blow.where in NODES and blow.kind != "cable":
                    await self._let_reunite()
                task = asyncio.create_task(self._deal(blow))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                if number >= once:
                    self.has_done_all.set()
        finally:
            self.has_done_all.set()  # there was nothing to do, or it failed: nobody waits for it

    async def relent(self) -> None:
        """No more blows, and those that are felt are over."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._disk.relieve()
        await self._system.heal()

    async def _let_recover(self) -> None:
        """A system that lies on the ground shows nothing; a slow machine takes long to get up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVER_MAX_S):
                while await self._system.down() > DOWN_MAX:  # noqa: ASYNC110 - counted, not told
                    await asyncio.sleep(LOOK_EVERY_S)

    async def _let_reunite(self) -> None:
        """One node at a time: what a majority can do without it is what is to be seen.

        Without a majority nobody can do anything; that is for `all_nodes` to bring about.
        """
        nodes = self._system.nodes
        assert nodes is not None, "planned for a cluster only"
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVER_MAX_S):
                whole_since = math.inf
                while not time.monotonic() - whole_since > NOTICED_AFTER_S:
                    await asyncio.sleep(LOOK_EVERY_S)
                    if self._nodes_struck or not await nodes.is_whole():
                        whole_since = math.inf
                    else:
                        whole_since = min(whole_since, time.monotonic())

    def _blows(self) -> Iterator[Blow]:
        """Everything in an order of chance, then everything again in another one."""
        for _ in itertools.count():
            bag = self.planned()
            if not bag:
                return
            self._chance.shuffle(bag)
            for kind, where in bag:
                lasts_s = self._chance.uniform(0.5, 5)
                if kind == "stop" and self._chance.random() < 0.3:
                    lasts_s = self._chance.uniform(8, 17)  # longer than any promise it made
                ahead_s = self._chance.choice((-60, -20, -5, 5, 20, 60))
                yield Blow(kind, where, lasts_s, ahead_s, self._chance.random())

    async def _deal(self, blow: Blow) -> None:
        detail: dict[str, object] = {"lasts_s": round(blow.lasts_s, 2)}
        if blow.kind == "clock":
            detail["ahead_s"] = blow.ahead_s
        line = {"at": time.time(), "kind": blow.kind, "where": blow.where, "detail": detail}
        self._faults.write(line)
        match blow.kind:
            case "kill":
                self._system.parts[blow.where].kill(blow.lasts_s / 3)
            case "stop":
                with self._striking(blow.where):
                    self._system.parts[blow.where].stop()
                    await asyncio.sleep(blow.lasts_s)
                    self._system.parts[blow.where].go_on()
            case "partition":
                link = self._system.links[blow.where]
                link.part(_some_of(link.targets, blow.lot))
                await asyncio.sleep(blow.lasts_s)
                link.heal()
            case "cable":
                await self._pull_cable(blow)
            case "clock":
                self._system.clocks.jump(blow.where, blow.ahead_s)
                await asyncio.sleep(2 * blow.lasts_s)
                self._system.clocks.jump(blow.where, 0)
            case "full_disk":
                self._disk.fill()
                await asyncio.sleep(blow.lasts_s)
                self._disk.relieve()
            case _:
                await self._strike_many(blow)

    async def _strike_many(self, blow: Blow) -> None:
        nodes = self._system.nodes
        if blow.kind == "isolate":
            assert nodes is not None, "planned for a cluster only"
            with self._striking(blow.where):
                await nodes.isolate(blow.where)
                # Long enough for the others to notice, and to go on without it.
                await asyncio.sleep(3 + 2 * blow.lasts_s)
                await nodes.reunite()
            return
        # Of all nodes sometimes one is left: it must not go on alone.
        spared = {NODES[int(blow.lot * 100) % 3]} if blow.lot < 0.3 else set()
        for part in self._system.parts.values():
            if blow.kind == "blackout" or part.name in {*NODES} - spared:
                part.kill(blow.lasts_s / 3)

    @contextmanager
    def _striking(self, where: str) -> Iterator[None]:
        """While a node feels it."""
        if where in NODES:
            self._nodes_struck += 1
        try:
            yield
        finally:
            if where in NODES:
                self._nodes_struck -= 1

    async def _pull_cable(self, blow: Blow) -> None:
        """Connections break, or are there and say nothing any more."""
        cut = self._system.cuts[blow.where]
        if blow.lot < 0.5:
            await cut.cut()
        else:
            cut.silence()
        await asyncio.sleep(blow.lasts_s)
        await cut.heal()


def _some_of(targets: Sequence[int], lot: float) -> Sequence[int]:
    """All of them, or one."""
    return targets if lot < 0.5 else targets[int((lot - 0.5) * 2 * len(targets)) :][:1]
