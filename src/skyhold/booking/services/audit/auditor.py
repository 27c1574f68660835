"""The audit: three sets of books, two comparisons, and nothing said that was not seen twice.

Bookings and holds have the same ids, and payments have ours at the provider. So all sides are read
as streams in the order of ids and merged: memory does not grow with the number of rows. What looks
wrong that way may only have moved between two pages; it is left alone for a moment and then read
again by itself, our side before and after the other one. Only what stood still is judged, by rules
that hold at every moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from skyhold.booking.repositories import backlog
from skyhold.contracts.holds import HoldFacts
from skyhold.kernel.clock import Clock
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.logging import get_logger

from .kinds import Finding, Kind, Repair
from .look import NotCompared, Reader
from .money import MoneyAudit
from .report import Progress, Report
from .run import Run, Terms
from .seats import SeatAudit

log = get_logger(__name__)


def _quietly(stage: str, done: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """Compares; it changes nothing. See `Repairer` for that."""

    reader: Reader
    clock: Clock

    async def audit(
        self,
        terms: Terms,
        since: datetime | None,
        told: Callable[[Finding], None],
        progress: Progress = _quietly,
    ) -> Report:
        """Tell of every disagreement as soon as it is certain, and count them.

        The money comes first, because a hold that no booking knows may only be cancelled when none
        of the provider's payments is unknown here.
        """
        began_at = time.monotonic()
        report = Report(since)
        run = Run(terms, self.clock, report, progress, told, self.reader.sleep)
        money = MoneyAudit(self.reader, run, since, until=self.clock.now())
        has_money = await self._compared(report, "payments", money.compare())

        def may_cancel(hold: HoldFacts) -> bool:
            # A ledger that has nothing, or not what we captured, is perhaps not the one that took
            # the money of this hold: it cannot say that nobody paid.
            doubts = report.found[Kind.UNKNOWN_PAYMENT] or report.found[Kind.NOT_CAPTURED_THERE]
            is_told = has_money and report.entries > 0 and not doubts
            return is_told and self._is_since(hold, since)

        seats = SeatAudit(self.reader, run, may_cancel)
        await self._compared(report, "bookings and holds", seats.compare())
        await self._compared(report, "events", self._events(run))
        report.seconds = time.monotonic() - began_at
        return report

    async def _compared(self, report: Report, what: str, work: Coroutine[Any, Any, None]) -> bool:
        """Whether the comparison came to its end; the others are made all the same."""
        try:
            await work
        except NotCompared as error:
            log.warning("audit.not_compared", what=what, error=str(error))
            report.not_compared.append(f"{what}: {error}")
            return False
        return True

    def _is_since(self, hold: HoldFacts, since: datetime | None) -> bool:
        """Whether it was made in the time whose payments were compared."""
        if since is None:
            return True
        if hold.age_s is None:
            return False
        return self.clock.now() - timedelta(seconds=hold.age_s) >= since

    async def _events(self, run: Run) -> None:
        now = self.clock.now()
        try:
            async with self.reader.db.read() as tx:
                untold = await backlog.events(tx)
        except Unavailable as error:
            raise NotCompared(str(error)) from error
        if untold.age_s(now) > run.terms.patience_s:
            says = f"{untold.count} are not published, the oldest for {untold.age_s(now):.0f} s"
            run.tell(Finding(Kind.EVENTS_WAIT, says, Repair.WAIT))
