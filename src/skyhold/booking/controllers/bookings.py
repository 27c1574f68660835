"""Make, read, list and cancel bookings, tell what was done to them, and when they fly."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request, Response

from skyhold.booking.errors import (
    BookingNotFound,
    DepartedAlready,
    FlightServiceUnavailable,
    HoldExpired,
    IdempotencyKeyReused,
    IllegalTransition,
    NotConfirmed,
    PaymentInProgress,
    TooManyUnpaid,
)
from skyhold.booking.schemas.bookings import (
    BookingChange,
    BookingOut,
    IdempotencyKey,
    NewBooking,
    StatusFilter,
    position_of,
    to_answer,
    to_page,
)
from skyhold.booking.schemas.timeline import EntryOut, mark_of, to_timeline
from skyhold.booking.services.book import Booker
from skyhold.booking.services.bookings import Bookings
from skyhold.booking.services.calendars import Calendars
from skyhold.booking.services.timeline import Timelines
from skyhold.contracts.refusals import HOLD_REFUSALS
from skyhold.kernel.http.identity import DOCUMENTED, Person
from skyhold.kernel.http.openapi import BODY, answers
from skyhold.kernel.http.pages import PAGE_DEFAULT, After, InvalidCursor, Limit, Page
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.http.written import Written
from skyhold.kernel.ids import UUID

router = Routes(
    prefix="/api/v1/bookings",
    tags=["bookings"],
    dependencies=DOCUMENTED,
)


def bookings_of(request: Request) -> Bookings:
    """The bookings that this application was wired with."""
    bookings: Bookings = request.app.state.booking.bookings
    return bookings


def booker_of(request: Request) -> Booker:
    """The booker that this application was wired with."""
    booker: Booker = request.app.state.booking.booker
    return booker


def timelines_of(request: Request) -> Timelines:
    """The timelines that this application was wired with."""
    timelines: Timelines = request.app.state.booking.timelines
    return timelines


def calendars_of(request: Request) -> Calendars:
    """The calendars that this application was wired with."""
    calendars: Calendars = request.app.state.booking.calendars
    return calendars


BookingId = Annotated[str, Path(), UUID]


class ICalendar(Response):
    """A file for calendars (RFC 5545)."""

    media_type = "text/calendar"


_THIS = {"booking_id": "$response.body#/id"}
_CANCELLING = documented(BookingNotFound, PaymentInProgress, IllegalTransition, DepartedAlready)


@router.post(
    "",
    status_code=201,
    response_model=BookingOut,
    summary="Hold seats and book them",
    responses=documented(
        *HOLD_REFUSALS,
        HoldExpired,
        TooManyUnpaid,
        IdempotencyKeyReused,
        FlightServiceUnavailable,
    )
    | answers(
        201,
        headers=("Location", "Idempotent-Replayed"),
        leads_to={
            "get_booking": _THIS,
            "list_bookings": {},
            "pay": {BODY: {"booking_id": "$response.body#/id", "payment_token": "tok_visa"}},
            "change_booking": _THIS,
            "cancel_booking": _THIS,
        },
    ),
)
async def create_booking(
    request: Request,
    person: Person,
    body: NewBooking,
    idempotency_key: IdempotencyKey = None,
) -> Written:
    """All seats of all segments, or none.

    What the flight service refuses is passed on with its status and code.
    """
    order = body.order(under_key=idempotency_key is not None)
    booked = await booker_of(request).book(person.user_id, order, idempotency_key)
    headers = {"Location": f"/api/v1/bookings/{booked.booking.id}"}
    if booked.replayed:
        headers["Idempotent-Replayed"] = "true"
    return to_answer(await bookings_of(request).just_booked(person, booked), 201, headers)


@router.get("", summary="My bookings, the newest first", responses=documented(InvalidCursor))
async def list_bookings(
    request: Request,
    person: Person,
    status: StatusFilter = None,
    limit: Limit = PAGE_DEFAULT,
    after: After = None,
) -> Page[BookingOut]:
    """Page by page; `status` picks those in one state."""
    start = position_of(after)
    return to_page(
        *await bookings_of(request).page(person.user_id, status=status, after=start, limit=limit)
    )


@router.get(
    "/{booking_id}",
    response_model=BookingOut,
    summary="One booking",
    responses=documented(BookingNotFound),
)
async def get_booking(request: Request, person: Person, booking_id: BookingId) -> Written:
    """What is not yours does not exist. Staff see every booking, and are seen to: `viewed`."""
    return to_answer(await bookings_of(request).get(person, booking_id))


@router.patch(
    "/{booking_id}",
    response_model=BookingOut,
    summary="Cancel a booking",
    responses=_CANCELLING,
)
async def change_booking(
    request: Request, person: Person, booking_id: BookingId, body: BookingChange
) -> Written:
    """The same as DELETE; `cancelled` is the one status that owners can set."""
    del body
    return to_answer(await bookings_of(request).cancel(person, booking_id))


@router.delete(
    "/{booking_id}",
    response_model=BookingOut,
    summary="Cancel a booking",
    responses=_CANCELLING,
)
async def cancel_booking(request: Request, person: Person, booking_id: BookingId) -> Written:
    """Gives the seats back and refunds what was paid; repeating it answers the same."""
    return to_answer(await bookings_of(request).cancel(person, booking_id))


@router.get(
    "/{booking_id}/timeline",
    summary="What was done to a booking, by whom and when",
    responses=documented(BookingNotFound, InvalidCursor),
)
async def get_timeline(
    request: Request,
    person: Person,
    booking_id: BookingId,
    limit: Limit = PAGE_DEFAULT,
    after: After = None,
) -> Page[EntryOut]:
    """The oldest first. Nothing is ever taken out of it, and it tells of staff who looked."""
    start = mark_of(after)
    return to_timeline(
        await timelines_of(request).page(person, booking_id, after=start, limit=limit)
    )


@router.get(
    "/{booking_id}/calendar",
    response_class=ICalendar,
    summary="The flights of a booking for a calendar",
    responses=documented(BookingNotFound, NotConfirmed),
)
async def get_calendar(request: Request, person: Person, booking_id: BookingId) -> ICalendar:
    """An entry a flight, in local times, as in our e-mails. What was cancelled takes them back."""
    file = await calendars_of(request).of(person, booking_id)
    saved_as = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return ICalendar(file.text, headers=saved_as)
