"""The same, measured: replicas of the service's Holds on one database, with clients that ask again.

All replicas live in this process and share one core, so they are simulated with one core as well.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from skyhold.contracts.holds import HoldWanted
from skyhold.flight.errors import SeatUnavailable, SoldOut
from skyhold.flight.models.allocation import Ledger
from skyhold.flight.models.holds import Command
from skyhold.flight.models.tables import FlightRow
from skyhold.flight.repositories.reference import Reference
from skyhold.flight.services.holds import Holds
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.errors import Problem
from skyhold.kernel.ids import new_id

from .contention import Costs, Found
from .database import add
from .flights import for_sale

CLIENT, TTL_S = "booking", 900
OFTEN = 5  # so many batches of a size, or it says nothing
LEAST_S = 1e-4
SPREAD = 100
_serials = itertools.count(1)


@dataclass
class Timed:
    """One run of a batch: how many it held, and how long it took until it had read, and in all."""

    holds: int
    read_s: float
    whole_s: float


@dataclass
class Times:
    """What the transactions of some replicas did; `runs` are of batches that were run once."""

    runs: list[Timed] = field(default_factory=list)
    batches: int = 0
    items: int = 0
    run_items: int = 0
    runs_begun: int = 0


class TimedHolds(Holds):
    """The service as it is; what its transactions do is looked at from outside."""

    times: Times

    async def _decide(self, commands: Sequence[Command]):  # noqa: ANN202 - as the service's
        self.times.batches += 1
        self.times.items += len(commands)
        begun_at = time.perf_counter()
        self._read_s = 0.0
        runs = self.times.runs_begun
        decided = await super()._decide(commands)
        if self.times.runs_begun == runs + 1:  # a batch that was run once
            whole = time.perf_counter() - begun_at
            self.times.runs.append(Timed(len(commands), self._read_s, whole))
        return decided

    async def _ledger(self, tx: Tx, commands: Sequence[Command]) -> Ledger:
        self.times.runs_begun += 1
        self.times.run_items += len(commands)
        begun_at = time.perf_counter()
        ledger = await super()._ledger(tx, commands)
        self._read_s = time.perf_counter() - begun_at
        return ledger


def add_flights(url: str, count: int) -> list[str]:
    """So many new flights."""
    numbers = [next(_serials) for _ in range(count)]
    made = for_sale(numbers, datetime.now(UTC))
    add(url, {FlightRow.__table__: [it.row for it in made]})
    return [it.id for it in made]


@dataclass
class Load:
    """Clients of some replicas, on so many flights; one that is full is replaced by a new one."""

    replicas: Sequence[Holds]
    spare: Sequence[str]
    flights: int
    clients: int
    found: Found
    ends_at: float
    dice: random.Random
    _current: list[str] = field(default_factory=list)
    _spare: int = 0

    def __post_init__(self) -> None:
        self._current = list(self.spare[: self.flights])
        self._spare = self.flights

    async def run(self) -> None:
        """Until the time is over."""
        await asyncio.gather(
            *(self._client(holds) for holds in self.replicas for _ in range(self.clients))
        )

    async def _client(self, holds: Holds) -> None:
        while time.perf_counter() < self.ends_at:
            place = self.dice.randrange(self.flights)
            flight = self._current[place]
            segment = {"flight_id": flight, "cabin": "economy", "count": 1}
            wanted = HoldWanted.model_validate({"segments": [segment], "ttl_s": TTL_S})
            begun_at = time.perf_counter()
            try:
                await holds.put(new_id(), CLIENT, wanted)
            except SoldOut:
                self._replace(place, flight)
            except (SeatUnavailable, Problem):
                self.found.failed += 1
            else:
                self.found.holds += 1
                self.found.waited_s.append(time.perf_counter() - begun_at)

    def _replace(self, place: int, full: str) -> None:
        if self._current[place] == full:
            self._current[place] = self.spare[self._spare]
            self._spare += 1


async def measure(
    url: str, spare: Sequence[str], *, replicas: int, flights: int, clients: int, seconds: float
) -> tuple[Found, Times, float]:
    """What came of it, what the batches took, and which part of the time was our own CPU."""
    times, found = Times(), Found(seconds)
    dbs = [Database(url) for _ in range(replicas)]
    services = []
    for db in dbs:
        service = TimedHolds(
            db, Reference(), SystemClock(), batch_max=128, waiting_max=5_000, sweep_max=500
        )
        service.times = times
        services.append(service)
    cpu, begun_at = time.process_time(), time.perf_counter()
    load = Load(
        services,
        spare,
        flights,
        clients,
        found,
        begun_at + seconds,
        random.Random(1),  # noqa: S311
    )
    await load.run()
    found.seconds = time.perf_counter() - begun_at
    busy = (time.process_time() - cpu) / found.seconds
    for service, db in zip(services, dbs, strict=True):
        await service.close()
        await db.close()
    found.batches, found.items = times.batches, times.items
    found.lost = times.runs_begun - times.batches
    found.lost_items = times.run_items - times.items
    return found, times, busy


def costs_of(runs: Sequence[Timed], cpu: float) -> Costs:
    """A line through the medians of the sizes of one replica's batches, and what is beside it.

    `cpu` is the part of the time in which this process computed.
    """
    by_size: defaultdict[int, list[float]] = defaultdict(list)
    for it in runs:
        by_size[it.holds].append(it.whole_s)
    often = {size: many for size, many in by_size.items() if len(many) >= OFTEN}
    line = statistics.linear_regression(
        list(often), [statistics.median(many) for many in often.values()]
    )
    base_s, each_s = max(line.intercept, LEAST_S), max(line.slope, 0.0)
    beside = sorted(it.whole_s / (base_s + each_s * it.holds) for it in runs)
    return Costs(
        base_s=base_s,
        each_s=each_s,
        reads=sum(it.read_s for it in runs) / sum(it.whole_s for it in runs),
        cpu=min(cpu, 1.0),
        spread=tuple(round(beside[len(beside) * n // SPREAD], 3) for n in range(SPREAD)),
    )
