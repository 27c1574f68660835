"""The arithmetic: medians with their spread, totals, ratios."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Stands for a foreign company's service: shown, but none of what an operation costs us.
FOREIGN = "sandbox"


@dataclass(frozen=True)
class Spread:
    """A median, and the least and the most that was measured."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


def total_ms(cpu_ms: Mapping[str, float]) -> float:
    """What all our processes and the database server used together."""
    return sum(ms for part, ms in cpu_ms.items() if part != FOREIGN)


def ratios(costs: Sequence[float], floors: Sequence[float]) -> Spread:
    """How many times its floor something cost, round by round."""
    return Spread.of([cost / floor for cost, floor in zip(costs, floors, strict=True)])
