"""The desk: staff find any booking, read its whole story, and see how the service is doing."""

from __future__ import annotations

from fastapi import Request

from skyhold.booking.errors import BookingNotFound
from skyhold.booking.schemas.bookings import position_of
from skyhold.booking.schemas.desk import Asked, FoundOut, to_found
from skyhold.booking.schemas.overview import OverviewOut
from skyhold.booking.schemas.story import StoryOut
from skyhold.booking.services.desk import Desk
from skyhold.booking.services.overview import Overview
from skyhold.kernel.http.identity import STAFF_DOCUMENTED, Staff, StaffOnly
from skyhold.kernel.http.openapi import answers
from skyhold.kernel.http.pages import PAGE_DEFAULT, After, InvalidCursor, Limit, Page
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes

from .bookings import BookingId

router = Routes(prefix="/api/v1/desk", tags=["desk"], dependencies=STAFF_DOCUMENTED)

_FIRST = {"booking_id": "$response.body#/data/0/id"}


def desk_of(request: Request) -> Desk:
    """The desk that this application was wired with."""
    desk: Desk = request.app.state.booking.desk
    return desk


def overview_of(request: Request) -> Overview:
    """The overview that this application was wired with."""
    overview: Overview = request.app.state.booking.overview
    return overview


@router.get(
    "/bookings",
    summary="Find bookings, whoever owns them (staff)",
    responses=documented(StaffOnly, InvalidCursor) | answers(200, leads_to={"tell_story": _FIRST}),
)
async def find_bookings(
    request: Request,
    staff: Staff,
    asked: Asked,
    limit: Limit = PAGE_DEFAULT,
    after: After = None,
) -> Page[FoundOut]:
    """By exactly one of record locator, surname and flight; the newest first.

    Each booking of the page has been looked at by then, as its timeline says: once in ten minutes.
    """
    start = position_of(after)
    return to_found(*await desk_of(request).find(staff, asked, after=start, limit=limit))


@router.get(
    "/bookings/{booking_id}/story",
    summary="Everything that is known of a booking (staff)",
    responses=documented(StaffOnly, BookingNotFound),
)
async def tell_story(request: Request, staff: Staff, booking_id: BookingId) -> StoryOut:
    """Payments, hold, log and events. That it was asked for is in the log that it tells."""
    return StoryOut.of(await desk_of(request).story(staff, booking_id))


@router.get(
    "/overview",
    summary="What waits, the last audit, and the last 48 hours (staff)",
    responses=documented(StaffOnly),
)
async def get_overview(request: Request, _: Staff) -> OverviewOut:
    """Of the booking service. It costs about the same however many bookings there are."""
    return OverviewOut.of(await overview_of(request).look())
