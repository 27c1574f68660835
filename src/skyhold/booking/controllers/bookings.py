"""Make, read, list and cancel bookings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from skyhold.booking.errors import (
    BookingNotFound,
    DepartedAlready,
    FlightServiceUnavailable,
    HoldExpired,
    IdempotencyKeyReused,
    IllegalTransition,
    PaymentInProgress,
)
from skyhold.booking.schemas.bookings import (
    BookingChange,
    BookingOut,
    IdempotencyKey,
    NewBooking,
    StatusFilter,
    position_of,
    to_page,
)
from skyhold.booking.services.book import Booker
from skyhold.booking.services.bookings import Bookings
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.errors import BadRequest, Unauthorized, Unprocessable
from skyhold.kernel.http.identity import DOCUMENTED, Person
from skyhold.kernel.http.pages import PAGE_DEFAULT, After, InvalidCursor, Limit, Page
from skyhold.kernel.http.problems import documented
from skyhold.kernel.ids import UUID

router = APIRouter(
    prefix="/api/v1/bookings",
    tags=["bookings"],
    dependencies=DOCUMENTED,
    responses=documented(Unauthorized, InvalidToken),
)


def bookings_of(request: Request) -> Bookings:
    """The bookings that this application was wired with."""
    bookings: Bookings = request.app.state.booking.bookings
    return bookings


def booker_of(request: Request) -> Booker:
    """The booker that this application was wired with."""
    booker: Booker = request.app.state.booking.booker
    return booker


OwnBookings = Annotated[Bookings, Depends(bookings_of)]
Desk = Annotated[Booker, Depends(booker_of)]
BookingId = Annotated[str, Path(), UUID]

_CANCELLING = documented(BookingNotFound, PaymentInProgress, IllegalTransition, DepartedAlready)


@router.post(
    "",
    status_code=201,
    summary="Hold seats and book them",
    responses=documented(
        BadRequest, HoldExpired, IdempotencyKeyReused, Unprocessable, FlightServiceUnavailable
    ),
)
async def create_booking(
    desk: Desk,
    bookings: OwnBookings,
    person: Person,
    body: NewBooking,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> BookingOut:
    """All seats of all segments, or none.

    Refusals of the flight service are passed on: 404 `flight_not_found`, 409 `seat_unavailable`,
    `sold_out`, `price_changed` and others.
    """
    booked = await desk.book(person.user_id, body.order(), idempotency_key)
    response.headers["Location"] = f"/api/v1/bookings/{booked.booking.id}"
    if booked.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return BookingOut.of(await bookings.just_booked(booked))


@router.get("", summary="My bookings, the newest first", responses=documented(InvalidCursor))
async def list_bookings(
    bookings: OwnBookings,
    person: Person,
    status: StatusFilter = None,
    limit: Limit = PAGE_DEFAULT,
    after: After = None,
) -> Page[BookingOut]:
    """Page by page; `status` picks those in one state."""
    start = position_of(after)
    return to_page(*await bookings.page(person.user_id, status=status, after=start, limit=limit))


@router.get("/{booking_id}", summary="One booking", responses=documented(BookingNotFound))
async def get_booking(bookings: OwnBookings, person: Person, booking_id: BookingId) -> BookingOut:
    """What is not yours does not exist."""
    return BookingOut.of(await bookings.get(person.user_id, booking_id))


@router.patch("/{booking_id}", summary="Cancel a booking", responses=_CANCELLING)
async def change_booking(
    bookings: OwnBookings, person: Person, booking_id: BookingId, body: BookingChange
) -> BookingOut:
    """The same as DELETE; `cancelled` is the one status that owners can set."""
    del body
    return BookingOut.of(await bookings.cancel(person.user_id, booking_id))


@router.delete("/{booking_id}", summary="Cancel a booking", responses=_CANCELLING)
async def cancel_booking(
    bookings: OwnBookings, person: Person, booking_id: BookingId
) -> BookingOut:
    """Gives the seats back and refunds what was paid; repeating it answers the same."""
    return BookingOut.of(await bookings.cancel(person.user_id, booking_id))
