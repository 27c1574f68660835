"""Several replicas of the flight service that hold seats of the same flights, simulated.

Each replica has a Batcher as the kernel's: what waits goes out together, and the next batch gathers
meanwhile. A batch reads which seats are taken, chooses the first free ones, and writes them. No
replica knows what another one is about to write, so two whose batches overlap on a flight choose
the same seats. The primary key lets one of them through; the other runs its whole batch again.

Where they meet differs. On one `server` the second INSERT waits for the first transaction's end
and is refused then. On a `cluster` (Galera, each replica at a node of its own) nobody waits, and
the second is refused at its COMMIT. Seats are numbers: a flight's first `taken` ones are sold.
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections import Counter, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from skyhold.kernel.db import ATTEMPTS_MAX, PAUSE_FIRST_S, PAUSE_MAX_S

LOOKS_EVERY_S = 0.0002  # when who is waited for takes longer than it would have alone
Step = Generator[float, None, Any]  # yields moments at which it goes on


@dataclass(frozen=True)
class Costs:
    """What a batch of n holds takes: `base_s + each_s * n`, alone on the machine.

    No disk takes the same time twice: each run of a batch takes that, times one of `spread`.
    """

    base_s: float
    each_s: float
    reads: float  # which part of it has passed when the seats are chosen
    cpu: float  # which part of it is the CPU of the replica's process
    spread: tuple[float, ...] = (1.0,)

    def of(self, holds: int) -> float:
        """All of it."""
        return self.base_s + self.each_s * holds


@dataclass(frozen=True)
class Setup:
    """What is simulated."""

    costs: Costs
    replicas: int
    flights: int
    clients: int = 64  # of each replica; each asks again as soon as it has its answer
    batch_max: int = 128
    cores: int | None = None  # which all replicas share; None: each has its own
    zipf: float = 0.0  # 0: all flights are asked for alike; 1: the tenth a tenth as often
    cluster: bool = False
    seconds: float = 20.0
    seed: int = 1


@dataclass
class Found:
    """What came of it."""

    seconds: float
    holds: int = 0
    failed: int = 0
    batches: int = 0
    lost: int = 0  # runs of a batch that lost the race for a seat
    items: int = 0
    lost_items: int = 0  # holds in those runs: what was done in vain
    waited_s: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """In short."""
        cuts = statistics.quantiles(self.waited_s, n=100) if len(self.waited_s) > 1 else [0.0] * 99
        return {
            "holds_per_s": round(self.holds / self.seconds, 1),
            "batch": round(self.items / max(1, self.batches), 2),
            "lost_per_batch": round(self.lost / max(1, self.batches), 4),
            "lost_per_hold": round(self.lost_items / max(1, self.holds), 4),
            "p50_ms": round(1000 * cuts[49], 2),
            "p99_ms": round(1000 * cuts[98], 2),
            "failed": self.failed,
        }


@dataclass
class Flight:
    """How many seats are sold, and which writers are in the middle of taking the next ones."""

    taken: int = 0
    writers: dict[int, float] = field(default_factory=dict)  # batch: when it will have ended


def simulate(setup: Setup) -> Found:
    """Let it run for so many simulated seconds."""
    return _World(setup).run()


class _World:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.random = random.Random(setup.seed)  # noqa: S311 - a simulation
        self.flights = [Flight() for _ in range(setup.flights)]
        self.weights = list(
            itertools.accumulate(1 / (n + 1) ** setup.zipf for n in range(setup.flights))
        )
        self.cores = [0.0] * (setup.cores or 0)
        self.now = 0.0
        self.found = Found(setup.seconds)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count()

    def run(self) -> Found:
        for _ in range(self.setup.replicas):
            _Replica(self)
        while self._events:
            at, _, go_on = heapq.heappop(self._events)
            if at > self.setup.seconds:
                break
            self.now = at
            go_on()
        return self.found

    def start(self, step: Step) -> None:
        """Run it until it yields a moment, and go on with it then."""
        try:
            at = next(step)
        except StopIteration:
            return
        heapq.heappush(self._events, (at, next(self.numbers), lambda: self.start(step)))

    def work(self, seconds: float) -> Step:
        """So much of a batch's time, part of it on a core that others may be using."""
        computing = seconds * self.setup.costs.cpu
        if self.cores:
            core = min(range(len(self.cores)), key=self.cores.__getitem__)
            self.cores[core] = max(self.now, self.cores[core]) + computing
            yield self.cores[core]
        else:
            yield self.now + computing
        yield self.now + seconds - computing

    def a_flight(self) -> int:
        return self.random.choices(range(len(self.flights)), cum_weights=self.weights)[0]


class _Replica:
    """One flight service, and those who ask it."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._waiting: deque[tuple[int, float]] = deque()  # a flight, and since when
        for _ in range(world.setup.clients):
            self._ask()
        world.start(self._drain())

    def _ask(self) -> None:
        self._waiting.append((self._world.a_flight(), self._world.now))

    def _drain(self) -> Step:
        # The clients of a closed loop never let it run dry.
        world = self._world
        while True:
            size = min(len(self._waiting), world.setup.batch_max)
            batch = [self._waiting.popleft() for _ in range(size)]
            world.found.batches += 1
            world.found.items += size
            if (yield from self._transact(batch)):
                continue
            for one in batch:  # as the Batcher does: one by one, so that one fails no other
                if not (yield from self._transact([one])):
                    world.found.failed += 1
                    self._ask()

    def _transact(self, batch: list[tuple[int, float]]) -> Generator[float, None, bool]:
        """Whether it was committed at last; then all of the batch have their answers."""
        world = self._world
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                most = min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**attempt)
                yield world.now + world.random.uniform(0, most)
            if (yield from self._run(batch)):
                for _, since in batch:
                    world.found.holds += 1
                    world.found.waited_s.append(world.now - since)
                    self._ask()
                return True
            world.found.lost += 1
            world.found.lost_items += len(batch)
        return False

    def _run(self, batch: list[tuple[int, float]]) -> Generator[float, None, bool]:
        """One run of the transaction: read, choose, write, commit."""
        world, costs = self._world, self._world.setup.costs
        whole = costs.of(len(batch)) * world.random.choice(costs.spread)
        wanted = sorted(Counter(flight for flight, _ in batch).items())
        seen = {number: world.flights[number].taken for number, _ in wanted}
        yield from world.work(whole * costs.reads)
        me, mine = next(world.numbers), [world.flights[number] for number, _ in wanted]
        rest = whole * (1 - costs.reads)
        if not world.setup.cluster:
            # The first INSERT of a seat that another transaction has written waits for its end.
            while any(flight.writers for flight in mine):
                ends = max(max(flight.writers.values(), default=0.0) for flight in mine)
                yield max(ends, world.now + LOOKS_EVERY_S)
            if any(world.flights[number].taken != taken for number, taken in seen.items()):
                return False
            for flight in mine:
                flight.writers[me] = world.now + rest
        yield from world.work(rest)
        for flight in mine:
            flight.writers.pop(me, None)
        if any(world.flights[number].taken != taken for number, taken in seen.items()):
            return False
        for number, holds in wanted:
            world.flights[number].taken += holds
        return True
