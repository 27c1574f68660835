"""Remembering how audits ended, for whoever asks any of the processes."""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.booking.models.audited import Audited, AuditOutcome
from skyhold.booking.repositories import audits
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.ids import new_id
from skyhold.kernel.logging import get_logger

from .report import Report

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Memory:
    """Writes down that an audit is over."""

    db: Database
    clock: Clock

    async def ended(self, report: Report | None) -> None:
        """What an audit found, None for one that failed.

        When the database does not take it, the log and the metrics still have it: an audit is not
        made again for that.
        """
        audited = self._audited(report)
        try:
            await self.db.transact(lambda tx: audits.add(tx, audited))
        except Duplicate as error:
            if not error.after_unknown:
                raise
        except Unavailable as error:
            log.warning("audit.not_remembered", error=error.code)

    def _audited(self, report: Report | None) -> Audited:
        now = self.clock.now()
        if report is None:
            return Audited(new_id(), now, AuditOutcome.FAILED)
        left_out = report.not_compared
        return Audited(
            id=new_id(),
            ended_at=now,
            outcome=AuditOutcome.NOT_COMPARED if left_out else AuditOutcome.COMPARED,
            took_ms=round(report.seconds * 1_000),
            bookings=report.bookings,
            holds=report.holds,
            payments=report.payments,
            found={kind.value: count for kind, count in report.found.items() if count},
            not_compared=left_out,
        )
