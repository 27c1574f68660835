"""Every scenario is explored once for all tests of this folder; what they need of it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest

from .engine import Violation
from .scenarios import ALL, Scenario
from .world import Booking, Hold, Payment, World


class Office(NamedTuple):
    """The flight service's part of a world."""

    now: int
    flight: str
    holds: tuple[Hold | None, ...]
    claims: tuple[int | None, ...]


class File(NamedTuple):
    """A booking, with every payment; those are all its own, as only Alice pays."""

    now: int
    booking: Booking
    payments: tuple[Payment | None, ...]

    @property
    def active(self) -> Payment | None:
        """The payment that is being made."""
        return None if self.booking.active is None else self.payments[self.booking.active]


@dataclass
class Seen:
    """What an exploration met: numbers, the rows of each service, and how rows moved."""

    states: int = 0
    steps: int = 0
    seconds: float = 0.0
    violation: Violation | None = None
    # What the flight service knows at one moment.
    offices: set[Office] = field(default_factory=set)
    # What the booking service knows of one booking at one moment.
    files: set[File] = field(default_factory=set)
    # How rows moved: the table, and the states before and after.
    moves: set[tuple[str, str, str]] = field(default_factory=set)

    def note(self, before: World, after: World) -> bool:
        """A law that all steps keep, and that remembers them."""
        for what in ("holds", "bookings", "payments"):
            if (old := getattr(before, what)) is not (new := getattr(after, what)):
                self.moves |= {
                    (what, was.status, now.status)
                    for was, now in zip(old, new, strict=True)
                    if was is not None and was.status != now.status
                }
        return True


def look_at(scenario: Scenario) -> Seen:
    """Explore a scenario, and keep what the tests want to know of it."""
    seen = Seen()
    laws = replace(scenario.laws, each_step=(*scenario.laws.each_step, seen.note))
    explored = replace(scenario, laws=laws).explore()
    seen.states, seen.steps = len(explored.states), explored.steps
    seen.seconds, seen.violation = explored.seconds, explored.violation
    for world in explored.states:
        seen.offices.add(Office(world.now, world.flight, world.holds, world.claims))
        for booking in world.bookings:
            if booking is not None:
                seen.files.add(File(world.now, booking, world.payments))
    return seen


class Explorations(dict[str, Seen]):
    """Explores a scenario when it is first asked for."""

    def __missing__(self, name: str) -> Seen:
        (scenario,) = (scenario for scenario in ALL if scenario.name == name)
        self[name] = look_at(scenario)
        return self[name]


@pytest.fixture(scope="session")
def seen() -> Explorations:
    """What each scenario met, by its name."""
    return Explorations()
