"""The periodic audit: one process at a time, at a bounded pace, told in the log and in metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from skyhold.booking import metrics
from skyhold.booking.models.tables import LEASES
from skyhold.booking.services.audit.auditor import Auditor
from skyhold.booking.services.audit.kinds import Finding, Kind
from skyhold.booking.services.audit.memory import Memory
from skyhold.booking.services.audit.report import ALL_AGREE, NOT_COMPARED, Report
from skyhold.booking.services.audit.run import Terms
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.leases import Lease
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

LOOKS_EVERY_S = 60.0  # whether an audit is due; and a process that has just begun waits so long
ROUND_S = 0.5
RETRY_S = 900.0


class Audits:
    """The audit's job.

    Whoever finds that nobody has audited for a period takes the lease for the next one, audits, and
    keeps it: so one process audits once in a period, and one that ends does not make it too often.
    """

    def __init__(
        self,
        db: Database,
        auditor: Auditor,
        clock: Clock,
        terms: Terms,
        *,
        period_s: float,
        since_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._auditor = auditor
        self._memory = Memory(db, clock)
        self._clock = clock
        self._terms = terms
        self._period_s = period_s
        self._since = timedelta(seconds=since_s)
        self._monotonic = monotonic
        self._not_before: float | None = None
        self._lease: Lease | None = None
        self._running: asyncio.Task[Report] | None = None
        self._last: Report | None = None
        self._turn_ends_at = 0.0

    async def run_once(self) -> int:
        """Begin an audit if one is due, and go on with it beside the rounds; it never fills one."""
        if self._running is None:
            if not await self._is_due():
                return 0
            self._running = asyncio.create_task(self._audit(), name="audit")
        elif self._lease is not None:
            await self._lease.is_ours()  # renewed: an audit may take longer than its period
        await asyncio.wait({self._running}, timeout=ROUND_S)
        if self._running.done():
            task, self._running = self._running, None
            await self._finish(task)
        return 0

    async def close(self) -> None:
        """Stop in the middle. Another process does it then, and soon; nothing is lost."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            self._last = None
        is_clean = self._last is not None and self._last.status == ALL_AGREE
        if self._lease is not None and not is_clean:
            # Its metrics end with this process, and somebody should go on telling of them.
            await self._lease.give_up()

    async def _is_due(self) -> bool:
        now = self._monotonic()
        if self._not_before is None:
            self._not_before = now + LOOKS_EVERY_S
        if now < self._not_before:
            return False
        # A new one each time: it is had once in a period, also by this process.
        lease = Lease(self._db, LEASES, "audit", self._clock, self._period_s)
        if not await lease.is_ours():
            self._forget_others_turn()
            return False
        self._lease = lease
        return True

    def _forget_others_turn(self) -> None:
        """What this process found is not the last word once another one has audited."""
        if self._last is not None and self._monotonic() >= self._turn_ends_at:
            metrics.audited(dict.fromkeys(Kind, 0))
            self._last = None

    async def _audit(self) -> Report:
        since = self._clock.now() - self._since
        log.info("audit.began", since=since.isoformat())
        return await self._auditor.audit(self._terms, since, _tell)

    async def _finish(self, task: asyncio.Task[Report]) -> None:
        self._turn_ends_at = self._monotonic() + self._period_s + LOOKS_EVERY_S
        try:
            report = task.result()
        except Exception:
            metrics.audit_ended("failed")
            await self._memory.ended(None)
            await self._retry()
            raise
        self._last = report
        metrics.audited({kind: report.found[kind] for kind in Kind})
        metrics.audit_finished(report.seconds, self._clock.now())
        metrics.audit_ended("not_compared" if report.not_compared else "compared")
        log.info("audit.finished", **_counts(report))
        await self._memory.ended(report)
        if report.status == NOT_COMPARED:
            await self._retry()

    async def _retry(self) -> None:
        """Not after a whole period only."""
        self._not_before = self._monotonic() + RETRY_S
        if self._lease is not None:
            await self._lease.give_up()


def _tell(finding: Finding) -> None:
    log.error(
        "audit.disagreement",
        kind=finding.kind,
        says=finding.says,
        repair=finding.repair,
        **finding.ids,
    )


def _counts(report: Report) -> dict[str, object]:
    return {
        "bookings": report.bookings,
        "holds": report.holds,
        "payments": report.payments,
        "entries": report.entries,
        "disagreements": dict(report.found),
        "moving": report.moving,
        "not_compared": report.not_compared,
        "seconds": round(report.seconds, 1),
    }
