"""Why seats cannot be held: what the flight service says, and whoever asked it passes on."""

from __future__ import annotations

from skyhold.kernel.errors import Conflict, NotFound, Unprocessable


class FlightNotFound(NotFound):
    """There is no such flight."""

    code = "flight_not_found"


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


HOLD_REFUSALS = (
    FlightNotFound,
    SeatUnavailable,
    SoldOut,
    PriceChanged,
    FlightDeparted,
    FlightCancelled,
    UnknownCabin,
    UnknownSeat,
    WrongCabin,
    SeatBlocked,
    DuplicateSeat,
    SegmentsOverlap,
    MixedCurrencies,
)
