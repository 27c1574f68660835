"""What travellers look at most, written straight from values.

The models say how it is written: one is written once for a layout, or for a version of a flight,
and taken apart where the seats' states, or numbers, stand. From then on only those are filled in.
No text inside can be taken for such a place, because JSON puts a backslash before its quotes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from skyhold.contracts.holds import Cabin, HoldStatus
from skyhold.flight.models.flight import Availability, Flight, Position
from skyhold.flight.models.layout import Layout
from skyhold.kernel.http.pages import to_instant_cursor
from skyhold.kernel.http.written import Written

from .flights import FlightOut, SeatMapOut, SeatStatus

# So many flights are kept written.
FACTS_MAX = 10_000
NONE_LEFT = '"seats_available":0'
FREE, HELD, OCCUPIED = (
    f'"{status}"' for status in (SeatStatus.AVAILABLE, SeatStatus.HELD, SeatStatus.OCCUPIED)
)


def page_of_flights(found: list[Availability], more: Position | None) -> Written:
    """A `Page[FlightOut]`."""
    flights = ",".join(map(_flight, found))
    cursor = "null" if more is None else f'"{to_instant_cursor(more.departing_at, more.flight_id)}"'
    return Written(f'{{"data":[{flights}],"next":{cursor}}}')


def seat_map(flight: Flight, taken: Mapping[str, HoldStatus]) -> Written:
    """A `SeatMapOut`."""
    drawing, places = _drawing(flight.layout, frozenset(flight.fares))
    pieces = drawing.copy()
    for number, status in taken.items():
        if number in places:
            pieces[places[number]] = HELD if status is HoldStatus.HELD else OCCUPIED
    return Written(f'{{"flight_id":"{flight.id}",{"".join(pieces)}')


@lru_cache(maxsize=1_000)
def _drawing(layout: Layout, sold: frozenset[Cabin]) -> tuple[list[str], Mapping[str, int]]:
    """All that follows a flight's id, and where in it the state of a seat that is sold stands."""
    text = SeatMapOut.all_free("", layout, sold).model_dump_json()
    pieces: list[str] = []
    for piece in text.removeprefix('{"flight_id":"",').split(FREE):
        pieces += piece, FREE
    del pieces[-1]
    for_sale = (
        seat.number for cabin in layout.cabins if cabin.cabin in sold for seat in cabin.sellable
    )
    return pieces, dict(zip(for_sale, range(1, len(pieces), 2), strict=True))


def _flight(offer: Availability) -> str:
    pieces = iter(_facts(offer.flight))
    text = next(pieces)
    for seats, piece in zip(offer.seats_available.values(), pieces, strict=True):
        text += f'"seats_available":{seats}{piece}'
    return text


@lru_cache(maxsize=FACTS_MAX)
def _facts(flight: Flight) -> tuple[str, ...]:
    """A `FlightOut` up to the seats that are left in the first cabin, then to the next, and on."""
    none_left = Availability(flight, dict.fromkeys(flight.fares, 0))
    return tuple(FlightOut.of(none_left).model_dump_json().split(NONE_LEFT))
