"""Everything that can happen in a world, within the bounds of one scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .bounds import Bounds
from .engine import Step
from .happenings import acted, everything
from .wire import arrives, calls_now, tidied
from .world import World


@dataclass(frozen=True)
class Rules:
    """The protocol, for the engine."""

    bounds: Bounds

    @property
    def start(self) -> World:
        """Where the scenario begins."""
        return tidied(self.bounds, self.bounds.start)

    def steps(self, world: World) -> Iterator[Step]:
        """Everything that changes something, with what it leads to, put in order.

        A call is fair while somebody has a reason to make it; an answer is acted upon in fairness
        while the same call would get the same answer. Older ones may come, but nobody counts on it;
        and nobody counts on a request for a hold to come back and record its booking.
        """
        bounds = self.bounds
        wanted = frozenset(calls_now(bounds, world))
        fresh = set()
        for call in world.asked:
            for says, after, answer in arrives(bounds, world, call):
                if after != world:
                    yield Step(says, tidied(bounds, after), call in wanted)
                elif call[0] != "put":
                    fresh.add(answer)
        for heard in world.heard:
            for says, after in acted(bounds, world, heard):
                yield Step(says, tidied(bounds, after), heard in fresh)
        for says, after, fair in everything(bounds, world):
            if after is not world:
                yield Step(says, tidied(bounds, after), fair)
