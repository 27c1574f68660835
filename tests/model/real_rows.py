"""Rows of the real booking service, for comparing it with the model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.payment import Payment, PaymentStatus
from skyhold.booking.models.user import Role, User
from skyhold.contracts.holds import Cabin, HeldSegment
from skyhold.kernel.ids import derived_id, new_locator
from skyhold.kernel.money import Money, WireMoney

from .world import GIVE_UP_AFTER

START = datetime(2080, 1, 1, 12, tzinfo=UTC)
UNIT = timedelta(minutes=5)
GIVE_UP_AFTER_S = int(GIVE_UP_AFTER * UNIT.total_seconds())


def moment(now: int) -> datetime:
    """The model's moments on a real clock."""
    return START + now * UNIT


def a_user() -> User:
    return User(
        id=derived_id("user"),
        name="Alice",
        email="alice@example.com",
        email_key="alice@example.com",
        password_hash="x" * 60,
        role=Role.CUSTOMER,
        created_at=START,
    )


def a_booking(user: User, *, deadline: datetime) -> Booking:
    segment = HeldSegment(
        flight_id="B61-2080-01-10-JFK",
        flight_number="B61",
        origin="JFK",
        destination="LAX",
        departing_at=START + timedelta(days=9),
        arriving_at=START + timedelta(days=9, hours=6),
        cabin=Cabin.ECONOMY,
        seats=["1A", "1B"],
        fare=WireMoney(amount="129.00", currency="USD"),
    )
    return Booking(
        id=derived_id("booking"),
        user_id=user.id,
        record_locator=new_locator(),
        idempotency_key=None,
        request_digest=None,
        status=BookingStatus.HELD,
        segments=(segment,),
        passengers=(),
        total=Money(25_800, "USD"),
        payment_required_by=deadline,
        active_payment_id=None,
        hold_open=True,
        due_at=deadline,
        attempts=0,
        ver=1,
        created_at=START,
    )


def a_payment(booking: Booking, status: PaymentStatus, number: int = 0) -> Payment:
    return Payment(
        id=derived_id("payment", str(number)),
        booking_id=booking.id,
        user_id=booking.user_id,
        idempotency_key=None,
        request_digest=None,
        status=status,
        failure=None,
        amount=booking.total,
        token="tok_visa",
        due_at=START,
        attempts=0,
        created_at=START + number * UNIT,
    )
