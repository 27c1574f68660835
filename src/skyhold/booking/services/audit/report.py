"""What an audit has seen and found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .kinds import Kind

ALL_AGREE, DISAGREE, NOT_COMPARED = 0, 1, 2


class Progress(Protocol):
    """Is told how far an audit has come."""

    def __call__(self, stage: str, done: int) -> None:
        """So many rows of this stage are done."""
        ...


@dataclass(slots=True)
class Report:
    """Counts of one audit. `since` bounds the payments; bookings and holds are always all."""

    since: datetime | None
    bookings: int = 0
    holds: int = 0
    payments: int = 0
    entries: int = 0
    found: Counter[Kind] = field(default_factory=Counter)
    moving: int = 0
    not_compared: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self) -> int:
        """For a shell: 0 all agree, 1 something disagrees, 2 not everything could be compared."""
        if self.found.total():
            return DISAGREE
        return NOT_COMPARED if self.not_compared else ALL_AGREE
