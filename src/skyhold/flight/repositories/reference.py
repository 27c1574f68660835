"""What flights refer to: airlines, airports, aircraft types."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Row, select

from skyhold.flight.models.flight import Flight
from skyhold.flight.models.layout import Layout
from skyhold.flight.models.tables import AircraftRow, AirlineRow, AirportRow
from skyhold.kernel.db import ReadTx

FLIGHTS_MAX = 10_000


class Reference:
    """Names, time zones and layouts by their codes, each read once.

    They are added to and never change, see `add_airports` and its like, so what is remembered is
    true; and flights, of which there are many, are read without joining them.

    Flights do change, but each time they do their `ver` grows: so a search reads which flights
    there are, in which version, and of those it has met before it knows the rest.
    """

    def __init__(self) -> None:
        self.airlines: dict[str, str] = {}
        self.zones: dict[str, str] = {}
        self.layouts: dict[str, Layout] = {}
        self.flights: dict[str, Flight] = {}

    async def learn(self, tx: ReadTx, rows: Collection[Row[Any]]) -> None:
        """Look up what these rows of flights refer to, as far as it is not known yet."""
        if new := {row.airline for row in rows} - self.airlines.keys():
            airlines = select(AirlineRow.code, AirlineRow.name).where(AirlineRow.code.in_(new))
            self.airlines |= {row.code: row.name for row in await tx.rows(airlines)}
        await self.learn_airports(tx, {at for row in rows for at in (row.origin, row.destination)})
        if new := {row.aircraft for row in rows} - self.layouts.keys():
            aircraft = select(AircraftRow.code, AircraftRow.layout)
            found = await tx.rows(aircraft.where(AircraftRow.code.in_(new)))
            self.layouts |= {row.code: Layout.from_json(row.layout) for row in found}

    async def learn_airports(self, tx: ReadTx, codes: Iterable[str]) -> None:
        """Look up those of these airports that are not known yet, as far as they exist."""
        if new := set(codes) - self.zones.keys():
            airports = select(AirportRow.code, AirportRow.time_zone)
            found = await tx.rows(airports.where(AirportRow.code.in_(new)))
            self.zones |= {row.code: row.time_zone for row in found}

    def remember(self, flights: Collection[Flight]) -> None:
        """Keep these as they are in this version. Only what is committed may be remembered."""
        if len(self.flights) + len(flights) > FLIGHTS_MAX:
            self.flights.clear()  # the popular ones are soon back
        self.flights |= {flight.id: flight for flight in flights}

    def recall(self, flight_id: str, ver: int) -> Flight | None:
        """The flight, if it is remembered in this very version."""
        flight = self.flights.get(flight_id)
        return flight if flight is not None and flight.ver == ver else None
