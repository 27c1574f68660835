"""Bookings, holds and claims: which of them agree.

Each rule holds at every moment, not only in the end: whatever breaks one while the booking stands
still is wrong, however busy the system is. What takes its time (`is_late`, `is_over`) has its
patience.
"""

from __future__ import annotations

from collections.abc import Iterator

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import PaymentStatus
from skyhold.contracts.holds import HoldFacts, HoldStatus

from .case import Case, Limits, names, seat_set
from .kinds import Finding, Kind, Repair


def judge_seats(case: Case, limits: Limits) -> Iterator[Finding]:
    """What disagrees between a booking and its hold."""
    if case.hold is not None:
        yield from _claims(case, case.hold)
        yield from _sweeping(case, case.hold, limits)
    if case.booking is None:
        if case.hold_status is HoldStatus.CONFIRMED:
            yield _of_hold(case, Kind.SEATS_OF_NOBODY, Repair.CANCEL_HOLD, "confirmed, no booking")
        return
    if is_sold(case):
        yield from _sold(case)
    elif case.booking.status is BookingStatus.HELD:
        yield from _held(case, limits)
    elif case.booking.status is BookingStatus.EXPIRED and case.hold_status is HoldStatus.CONFIRMED:
        yield _of_booking(case, Kind.HELD_BUT_SOLD, Repair.PERSON)
    elif case.booking.has_ended and not case.booking.hold_open and case.is_live:
        yield _of_booking(case, Kind.SEATS_KEPT, Repair.GIVE_SEATS_BACK)
    if not case.booking.has_ended and case.is_live:
        yield from _same_seats(case)


def is_sold(case: Case) -> bool:
    """Whether the seats are the traveller's for good: the money is taken, or about to be."""
    assert case.booking is not None
    if case.booking.status is BookingStatus.PAYING:
        return case.active is not None and case.active.status is PaymentStatus.CAPTURE_DUE
    return case.booking.status is BookingStatus.CONFIRMED


def _sold(case: Case) -> Iterator[Finding]:
    match case.hold_status:
        case HoldStatus.CONFIRMED:
            return
        case HoldStatus.HELD:
            yield _of_booking(case, Kind.HOLD_NOT_CONFIRMED, Repair.CONFIRM_HOLD)
        case None if case.hold is None:
            yield _of_booking(case, Kind.HOLD_MISSING, Repair.HOLD_AGAIN)
        case None:  # the hold is lost, and its claims are not: they keep the seats for a person
            yield _of_booking(case, Kind.HOLD_MISSING, Repair.PERSON)
        case _:
            yield _of_booking(case, Kind.SEATS_GONE, Repair.PERSON)


def _held(case: Case, limits: Limits) -> Iterator[Finding]:
    assert case.booking is not None
    if case.hold_status is HoldStatus.CONFIRMED:
        yield _of_booking(case, Kind.HELD_BUT_SOLD, Repair.PERSON)
    elif not case.is_live and limits.now < case.booking.payment_required_by:
        yield _of_booking(case, Kind.HELD_WITHOUT_SEATS, Repair.WAIT)


def _same_seats(case: Case) -> Iterator[Finding]:
    assert case.booking is not None
    assert case.hold is not None
    if case.booking.seats != seat_set(case.hold.segments):
        says = f"the booking has {names(case.booking.seats)}; the hold {names(case.hold.segments)}"
        yield _about(case, Kind.SEATS_DIFFER, Repair.PERSON, says)


def _claims(case: Case, hold: HoldFacts) -> Iterator[Finding]:
    if hold.unclaimed:
        # One whose time is up is the sweeper's: its seats may be somebody else's already.
        repair = Repair.MEND_CLAIMS if hold.over_s is None else Repair.WAIT
        says = f"hold {hold.status}, not claimed: {names(hold.unclaimed)}"
        yield _of_hold(case, Kind.CLAIMS_MISSING, repair, says, names(hold.unclaimed))
    if hold.surplus:
        # Without a live hold these claims are all that keeps the seats of a live booking from being
        # sold to others.
        needed = case.booking is not None and not case.booking.has_ended and not case.is_live
        repair = Repair.PERSON if needed else Repair.MEND_CLAIMS
        says = f"{_standing(hold)}, still claimed: {names(hold.surplus)}"
        yield _of_hold(case, Kind.CLAIMS_LEFT, repair, says, names(hold.surplus))


def _sweeping(case: Case, hold: HoldFacts, limits: Limits) -> Iterator[Finding]:
    if hold.over_s is not None and hold.over_s > limits.patience_s:
        says = f"its time has been up for {hold.over_s} s"
        yield _of_hold(case, Kind.HOLD_OVER, Repair.WAIT, says, names(hold.segments))


def _of_booking(case: Case, kind: Kind, repair: Repair) -> Finding:
    assert case.booking is not None
    says = f"booking {case.booking.status}, {_standing(case.hold)}"
    return _about(case, kind, repair, says)


def _of_hold(
    case: Case, kind: Kind, repair: Repair, says: str, seats: str | None = None
) -> Finding:
    assert case.hold is not None
    return _about(case, kind, repair, says, seats or names(case.hold.segments))


def _about(case: Case, kind: Kind, repair: Repair, says: str, seats: str | None = None) -> Finding:
    booking = case.booking
    return Finding(
        kind,
        says,
        repair,
        booking_id=case.id,
        record_locator=None if booking is None else booking.record_locator,
        seats=seats or (None if booking is None else names(booking.seats)),
    )


def _standing(hold: HoldFacts | None) -> str:
    return "no hold" if hold is None or hold.status is None else f"hold {hold.status}"
