"""What the flight service refuses, and why."""

from __future__ import annotations

from skyhold.contracts.holds import HoldStatus
from skyhold.kernel.errors import Conflict, Gone, NotFound, Unprocessable


class FlightNotFound(NotFound):
    """There is no such flight."""

    code = "flight_not_found"


class HoldNotFound(NotFound):
    """There is no such hold."""

    code = "hold_not_found"


class SeatUnavailable(Conflict):
    """Someone else has one of these seats; please choose another."""

    code = "seat_unavailable"


class SoldOut(Conflict):
    """There are not that many seats left in this cabin."""

    code = "sold_out"


class PriceChanged(Conflict):
    """The seats cost something else than was expected."""

    code = "price_changed"


class FlightDeparted(Conflict):
    """The flight has left."""

    code = "flight_departed"


class FlightCancelled(Conflict):
    """The flight has been cancelled."""

    code = "flight_cancelled"


class FlightExists(Conflict):
    """There is already a flight with this airline, number, date and origin."""

    code = "flight_exists"


class HoldConfirmed(Conflict):
    """The hold is confirmed; only an explicit cancellation ends it."""

    code = "hold_confirmed"


class HoldEnded(Gone):
    """The hold has ended."""

    code = "hold_ended"

    def __init__(self, status: HoldStatus) -> None:
        super().__init__(f"The hold has ended: it is {status}.")


class HoldRequestDiffers(Unprocessable):
    """This hold id was used before, with another request."""

    code = "hold_request_differs"


class UnknownCabin(Unprocessable):
    """This flight does not sell that cabin."""

    code = "unknown_cabin"


class UnknownSeat(Unprocessable):
    """There is no such seat on this aircraft."""

    code = "unknown_seat"


class WrongCabin(Unprocessable):
    """The seat is in another cabin."""

    code = "wrong_cabin"


class SeatBlocked(Unprocessable):
    """The seat is not for sale."""

    code = "seat_blocked"


class DuplicateSeat(Unprocessable):
    """A seat is named twice."""

    code = "duplicate_seat"


class SegmentsOverlap(Unprocessable):
    """A flight leaves before the one ahead of it has landed; name segments in travel order."""

    code = "segments_overlap"


class MixedCurrencies(Unprocessable):
    """The flights are priced in different currencies; please book them one by one."""

    code = "mixed_currencies"


class UnknownAirport(Unprocessable):
    """There is no airport with that code."""

    code = "unknown_airport"


class UnknownAirline(Unprocessable):
    """There is no airline with that code."""

    code = "unknown_airline"


class UnknownAircraft(Unprocessable):
    """There is no aircraft type with that code."""

    code = "unknown_aircraft"


class ImpossibleFlight(Unprocessable):
    """The flight's times, fares or airports contradict one another."""

    code = "impossible_flight"
