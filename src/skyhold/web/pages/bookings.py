"""My bookings: all of them, one of them, and how to cancel it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from skyhold.web.api import Refused
from skyhold.web.visit import Handler, Visit, signed_in

from .a_booking import STATES, address_of, given_back, state_picked

LOG_MAX = 50
# A notice in the address is said only where it is so.
TRUE_OF = {
    "held": frozenset({"held", "not_confirmed"}),
    "paying": frozenset({"settling", "not_confirmed"}),
    "confirmed": frozenset({"paid"}),
    "expired": frozenset({"not_confirmed"}),
    "cancelled": frozenset({"cancelled", "not_confirmed"}),
}


@signed_in
async def mine(visit: Visit) -> Response:
    """The newest first; by state if one is picked."""
    picked = state_picked(visit)
    found = await visit.api.get(
        "/api/v1/bookings",
        status=picked,
        after=visit.query("after") or None,
    )
    return visit.show(
        "bookings.html",
        bookings=found["data"],
        more=found["next"],
        picked=state_picked(visit) or "",
        states=STATES,
    )


@signed_in
async def one(visit: Visit) -> Response:
    """One booking: what it is, what can be done with it, and what was done."""
    return await show_booking(visit, await visit.api.get(address_of(visit)))


@signed_in
async def ask_cancel(visit: Visit) -> Response:
    """What cancelling gives back, before it is done."""
    booking = await visit.api.get(address_of(visit))
    if "cancel" not in booking["available_actions"]:
        return visit.go(f"/bookings/{booking['id']}")
    return visit.show("cancel.html", booking=booking, refund=given_back(booking), problem=None)


@signed_in
async def cancel(visit: Visit) -> Response:
    """Cancel it; what cannot be cancelled is shown as it is."""
    try:
        booking = await visit.api.delete(address_of(visit))
    except Refused as error:
        if error.status == 404:  # noqa: PLR2004
            raise
        booking = await visit.api.get(address_of(visit))
        return await show_booking(visit, booking, error.status, problem=error.detail)
    return visit.go(f"/bookings/{booking['id']}", "cancelled")


async def show_booking(
    visit: Visit,
    booking: Mapping[str, Any],
    status: int = 200,
    *,
    problem: str | None = None,
    token: str = "",
    key: str = "",
) -> Response:
    """A booking's page; `problem` says why what was just asked for did not happen."""
    timeline = await visit.api.get(f"/api/v1/bookings/{booking['id']}/timeline", limit=LOG_MAX)
    return visit.show(
        "booking.html",
        status,
        booking=booking,
        timeline=timeline["data"],
        problem=problem,
        seconds_left=_seconds_left(visit, booking),
        tokens=visit.site.test_tokens,
        token=token,
        key=key or visit.fresh_key(),
        notices=TRUE_OF.get(booking["status"], frozenset()),
    )


def _seconds_left(visit: Visit, booking: Mapping[str, Any]) -> int:
    until = datetime.fromisoformat(booking["payment_required_by"]) - visit.site.clock.now()
    return max(0, int(until.total_seconds()))


ROUTES: list[tuple[str, str, Handler]] = [
    ("/bookings", "GET", mine),
    ("/bookings/{booking_id}", "GET", one),
    ("/bookings/{booking_id}/cancel", "GET", ask_cancel),
    ("/bookings/{booking_id}/cancel", "POST", cancel),
]
