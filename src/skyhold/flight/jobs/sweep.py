"""Ends holds whose time is up."""

from __future__ import annotations

from skyhold.flight.services.holds import Holds
from skyhold.kernel.jobs import Periodic


def sweeper(holds: Holds, *, period_s: float, batch_max: int) -> Periodic:
    """The job; its cost depends on what is due, not on what exists."""
    return Periodic("sweep", period_s, holds.sweep, batch_max)
