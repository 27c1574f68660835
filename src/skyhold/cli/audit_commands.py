"""`skyhold audit`."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Annotated

import typer

from skyhold.booking.auditing import terms_of
from skyhold.booking.services.audit.kinds import Finding
from skyhold.booking.services.audit.repairs import Outcome
from skyhold.booking.services.audit.report import Report
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import BookingService
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import logging
from skyhold.kernel.clock import clock_for
from skyhold.kernel.settings import SettingsError

from .audit_output import REPAIRS_MAX, Lines, Prose, progress_of
from .databases import ready_booking, ready_flight
from .nearby import booking_service
from .running import refusals

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Since = Annotated[
    str | None,
    typer.Option(
        metavar="30d",
        help="How far back payments are compared: 30d, 12h, 90m, or all. Bookings and holds are "
        "always all.",
    ),
]


def audit(
    since: Since = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, the last one a summary.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Ask, and then carry out the repairs that are safe.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --repair: do not ask.")] = False,
) -> None:
    """Compare bookings, holds and payments with one another and tell of every disagreement.

    It may be run at any time: what is only on its way is not reported. Nothing is changed without
    --repair. The status is 0 when all agree, 1 when something disagrees (still), and 2 when one
    of the sides could not be asked.
    """
    with refusals():
        bookings, flights = BookingSettings(), FlightSettings()
        logging.configure("WARNING")
        now = clock_for(bookings.clock_file).now()
        begun = _since(since, bookings, now)
        asyncio.run(ready_booking(bookings, migrate=False))
        if bookings.flight_service is None:
            asyncio.run(ready_flight(flights, migrate=False))
        out = Lines() if as_json else Prose()
        status = asyncio.run(_audit(bookings, flights, begun, out, repair=repair, yes=yes))
    raise typer.Exit(status)


async def _audit(
    bookings: BookingSettings,
    flights: FlightSettings,
    since: datetime | None,
    out: Lines | Prose,
    *,
    repair: bool,
    yes: bool,
) -> int:
    """The status for the shell."""
    repairable: list[Finding] = []

    def tell(finding: Finding) -> None:
        out.finding(finding)
        if finding.is_repairable and len(repairable) < REPAIRS_MAX:
            repairable.append(finding)

    async with booking_service(bookings, flights) as service:
        sizes = await service.auditing.auditor.reader.how_many()
        with progress_of(*sizes) as progress:
            report = await service.auditing.auditor.audit(terms_of(bookings), since, tell, progress)
        out.summary(report, repairable=len(repairable), repair=repair)
        if repairable and repair and (yes or _confirmed(len(repairable))):
            return await _repair(service, repairable, report, out)
    return report.status


async def _repair(
    service: BookingService, findings: list[Finding], report: Report, out: Lines | Prose
) -> int:
    for finding in findings:
        outcome, why = await service.auditing.repairer.repair(finding)
        out.repaired(finding, outcome, why)
        if outcome is not Outcome.NOT_POSSIBLE:
            report.found[finding.kind] -= 1
    out.remains(report)
    return report.status


def _confirmed(count: int) -> bool:
    return typer.confirm(f"Carry out {count} repairs, as listed above?", err=True)


def _since(wanted: str | None, settings: BookingSettings, now: datetime) -> datetime | None:
    """From when on; None for the beginning. Raises SettingsError."""
    if wanted is None:
        return now - timedelta(seconds=settings.audit_since_s)
    if wanted == "all":
        return None
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", wanted, re.ASCII)
    if match is None:
        msg = "--since should look like 30d, 12h, 90m or 600s, or be all"
        raise SettingsError(msg)
    return now - timedelta(**{UNITS[match[2]]: int(match[1])})
