"""The judge: reads what a run left behind, and says which laws were broken.

It knows the protocol and none of the code: nothing here is imported from the service, so that a
mistake in the service cannot make its own judge blind.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import laws_events, laws_money, laws_seats, laws_word
from .evidence import Evidence, Violation, read

__all__ = ["LAWS", "Report", "Violation", "check", "judge"]

Law = Callable[[Evidence], Iterator[Violation]]
LAWS: Mapping[str, Law] = {
    law.__name__: law
    for law in (
        laws_seats.one_owner,
        laws_seats.claims_match,
        laws_seats.no_seat_stuck,
        laws_seats.seat_kept,
        laws_seats.steps_in_order,
        laws_seats.ended_is_ended,
        laws_money.money_for_seats,
        laws_money.sold_is_paid,
        laws_money.charged_once,
        laws_money.books_agree,
        laws_word.nothing_lost,
        laws_word.no_way_back,
        laws_word.kept_word,
        laws_word.no_means_no,
        laws_word.one_key,
        laws_word.at_rest,
        laws_events.true_story,
        laws_events.told_at_least_once,
        laws_events.told_in_order,
        laws_events.heard_and_acted,
    )
}


@dataclass
class Report:
    """What came out: every violation, and how much there was to judge."""

    violations: list[Violation] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def check(folder: Path) -> Report:
    """Judge a run by its folder. For a thread without an event loop of its own."""
    return judge(read(folder))


def judge(known: Evidence) -> Report:
    """Judge by what is known."""
    return Report([found for law in LAWS.values() for found in law(known)], _counts(known))


def _counts(known: Evidence) -> dict[str, int]:
    outcomes = Counter(op.outcome for op in known.ops)
    asked = Counter((call["payment_id"], call["op"]) for call in known.calls)
    entries = Counter(entry["kind"] for entry in known.entries)
    return {
        "operations": len(known.ops),
        "acknowledged": outcomes["ok"],
        "refused": outcomes["fail"],
        "unknown": outcomes["unknown"],
        "bookings": len(known.bookings),
        "confirmed": sum(row["status"] == "confirmed" for row in known.bookings.values()),
        "captured": entries["captured"],
        "refunded": entries["refunded"],
        "provider_duplicates": sum(times - 1 for times in asked.values()),
        "events": len({event["id"] for event in known.events}),
        "event_duplicates": len(known.events) - len({event["id"] for event in known.events}),
        "samples": max((sample.get("samples", 0) for sample in known.samples), default=0),
    }


def main() -> int:
    """Judge the run folder named on the command line: `python -m faults.checker FOLDER`."""
    report = check(Path(sys.argv[1]))
    for name, count in report.counts.items():
        print(f"{name:20} {count}")
    for found in report.violations:
        print(f"{found.law}: {found.text} [{', '.join(found.ids)}]")
    print(f"{len(report.violations)} violations")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
