"""What is remembered of an audit that is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AuditOutcome(StrEnum):
    """How an audit ended. `not_compared`: somebody did not answer, so something was left out."""

    COMPARED = "compared"
    NOT_COMPARED = "not_compared"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Audited:
    """One audit: when and how it ended, what it read, and how many disagreements of each kind.

    Of one that failed nothing is known but that.
    """

    id: str
    ended_at: datetime
    outcome: AuditOutcome
    took_ms: int = 0
    bookings: int = 0
    holds: int = 0
    payments: int = 0
    found: Mapping[str, int] | None = None
    not_compared: Sequence[str] = ()
