"""What an audit says: to people, and to programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from skyhold.booking.services.audit.kinds import DOES, LORE, Finding
from skyhold.booking.services.audit.repairs import Outcome
from skyhold.booking.services.audit.report import Progress as Told
from skyhold.booking.services.audit.report import Report

from .running import console

REPAIRS_MAX = 10_000  # in one run


class Lines:
    """One JSON object a line."""

    def finding(self, finding: Finding) -> None:
        """A disagreement."""
        lore = LORE[finding.kind]
        _line(
            kind=finding.kind,
            **finding.ids,
            says=finding.says,
            cause=lore.cause,
            remedy=lore.remedy,
            repair=finding.repair,
            repairable=finding.is_repairable,
        )

    def summary(self, report: Report, *, repairable: int, repair: bool) -> None:
        """What was compared, and what came out."""
        del repair
        _line(summary=_summary(report) | {"repairable": repairable})

    def repaired(self, finding: Finding, outcome: Outcome, why: str) -> None:
        """What became of a repair."""
        _line(
            repaired=outcome,
            kind=finding.kind,
            **finding.ids,
            repair=finding.repair,
            why=why or None,
        )

    def remains(self, report: Report) -> None:
        """What the repairs have left."""
        _line(remaining={kind.value: count for kind, count in report.found.items() if count})


class Prose:
    """For people."""

    def finding(self, finding: Finding) -> None:
        """A disagreement, what it comes from, and what to do."""
        lore = LORE[finding.kind]
        about = "  ".join(f"{name} {value}" for name, value in finding.ids.items())
        _print(f"{finding.kind}  {about}".rstrip())
        _print(f"    {finding.says}")
        _print(f"    cause:  {lore.cause}")
        if finding.is_repairable:
            _print(f"    repair: {DOES[finding.repair]} (--repair)")
        else:
            _print(f"    to do:  {lore.remedy}")

    def summary(self, report: Report, *, repairable: int, repair: bool) -> None:
        """What was compared, and what came out."""
        since = "ever" if report.since is None else f"since {report.since:%Y-%m-%d %H:%M}Z"
        _print(
            f"Compared {report.bookings:,} bookings with {report.holds:,} holds, and the "
            f"{report.payments:,} payments begun {since} with {report.entries:,} of the "
            f"provider's, in {report.seconds:.1f} s."
        )
        if report.moving:
            _print(f"Moved each time they were looked at, so left for next time: {report.moving:,}")
        for what in report.not_compared:
            _print(f"Not compared: {what}")
        if report.found.total():
            _print(f"Disagreements: {_counts(report)}")
        elif not report.not_compared:
            _print("All agree.")
        if repairable and not repair:
            more = ", and then more" if repairable == REPAIRS_MAX else ""
            _print(
                f"`skyhold audit --repair` would repair {repairable:,}{more}; nothing was changed."
            )

    def repaired(self, finding: Finding, outcome: Outcome, why: str) -> None:
        """What became of a repair."""
        about = finding.record_locator or finding.booking_id or finding.payment_id
        _print(f"{finding.repair}  {about}  {outcome}" + (f": {why}" if why else ""))

    def remains(self, report: Report) -> None:
        """What the repairs have left."""
        _print(f"Remaining: {_counts(report)}" if report.found.total() else "Nothing remains.")


@contextmanager
def progress_of(bookings: int, payments: int) -> Iterator[Told]:
    """Bars on a terminal, nothing elsewhere."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        # How many the provider has, it does not say beforehand.
        tasks = {
            "entries": bars.add_task("The provider's payments", total=None),
            "payments": bars.add_task("Our payments", total=payments),
            "bookings": bars.add_task("Bookings and holds", total=bookings),
        }
        yield lambda stage, done: bars.update(tasks[stage], completed=done)


def _summary(report: Report) -> dict[str, object]:
    return {
        "status": report.status,
        "since": None if report.since is None else report.since.isoformat(),
        "bookings": report.bookings,
        "holds": report.holds,
        "payments": report.payments,
        "entries": report.entries,
        "disagreements": {kind.value: count for kind, count in report.found.items()},
        "moving": report.moving,
        "not_compared": report.not_compared,
        "seconds": round(report.seconds, 3),
    }


def _counts(report: Report) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in report.found.items() if count)


def _line(**values: object) -> None:
    _print(json.dumps(values))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
