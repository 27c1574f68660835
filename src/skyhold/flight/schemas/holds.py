"""A hold as another service is told of it."""

from __future__ import annotations

from datetime import datetime

from skyhold.contracts.holds import Hold, HoldStatus
from skyhold.flight.models.holds import HoldRecord
from skyhold.kernel.money import WireMoney


def to_wire(hold: HoldRecord, now: datetime) -> Hold:
    """The wire form; what is left of the hold is told as a duration, rounded down."""
    left_s = max(0, int((hold.expires_at - now).total_seconds()))
    total = hold.total()
    return Hold.model_construct(
        hold_id=hold.id,
        status=hold.status,
        expires_in_s=left_s if hold.status is HoldStatus.HELD else None,
        segments=list(hold.segments),
        total=None if total is None else WireMoney.of(total),
    )
