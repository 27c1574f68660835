"""What the flight service counts. The kernel counts requests, batches, transactions by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from skyhold.contracts.holds import HoldStatus
from skyhold.kernel.errors import Problem
from skyhold.kernel.metrics import counter

from .errors import FlightCancelled, FlightDeparted, PriceChanged, SeatUnavailable, SoldOut
from .models.allocation import Ledger
from .models.holds import Decision

_HOLDS = counter(
    "skyhold_holds_total",
    "Holds: what became of them, and why they were refused; `tombstone` was given back unasked",
    "outcome",
)
REFUSALS = frozenset(
    kind.code for kind in (SoldOut, SeatUnavailable, PriceChanged, FlightDeparted, FlightCancelled)
)
REFUSED = "refused"  # for any other reason
TOMBSTONE = "tombstone"

# Bound beforehand: telling is cheap then, and what has not happened yet is shown as a zero.
_holds = {
    outcome: _HOLDS.labels(outcome) for outcome in (*HoldStatus, *REFUSALS, REFUSED, TOMBSTONE)
}


def decided(ledger: Ledger, decisions: Iterable[Decision | Exception]) -> None:
    """A batch was decided, and is committed."""
    for outcome, times in _outcomes(ledger, decisions).items():
        _holds[outcome].inc(times)


def _outcomes(ledger: Ledger, decisions: Iterable[Decision | Exception]) -> Counter[str]:
    found: Counter[str] = Counter(move.new for move in ledger.moves.values())
    for hold in ledger.inserts.values():
        if hold.request_digest is None:
            found[TOMBSTONE] += 1
            continue
        found[HoldStatus.HELD] += 1
        if hold.status is not HoldStatus.HELD:  # it went on within the batch that made it
            found[hold.status] += 1
    for decision in decisions:
        if isinstance(decision, Problem):
            found[decision.code if decision.code in REFUSALS else REFUSED] += 1
    return found
