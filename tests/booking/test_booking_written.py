"""Bookings are written straight from values: what comes out is what their model would write."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from skyhold.booking.models.booking import Booking, BookingStatus, Passenger, PassengerType
from skyhold.booking.models.change import Change, ChangeKind, Times
from skyhold.booking.models.payment import Failure, Payment, PaymentStatus
from skyhold.booking.schemas.bookings import BookingOut, to_answer
from skyhold.booking.services.look import View
from skyhold.contracts.holds import Cabin, HeldSegment
from skyhold.kernel.money import Money, WireMoney

NOON = datetime(2026, 12, 1, 12, 0, 0, 123456, tzinfo=UTC)
LEAVES = datetime(2026, 12, 3, 9, 15, tzinfo=timezone(timedelta(hours=-5)))
TIMES = Times(LEAVES, LEAVES + timedelta(hours=4))
SEGMENT = HeldSegment(
    flight_id="UA1545-2026-12-03-EWR",
    flight_number="UA1545",
    origin="EWR",
    destination="IAH",
    departing_at=TIMES.departing_at,
    arriving_at=TIMES.arriving_at,
    cabin=Cabin.PREMIUM_ECONOMY,
    seats=["12A", "12B"],
    fare=WireMoney(amount="129.00", currency="USD"),
    flight_ver=7,
)
HELD = Booking(
    id="b",
    user_id="u",
    record_locator="K7Q3MX",
    idempotency_key=None,
    request_digest=None,
    status=BookingStatus.HELD,
    segments=(SEGMENT, SEGMENT),
    passengers=(
        Passenger("Zoë", 'O"Hara\\', PassengerType.ADULT, None),
        Passenger("\u6b66", "\U0001f6eb", PassengerType.CHILD, date(2019, 2, 28)),
    ),
    total=Money(25_800, "USD"),
    payment_required_by=NOON + timedelta(minutes=15),
    active_payment_id=None,
    hold_open=True,
    due_at=NOON,
    attempts=0,
    ver=1,
    created_at=NOON,
)
CHANGED = replace(
    HELD,
    status=BookingStatus.CONFIRMED,
    changes=(
        Change(SEGMENT.flight_id, ChangeKind.RESCHEDULED, TIMES, TIMES, NOON),
        Change(SEGMENT.flight_id, ChangeKind.CANCELLED, TIMES, None, NOON),
    ),
)
PAID = Payment(
    id="p",
    booking_id="b",
    user_id="u",
    idempotency_key=None,
    request_digest=None,
    status=PaymentStatus.CAPTURED,
    failure=None,
    amount=Money(25_800, "USD"),
    token="tok_visa",
    due_at=None,
    attempts=0,
    created_at=NOON,
)
REFUNDED = replace(PAID, status=PaymentStatus.REFUNDED, failure=Failure.SEATS_GONE)
VIEWS = {
    "held": View(HELD, None, NOON),
    "too late to pay": View(HELD, None, NOON + timedelta(hours=1)),
    "paid": View(replace(HELD, status=BookingStatus.CONFIRMED), PAID, NOON),
    "refunded, of a flight that changed": View(CHANGED, REFUNDED, NOON),
    "of a currency without decimals": View(replace(HELD, total=Money(129, "JPY")), None, NOON),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_booking_is_written_as_its_model_would_write_it(view):
    assert to_answer(view).body == BookingOut.of(view).model_dump_json().encode()


def test_a_written_booking_has_what_its_model_has_and_nothing_else():
    booking = BookingOut.model_validate_json(to_answer(VIEWS["held"]).body, extra="forbid")
    assert booking == BookingOut.of(VIEWS["held"])
    assert booking.segments[0].departing_at == LEAVES
    assert booking.available_actions == ["pay", "cancel"]
