"""What the pages of travellers and of the desk both know of a booking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyhold.web.visit import Visit

STATES = ("held", "paying", "confirmed", "expired", "cancelled")


def address_of(visit: Visit) -> str:
    """Where the API has the booking that this page is about."""
    return f"/api/v1/bookings/{visit.part('booking_id')}"


def state_picked(visit: Visit) -> str | None:
    """The state that was picked to be listed; None for all of them."""
    picked = visit.query("status")
    return picked if picked in STATES else None


def given_back(booking: Mapping[str, Any]) -> Mapping[str, str] | None:
    """What cancelling gives back: all that was paid, None where nothing was."""
    paid = (booking["payment"] or {}).get("status") == "captured"
    return booking["total"] if paid else None
