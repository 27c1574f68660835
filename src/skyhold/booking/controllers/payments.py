"""POST /api/v1/bookings/payments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from skyhold.booking.errors import (
    AlreadyCancelled,
    BookingNotFound,
    CaptureRefused,
    CardDataNotAccepted,
    HoldExpired,
    IdempotencyKeyReused,
    PaymentDeclined,
    PaymentInProgress,
)
from skyhold.booking.schemas.bookings import IdempotencyKey
from skyhold.booking.schemas.payments import RETRY_AFTER_S, NewPayment, PaidOut, status_of
from skyhold.booking.services.pay import Cashier
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.errors import BadRequest, Unauthorized, Unprocessable
from skyhold.kernel.http.identity import DOCUMENTED, Person
from skyhold.kernel.http.problems import documented

from .bookings import OwnBookings

router = APIRouter(prefix="/api/v1/bookings/payments", tags=["payments"], dependencies=DOCUMENTED)


def cashier_of(request: Request) -> Cashier:
    """The cashier that this application was wired with."""
    cashier: Cashier = request.app.state.booking.cashier
    return cashier


Till = Annotated[Cashier, Depends(cashier_of)]


@router.post(
    "",
    status_code=201,
    summary="Pay for a booking",
    responses=documented(
        BadRequest,
        Unauthorized,
        InvalidToken,
        PaymentDeclined,
        CaptureRefused,
        BookingNotFound,
        HoldExpired,
        AlreadyCancelled,
        PaymentInProgress,
        IdempotencyKeyReused,
        CardDataNotAccepted,
        Unprocessable,
    )
    | {
        200: {"model": PaidOut, "description": "It was paid before"},
        202: {
            "model": PaidOut,
            "description": "Not paid yet. With `next_action` the payer has something to do first, "
            "such as to approve it with the bank; without, the provider has not answered. Look "
            "again: at the booking, or by repeating this under the same Idempotency-Key",
            "headers": {
                "Retry-After": {
                    "description": "In how many seconds to look again",
                    "schema": {"type": "integer"},
                }
            },
        },
    },
)
async def pay(
    till: Till,
    bookings: OwnBookings,
    person: Person,
    body: NewPayment,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> PaidOut:
    """201: paid, and the booking is confirmed. The amount is the booking's, not the caller's."""
    paid = await till.pay(person.user_id, body.wish(), idempotency_key)
    response.status_code = status_of(paid)
    if not paid.settled:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return PaidOut.answer(paid, await bookings.get(person.user_id, paid.booking.id))
