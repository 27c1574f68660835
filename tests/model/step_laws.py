"""What no step may do, be it ever so allowed by the world it leads to."""

from __future__ import annotations

from collections.abc import Callable

from .booking_rules import BOOKING_NEXT, PAYMENT_NEXT
from .flight_rules import NEXT
from .world import Hold, World


def bookings_move_only_as_the_protocol_draws_it(before: World, after: World) -> bool:
    return before.bookings is after.bookings or all(
        old is None or old.status == new.status or new.status in BOOKING_NEXT[old.status]
        for old, new in zip(before.bookings, after.bookings, strict=True)
    )


def payments_move_only_as_the_protocol_draws_it(before: World, after: World) -> bool:
    return before.payments is after.payments or all(
        old is None or old.status == new.status or new.status in PAYMENT_NEXT[old.status]
        for old, new in zip(before.payments, after.payments, strict=True)
    )


def a_hold_leaves_held_once_and_never_comes_back(before: World, after: World) -> bool:
    return before.holds is after.holds or all(
        old is None or old.status == new.status or new.status in NEXT[old.status]
        for old, new in zip(before.holds, after.holds, strict=True)
    )


def nobody_confirms_a_hold_whose_time_is_up(before: World, after: World) -> bool:
    return not _confirms(before, after, lambda hold: hold.ends <= before.now)


def nobody_confirms_seats_on_a_cancelled_flight(before: World, after: World) -> bool:
    return before.flight == "goes" or not _confirms(before, after, lambda _: True)


def _confirms(before: World, after: World, which: Callable[[Hold], bool]) -> bool:
    return before.holds is not after.holds and any(
        old is not None and old.status == "held" and new.status == "confirmed" and which(old)
        for old, new in zip(before.holds, after.holds, strict=True)
    )


def a_booking_expires_unpaid_only_after_its_deadline(before: World, after: World) -> bool:
    return not _booking_goes(before, after, "expired", before.now.__lt__)


def a_payment_begins_only_before_the_deadline(before: World, after: World) -> bool:
    return not _booking_goes(before, after, "paying", before.now.__ge__)


def _booking_goes(
    before: World, after: World, new_status: str, wrong_for: Callable[[int], bool]
) -> bool:
    """Whether a held booking goes there although that is wrong for its deadline."""
    return before.bookings is not after.bookings and any(
        old is not None
        and old.status == "held"
        and new.status == new_status
        and wrong_for(old.deadline)
        for old, new in zip(before.bookings, after.bookings, strict=True)
    )
