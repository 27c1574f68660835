"""People, bookings and payments as they are written down."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta

from skyhold.booking.models.booking import Booking, BookingStatus, Passenger, PassengerType
from skyhold.booking.models.payment import Payment, PaymentStatus
from skyhold.booking.models.user import Role, User
from skyhold.contracts.holds import HeldSegment
from skyhold.kernel.ids import new_id, new_locator
from skyhold.kernel.money import Money, WireMoney

FLIGHT = "B61-2080-01-10-JFK"
_numbers = itertools.count(1)


def a_user(now, **more) -> User:
    number = next(_numbers)
    user = User(
        id=new_id(),
        name="Zoë \N{AIRPLANE}",
        email=f"Ada-{number}@example.com",
        email_key=f"ada-{number}@example.com",
        password_hash="x" * 60,
        role=Role.CUSTOMER,
        created_at=now,
    )
    return replace(user, **more)


def a_booking(user: User, now, **more) -> Booking:
    deadline = now + timedelta(minutes=15)
    segment = HeldSegment(
        flight_id=FLIGHT,
        flight_number="B6 1",
        origin="JFK",
        destination="LAX",
        departing_at=now + timedelta(days=9),
        arriving_at=now + timedelta(days=9, hours=6),
        cabin="economy",
        seats=["1A", "1B"],
        fare=WireMoney(amount="129.00", currency="USD"),
    )
    booking = Booking(
        id=new_id(),
        user_id=user.id,
        record_locator=new_locator(),
        idempotency_key=None,
        request_digest=None,
        status=BookingStatus.HELD,
        segments=(segment,),
        passengers=(
            Passenger("Zoë", "O'Neill", PassengerType.ADULT, date(1980, 2, 29)),
            Passenger("\N{FACE WITH TEARS OF JOY}", "李", PassengerType.CHILD, None),
        ),
        total=Money(25_800, "USD"),
        payment_required_by=deadline,
        active_payment_id=None,
        hold_open=True,
        due_at=deadline,
        attempts=0,
        ver=1,
        created_at=now,
    )
    return replace(booking, **more)


def a_payment(booking: Booking, now, **more) -> Payment:
    payment = Payment(
        id=new_id(),
        booking_id=booking.id,
        user_id=booking.user_id,
        idempotency_key=None,
        request_digest=None,
        status=PaymentStatus.CREATED,
        failure=None,
        amount=booking.total,
        token="tok_visa",
        due_at=now,
        attempts=0,
        created_at=now,
    )
    return replace(payment, **more)
