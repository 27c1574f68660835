"""What the booking service refuses, and why.

    Problem
    ├── BadRequest 400          BadSignature
    ├── Unauthorized 401        LoginFailed, InvalidRefreshToken
    ├── PaymentRequired 402     PaymentDeclined, CaptureRefused
    ├── Forbidden 403           WrongPassword
    ├── NotFound 404            BookingNotFound, SessionNotFound, AccountNotFound
    ├── Conflict 409            EmailTaken, AccountInUse, RoleUnchanged, TooManyUnpaid,
    │                           HoldExpired, AlreadyCancelled, IllegalTransition,
    │                           PaymentInProgress, DepartedAlready, NotConfirmed
    ├── Unprocessable 422       IdempotencyKeyReused, CardDataNotAccepted
    └── Unavailable 503         FlightServiceUnavailable

Refusals of the flight service are passed on with their own codes, see FlightRefusal.
"""

from __future__ import annotations

from skyhold.kernel.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PaymentRequired,
    Problem,
    Unauthorized,
    Unavailable,
    Unprocessable,
)


class BadSignature(BadRequest):
    """This does not bear the payment provider's signature, or not one of the last minutes."""

    code = "bad_signature"


class LoginFailed(Unauthorized):
    """E-mail and password do not belong together."""

    code = "login_failed"


class InvalidRefreshToken(Unauthorized):
    """The refresh token is not valid, or no longer; please log in again."""

    code = "invalid_refresh_token"


class WrongPassword(Forbidden):
    """This is not your password."""

    code = "wrong_password"


class SessionNotFound(NotFound):
    """You have no such session."""

    code = "session_not_found"


class AccountInUse(Conflict):
    """There are bookings that are not over; cancel them or fly first, then delete the account."""

    code = "account_in_use"


class EmailTaken(Conflict):
    """There is an account with this e-mail already."""

    code = "email_taken"


class TooManyUnpaid(Conflict):
    """You hold as much as can be held unpaid; pay for it or cancel it, then book more."""

    code = "too_many_unpaid"


class PaymentDeclined(PaymentRequired):
    """The payment was declined; the seats are still held until the deadline."""

    code = "payment_declined"


class CaptureRefused(PaymentRequired):
    """The payment was authorised but could not be collected; the booking is cancelled."""

    code = "capture_refused"


class BookingNotFound(NotFound):
    """There is no such booking of yours."""

    code = "booking_not_found"


class AccountNotFound(NotFound):
    """There is no account with this e-mail."""

    code = "account_not_found"


class RoleUnchanged(Conflict):
    """The account has this role already, or one that is given and taken in another way."""

    code = "role_unchanged"


class HoldExpired(Conflict):
    """The seats were held for you until a moment ago; please book again."""

    code = "hold_expired"


class AlreadyCancelled(Conflict):
    """The booking is cancelled."""

    code = "already_cancelled"


class IllegalTransition(Conflict):
    """The booking cannot go there from where it is."""

    code = "illegal_transition"


class PaymentInProgress(Conflict):
    """A payment of this booking is being settled just now."""

    code = "payment_in_progress"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, retry_after_s=2)


class DepartedAlready(Conflict):
    """The journey has begun, so the booking can no longer be cancelled."""

    code = "departed_already"


class NotConfirmed(Conflict):
    """The booking is not confirmed, so there is nothing to put into a calendar."""

    code = "not_confirmed"


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was used before, with another body."""

    code = "idempotency_key_reused"


class CardDataNotAccepted(Unprocessable):
    """This looks like a card number; send the token your payment provider gave you instead."""

    code = "card_data_not_accepted"


class FlightServiceUnavailable(Unavailable):
    """Seats cannot be checked just now; nothing was booked. Please try again shortly."""

    code = "flight_service_unavailable"


class FlightRefusal(Problem):
    """The flight service refused, for a reason of its own."""

    # Its status and code are those of the answer it passes on, so they stand on the instance.
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]
        self.code = code  # type: ignore[misc]
