"""What must be so of seats that are asked for. Each raises the problem that says what is not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from skyhold.contracts.holds import SegmentWanted
from skyhold.flight.errors import (
    DuplicateSeat,
    MixedCurrencies,
    PriceChanged,
    SeatBlocked,
    SeatUnavailable,
    SegmentsOverlap,
    UnknownSeat,
    WrongCabin,
)
from skyhold.kernel.money import WireMoney

from .flight import Flight
from .holds import HoldRecord


def checked_seats(
    flight: Flight, wanted: SegmentWanted, seats: Sequence[str], taken: Collection[str]
) -> list[str]:
    """The seats as asked for, if every one of them can be had."""
    if len(set(seats)) != len(seats):
        raise DuplicateSeat
    for number in seats:
        seat = flight.layout.by_number.get(number)
        if seat is None:
            raise UnknownSeat(f"There is no seat {number} on {flight.id}.")
        if seat.cabin is not wanted.cabin:
            raise WrongCabin(f"Seat {number} is in {seat.cabin}, not in {wanted.cabin}.")
        if seat.blocked:
            raise SeatBlocked(f"Seat {number} is not for sale.")
    gone = [number for number in seats if number in taken]
    if gone:
        raise SeatUnavailable(f"No longer free on {flight.id}: {', '.join(gone)}.")
    return list(seats)


def check_order(flights: Iterable[Flight]) -> None:
    """Each flight leaves after the one before has landed, and all cost the same money."""
    previous: Flight | None = None
    currencies: set[str] = set()
    for flight in flights:
        if previous is not None and flight.departing_at < previous.arriving_at:
            raise SegmentsOverlap
        currencies |= {fare.currency for fare in flight.fares.values()}
        previous = flight
    if len(currencies) > 1:
        raise MixedCurrencies


def check_total(hold: HoldRecord, expected: WireMoney | None) -> None:
    """What the seats cost is what the caller expects, if they say so."""
    total = hold.total()
    assert total is not None, "a hold has segments"
    if expected is not None and expected.money() != total:
        raise PriceChanged(f"The seats now cost {total}, not {expected.money()}.")
