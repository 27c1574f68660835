"""What the flight service refuses, and why."""

from __future__ import annotations

from skyhold.contracts.holds import HoldStatus
from skyhold.contracts.refusals import (
    DuplicateSeat,
    FlightCancelled,
    FlightDeparted,
    FlightNotFound,
    MixedCurrencies,
    PriceChanged,
    SeatBlocked,
    SeatUnavailable,
    SegmentsOverlap,
    SoldOut,
    UnknownCabin,
    UnknownSeat,
    WrongCabin,
)
from skyhold.kernel.errors import Conflict, Gone, NotFound, Unavailable, Unprocessable

__all__ = [  # with those that other services pass on
    "DuplicateSeat",
    "FlightCancelled",
    "FlightDeparted",
    "FlightExists",
    "FlightNotFound",
    "HoldConfirmed",
    "HoldEnded",
    "HoldNotFound",
    "HoldRequestDiffers",
    "ImpossibleFlight",
    "MixedCurrencies",
    "PriceChanged",
    "SeatBlocked",
    "SeatUnavailable",
    "SegmentsOverlap",
    "SessionsUnknown",
    "SoldOut",
    "UnknownAircraft",
    "UnknownAirline",
    "UnknownAirport",
    "UnknownCabin",
    "UnknownSeat",
    "WrongCabin",
]


class HoldNotFound(NotFound):
    """There is no such hold."""

    code = "hold_not_found"


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


class SessionsUnknown(Unavailable):
    """Whether you are still logged in cannot be checked just now; please try again shortly."""

    code = "sessions_unknown"
