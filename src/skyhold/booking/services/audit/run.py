"""One audit while it runs: its limits, its pace, and what it tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from skyhold.kernel.clock import Clock

from .case import Limits
from .kinds import Finding
from .report import Progress, Report

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Terms:
    """How patient an audit is, and how much it takes on at a time."""

    patience_s: float
    settle_s: float
    give_up_after_s: int
    page_rows: int
    rows_per_s: float | None = None


@dataclass(slots=True)
class Run:
    """What the comparisons of one audit share."""

    terms: Terms
    clock: Clock
    report: Report
    progress: Progress
    told: Callable[[Finding], None]
    sleep: Sleep = asyncio.sleep
    _began_at: float = field(default_factory=time.monotonic)
    _rows: int = 0

    def limits(self) -> Limits:
        """What is late by now."""
        return Limits(self.clock.now(), self.terms.patience_s, self.terms.give_up_after_s)

    def tell(self, finding: Finding) -> None:
        """A disagreement, for certain."""
        self.report.found[finding.kind] += 1
        self.told(finding)

    async def pace(self, rows: int) -> None:
        """So many rows more are done; wait until they were not too many in this time."""
        self._rows += rows
        if self.terms.rows_per_s is None:
            return
        ahead_s = self._rows / self.terms.rows_per_s - (time.monotonic() - self._began_at)
        if ahead_s > 0:
            await self.sleep(ahead_s)
