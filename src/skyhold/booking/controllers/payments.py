"""POST /api/v1/bookings/payments."""

from __future__ import annotations

from fastapi import Request, Response

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
from skyhold.kernel.errors import MethodNotAllowed
from skyhold.kernel.http.identity import DOCUMENTED, Person
from skyhold.kernel.http.openapi import answers
from skyhold.kernel.http.problems import answer_for, documented
from skyhold.kernel.http.routes import Routes

from .bookings import bookings_of

router = Routes(prefix="/api/v1/bookings/payments", tags=["payments"], dependencies=DOCUMENTED)


def cashier_of(request: Request) -> Cashier:
    """The cashier that this application was wired with."""
    cashier: Cashier = request.app.state.booking.cashier
    return cashier


NOT_POST = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT", "TRACE"]
_BOOKING = {
    operation: {"booking_id": "$response.body#/booking/id"}
    for operation in ("get_booking", "cancel_booking")
}


@router.post(
    "",
    status_code=201,
    summary="Pay for a booking",
    responses=documented(
        PaymentDeclined,
        CaptureRefused,
        BookingNotFound,
        HoldExpired,
        AlreadyCancelled,
        PaymentInProgress,
        IdempotencyKeyReused,
        CardDataNotAccepted,
    )
    | answers(200, model=PaidOut, description="It was paid before", leads_to=_BOOKING)
    | answers(201, leads_to=_BOOKING)
    | answers(
        202,
        model=PaidOut,
        description="Not paid yet. With `next_action` the payer has something to do first, such "
        "as to approve it with the bank; without, the provider has not answered. Look again: at "
        "the booking, or by repeating this under the same Idempotency-Key",
        headers=("Retry-After",),
        leads_to=_BOOKING,
    ),
)
async def pay(
    request: Request,
    person: Person,
    body: NewPayment,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> PaidOut:
    """201: paid, and the booking is confirmed. The amount is the booking's, not the caller's."""
    paid = await cashier_of(request).pay(person.user_id, body.wish(), idempotency_key)
    response.status_code = status_of(paid)
    if not paid.settled:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return PaidOut.answer(paid, bookings_of(request).just_paid(paid))


@router.api_route("", methods=NOT_POST, include_in_schema=False)
async def only_post() -> Response:
    """`payments` is no booking's id, for which /bookings/{booking_id} would take it."""
    return answer_for(MethodNotAllowed(), {"Allow": "POST"})
