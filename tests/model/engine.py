"""Visits every state that can be reached, breadth first, and asks the laws about each.

It knows nothing of bookings. `rules.steps(state)` answers what can happen next; a step is *fair*
when it needs no fault and nobody's wish: drivers and timers take it sooner or later if they are
left alone. From every state the fair steps must come to an end, and where none is left nothing may
dangle; together that is: from every reachable state, however drivers and timers go on, everything
ends well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

State = TypeVar("State", bound=Hashable)
Law = Callable[[State], bool]
MoveLaw = Callable[[State, State], bool]


class Step(NamedTuple):
    """Something that can happen: in words, and what it leads to."""

    says: str
    after: Hashable
    fair: bool


class Rules(Protocol):
    """What the engine explores."""

    start: Hashable

    def steps(self, state: Hashable) -> Iterable[Step]:
        """Everything that can happen in a state."""


@dataclass(frozen=True)
class Laws(Generic[State]):
    """What must be so in every state, at every step, and where nothing is left to do."""

    always: Sequence[Law[State]]
    each_step: Sequence[MoveLaw[State]]
    at_rest: Sequence[Law[State]]

    def broken_by(self, state: State) -> str | None:
        """The first law that a state breaks by itself."""
        for law in self.always:
            if not law(state):
                return law.__name__
        return None

    def broken_on_the_way(self, before: State, state: State) -> str | None:
        """The first law that a step breaks."""
        for law in self.each_step:
            if not law(before, state):
                return law.__name__
        return None

    def broken_at_rest(self, state: State) -> str | None:
        """The first law that a state without a next step breaks."""
        return next((law.__name__ for law in self.at_rest if not law(state)), None)


@dataclass(frozen=True)
class Violation:
    """A law that was broken, and the shortest way to it."""

    law: str
    story: Sequence[str]
    state: Hashable

    def __str__(self) -> str:
        lines = [f"{nth:3}. {line}" for nth, line in enumerate(self.story, 1)]
        told = self.law.replace("_", " ")
        return "\n".join([*lines, f"This breaks the law: {told}.", f"The state: {self.state}"])


@dataclass(frozen=True)
class Explored:
    """What an exploration has seen."""

    states: Sequence[Hashable]
    steps: int
    seconds: float
    violation: Violation | None


NEVER_ENDS = "drivers_and_timers_come_to_an_end"


def explore(rules: Rules, laws: Laws, *, states_max: int = 1_000_000) -> Explored:
    """Everything that can be reached, or the shortest story that breaks a law."""
    began_at = time.process_time()
    search = _Search(rules, laws, states_max)
    violation = search.run()
    return Explored(search.seen, search.steps, time.process_time() - began_at, violation)


class _Search:
    def __init__(self, rules: Rules, laws: Laws, states_max: int) -> None:
        self.rules, self.laws, self.states_max = rules, laws, states_max
        self.seen: list[Hashable] = [rules.start]
        self.steps = 0
        self._came_from: dict[Hashable, tuple[Hashable, str] | None] = {rules.start: None}
        self._onward: dict[Hashable, list[Hashable]] = {}  # by the fair steps

    def run(self) -> Violation | None:
        if law := self.laws.broken_by(self.rules.start):
            return self._violation(law, self.rules.start)
        for state in self.seen:  # it grows while it is read: breadth first
            if violation := self._visit(state):
                return violation
        stuck = _on_a_circle(self._onward)
        return None if stuck is None else self._violation(NEVER_ENDS, stuck)

    def _visit(self, state: Hashable) -> Violation | None:
        onward = self._onward[state] = []
        for says, after, fair in self.rules.steps(state):
            self.steps += 1
            if after not in self._came_from:
                self._came_from[after] = (state, says)
                self.seen.append(after)
                assert len(self.seen) <= self.states_max, "a scenario is to be small"
                if law := self.laws.broken_by(after):
                    return self._violation(law, after)
            if law := self.laws.broken_on_the_way(state, after):
                return self._violation(law, state, says, after)
            if fair:
                onward.append(after)
        if not onward and (law := self.laws.broken_at_rest(state)):
            return self._violation(law, state)
        return None

    def _violation(
        self, law: str, state: Hashable, says: str | None = None, after: Hashable = None
    ) -> Violation:
        """The story up to a state, and one step further if that is what broke the law."""
        story = [] if says is None else [says]
        before = state
        while (origin := self._came_from[before]) is not None:
            before, told = origin
            story.append(told)
        return Violation(law, story[::-1], state if says is None else after)


def _on_a_circle(onward: Mapping[Hashable, Sequence[Hashable]]) -> Hashable | None:
    """A state at which fair steps can arrive again and again, if there is one."""
    came_by = dict.fromkeys(onward, 0)
    for followers in onward.values():
        for follower in followers:
            came_by[follower] += 1
    free = [state for state, count in came_by.items() if count == 0]
    while free:
        for follower in onward[free.pop()]:
            came_by[follower] -= 1
            if came_by[follower] == 0:
                free.append(follower)
    return next((state for state, count in came_by.items() if count > 0), None)
