"""The audit, put together: for its job, and for `skyhold audit`."""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.contracts.holds import PAGE_MAX
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.jobs import Periodic

from .clients.flights import Flights
from .clients.payments.port import PaymentProvider
from .jobs.audit import LOOKS_EVERY_S, Audits
from .services.audit.auditor import Auditor
from .services.audit.look import Reader
from .services.audit.repairs import Repairer
from .services.audit.run import Terms
from .services.wake import Waker
from .settings import BookingSettings

# Beside requests: a page must not keep the others waiting.
JOB_PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Auditing:
    """Everything that compares our books with others'. No job when AUDIT_PERIOD_S is 0."""

    auditor: Auditor
    repairer: Repairer
    audits: Audits
    jobs: tuple[Periodic, ...]


def auditing_of(
    settings: BookingSettings,
    db: Database,
    flights: Flights,
    provider: PaymentProvider,
    waker: Waker,
    clock: Clock,
) -> Auditing:
    """The audit as the settings want it."""
    reader = Reader(db, flights, provider, settings.provider_timeout_s)
    auditor = Auditor(reader, clock)
    audits = Audits(
        db,
        auditor,
        clock,
        terms_of(settings, page_rows=JOB_PAGE_ROWS, rows_per_s=settings.audit_rows_per_s),
        period_s=settings.audit_period_s,
        since_s=settings.audit_since_s,
    )
    # It never fills a round: what there is to do is done beside them.
    job = Periodic("audit", LOOKS_EVERY_S, audits.run_once, round_max=1)
    jobs = (job,) if settings.audit_period_s else ()
    return Auditing(auditor, Repairer(reader, waker, clock), audits, jobs)


def terms_of(
    settings: BookingSettings, *, page_rows: int = PAGE_MAX, rows_per_s: float | None = None
) -> Terms:
    """How patient an audit is; one that somebody waits for goes as fast as it can."""
    return Terms(
        patience_s=settings.audit_patience_s,
        settle_s=settings.audit_settle_s,
        give_up_after_s=settings.give_up_after_s,
        page_rows=page_rows,
        rows_per_s=rows_per_s,
    )
