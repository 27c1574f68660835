"""Rounds: each runs every operation once, and the floors between them, so noise hits all alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from .floors import Bare, measure_bare, measure_raw
from .numbers import Spread, ratios, total_ms
from .operations import BY_NAME, FLOOR, RAW, Needs, Operation
from .proc import cpu_of, wait_until_quiet
from .samples import Sample, sample_of
from .system import System
from .world import World
from .wrk import run_wrk

WARM_UP_S = 2.0
FLOOR_S = 2.0
REST_MAX_S = 120.0
# As many bookings, at least, are read by turns; how often it is tried to have so many.
BOOKINGS_MIN, PAY_MAX = 200, 5


@dataclass
class Samples:
    """All rounds of one database."""

    of: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    # The cost of the floor that was measured beside each sample of an operation.
    floors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def ratio(self, name: str) -> Spread:
        """How many times its floor an operation cost."""
        return ratios([total_ms(it.cpu_ms) for it in self.of[name]], self.floors[name])


@dataclass(frozen=True)
class Bench:
    """What is needed to measure."""

    system: System
    world: World
    bare: Bare
    seconds: float
    say: Callable[[str], None]

    def measure(self, operation: Operation, seconds: float) -> Sample:
        """Load the system with one operation, and wait until it is at rest again."""
        world = self.world.write(self._flights(operation))
        url = self.system.booking if operation.service == "booking" else self.system.flight
        before = cpu_of(self.system.pids)
        load = run_wrk(url, operation.script, seconds, world=world)
        is_at_rest = self.rest()
        sample = sample_of(load, before, cpu_of(self.system.pids), operation.status)
        if not is_at_rest:
            sample = replace(sample, problem="the system did not come to rest")
        if operation.needs is Needs.FRESH:
            self.world.tidy()
        if sample.problem:
            self.say(f"{operation.name}: {sample.problem}")
        return sample

    def rest(self) -> bool:
        """Wait until all events are published and nothing is busy any more; False if that fails."""
        give_up_at = time.monotonic() + REST_MAX_S
        while time.monotonic() < give_up_at:
            quiet = wait_until_quiet(self.system.pids)
            if quiet and not self.system.database.unpublished():
                return True
        return False

    def _flights(self, operation: Operation) -> list[str]:
        if operation.needs is Needs.FRESH:
            return self.world.fresh_flights()
        return list(self.world.sold_out)


def run_rounds(bench: Bench, operations: Iterable[Operation], rounds: int) -> Samples:
    """Warm everything up, then measure it so many times."""
    operations = list(operations)
    warm_up(bench, operations)
    samples = Samples()
    for number in range(1, rounds + 1):
        bench.say(f"{bench.system.database.name}: round {number} of {rounds}")
        for operation in operations:
            floor = measure_bare(bench.bare, bench.world, FLOOR_S)
            samples.of[FLOOR].append(floor)
            samples.floors[operation.name].append(floor.cpu_ms[FLOOR])
            sample = bench.measure(operation, bench.seconds)
            if floor.problem:
                sample = replace(sample, problem=f"its floor: {floor.problem}")
            samples.of[operation.name].append(sample)
        samples.of[RAW].append(measure_raw(bench.system.database, FLOOR_S))
    return samples


def warm_up(bench: Bench, operations: Iterable[Operation]) -> None:
    """Every operation once, for nothing; and paid bookings come to be, to be read."""
    for _ in range(PAY_MAX):
        if len(bench.world.bookings) >= BOOKINGS_MIN:
            break  # also those of before: at every size the same ones are read
        bench.measure(BY_NAME["create_and_pay"], WARM_UP_S)
        bench.world.find_bookings()
    measure_bare(bench.bare, bench.world, 1)
    for operation in operations:
        bench.measure(operation, WARM_UP_S)
