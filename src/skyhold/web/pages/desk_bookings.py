"""Bookings at the desk: look them up, read one's whole story, cancel it for a traveller."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from skyhold.web.api import Refused
from skyhold.web.visit import Handler, Visit, staff_only

from .a_booking import STATES, address_of, given_back, state_picked

FOUND = "/api/v1/desk/bookings"
WAYS = ("record_locator", "family_name", "flight_id")
INVALID, NOT_FOUND = 422, 404


@staff_only
async def find(visit: Visit) -> Response:
    """What was looked up; the one that a record locator names is shown at once."""
    asked = {way: visit.query(way) for way in WAYS}
    given = {way: text for way, text in asked.items() if text}
    if len(given) != 1:
        return _again(visit, asked, "Please fill in one of the fields." if given else None)
    try:
        return await _found(visit, asked, given)
    except Refused as error:
        if error.status != INVALID:
            raise
        return _again(visit, asked, "; ".join(it["message"] for it in error.errors))


@staff_only
async def one(visit: Visit) -> Response:
    """Everything that is known of a booking."""
    return await _story(visit)


@staff_only
async def ask_cancel(visit: Visit) -> Response:
    """What cancelling would give back, before it is done."""
    booking = await visit.api.get(address_of(visit))
    if "cancel" not in booking["available_actions"]:
        return await _story(visit, 409, "This booking cannot be cancelled as it stands.")
    return visit.show("desk/cancel.html", booking=booking, refund=given_back(booking))


@staff_only
async def cancel(visit: Visit) -> Response:
    """Cancel it; whether that is possible is for the API to say."""
    try:
        booking = await visit.api.delete(address_of(visit))
    except Refused as error:
        if error.status == NOT_FOUND:
            raise
        return await _story(visit, error.status, error.detail)
    return visit.go(f"/desk/bookings/{booking['id']}", "cancelled")


async def _found(visit: Visit, asked: Mapping[str, str], given: Mapping[str, str]) -> Response:
    state = state_picked(visit)
    after = visit.query("after") or None
    found = await visit.api.get(FOUND, **given, status=state, after=after)
    if "record_locator" in given and len(found["data"]) == 1:
        return visit.go(f"/desk/bookings/{found['data'][0]['id']}")
    return visit.show(
        "desk/bookings.html",
        asked=asked,
        given=given,
        bookings=found["data"],
        more=found["next"],
        picked=state or "",
        states=STATES,
        problem=None,
    )


def _again(visit: Visit, asked: Mapping[str, str], problem: str | None) -> Response:
    status = INVALID if problem else 200
    return visit.show("desk/bookings.html", status, asked=asked, given={}, problem=problem)


async def _story(visit: Visit, status: int = 200, problem: str | None = None) -> Response:
    told = await visit.api.get(f"{FOUND}/{visit.part('booking_id')}/story")
    it = told["booking"]
    notices = frozenset({"cancelled"} & {it["status"]})
    return visit.show(
        "desk/booking.html", status, told=told, it=it, problem=problem, notices=notices
    )


ROUTES: list[tuple[str, str, Handler]] = [
    ("/desk/bookings", "GET", find),
    ("/desk/bookings/{booking_id}", "GET", one),
    ("/desk/bookings/{booking_id}/cancel", "GET", ask_cancel),
    ("/desk/bookings/{booking_id}/cancel", "POST", cancel),
]
