"""The schedule: airports, flights, what is free on them, and what staff change."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from skyhold.contracts.holds import Cabin
from skyhold.flight.errors import (
    FlightCancelled,
    FlightDeparted,
    FlightExists,
    FlightNotFound,
    UnknownAircraft,
    UnknownAirline,
    UnknownAirport,
)
from skyhold.flight.models.flight import (
    Airport,
    Availability,
    Flight,
    FlightStatus,
    Position,
)
from skyhold.flight.models.holds import Claim
from skyhold.flight.repositories import holds, schedule
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate, LostRace, ReadTx, Tx
from skyhold.kernel.logging import get_logger

from .departures import Change, Departure, changed_values, new_row
from .news import News

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Search:
    """What a traveller looks for. `on` is the date at the airport of departure."""

    origin: str
    destination: str
    on: date
    party: int
    cabin: Cabin | None
    limit: int
    after: Position | None


class Schedule:
    """Answers travellers' questions about flights and carries out what staff decide."""

    def __init__(self, db: Database, clock: Clock, news: News) -> None:
        self._db = db
        self._clock = clock
        self._news = news

    async def airports(self, query: str, *, after: str, limit: int) -> list[Airport]:
        """Airports by code, city or name, the best match first; all by code without a query."""
        async with self._db.read() as tx:
            if query:
                return await schedule.airports_matching(tx, fold(query), limit)
            return await schedule.airports_after(tx, after, limit)

    async def search(self, search: Search) -> tuple[list[Availability], Position | None]:
        """Flights with room for the whole party in one cabin, by departure, and where to go on.

        Raises UnknownAirport. Flights that have left or are cancelled are not offered.
        """
        found: list[Availability] = []
        after = search.after
        async with self._db.read() as tx:
            await self._check_airports(tx, search.origin, search.destination)
            while True:
                flights = await schedule.departures(
                    tx,
                    origin=search.origin,
                    destination=search.destination,
                    on=search.on,
                    from_instant=self._clock.now(),
                    after=after,
                    limit=search.limit + 1,
                )
                for offer in await self._availability(tx, flights):
                    if offer.seats_for(search.party, search.cabin):
                        found.append(offer)
                    if len(found) > search.limit:
                        page = found[: search.limit]
                        return page, _position(page[-1].flight)
                if len(flights) <= search.limit:
                    return found, None
                after = _position(flights[-1])

    async def flight(self, flight_id: str) -> Availability:
        """One flight and what is free on it. Raises FlightNotFound."""
        async with self._db.read() as tx:
            flight = await self._known(tx, flight_id)
            return (await self._availability(tx, [flight]))[0]

    async def seat_map(self, flight_id: str) -> tuple[Flight, Mapping[str, Claim], datetime]:
        """A flight, its taken seats, and the instant this was so. Raises FlightNotFound."""
        async with self._db.read() as tx:
            flight = await self._known(tx, flight_id)
            claims = await holds.claims_on(tx, [flight_id])
        return flight, claims[flight_id], self._clock.now()

    async def add(self, departure: Departure) -> Availability:
        """Add a flight. Raises FlightExists, or a 422 problem that says what does not fit."""

        async def add(tx: Tx) -> None:
            airports = await self._check_airports(tx, departure.origin, departure.destination)
            if departure.airline not in await schedule.airlines(tx):
                raise UnknownAirline
            aircraft = await schedule.aircraft(tx)
            if departure.aircraft not in aircraft:
                raise UnknownAircraft
            name, layout = aircraft[departure.aircraft]
            row = new_row(
                departure,
                zones={code: airport.time_zone for code, airport in airports.items()},
                aircraft_name=name,
                cabins=layout.by_cabin.keys(),
            )
            written.append(row)
            await schedule.add_flights(tx, [row])

        written: list[dict[str, Any]] = []
        try:
            await self._db.transact(add)
        except Duplicate as error:
            # It may be this very flight, committed by a run that got no answer.
            if not (error.after_unknown and await self._is_there(written[-1])):
                raise FlightExists from None
        added: str = written[-1]["id"]
        log.info("flight.added", flight_id=added)
        return await self.flight(added)

    async def change(self, flight_id: str, change: Change) -> Availability:
        """Cancel, retime or reprice a flight. Bookings and holds keep what they were promised.

        Raises FlightNotFound, FlightCancelled (a cancelled flight does not come back),
        FlightDeparted once it has landed, or ImpossibleFlight.
        """

        async def apply(tx: Tx) -> None:
            flight = await self._known(tx, flight_id)
            if flight.status is FlightStatus.CANCELLED and not change.cancel:
                raise FlightCancelled
            if flight.arriving_at <= self._clock.now():
                raise FlightDeparted("The flight has landed; nothing of it can be changed.")
            values = changed_values(flight, change)
            if not values:
                return
            if not await schedule.change_flight(tx, flight, values):
                raise LostRace
            await self._news.tell(tx, flight, await self._known(tx, flight_id))

        await self._db.transact(apply)
        log.info("flight.changed", flight_id=flight_id, cancelled=change.cancel)
        return await self.flight(flight_id)

    async def _is_there(self, row: Mapping[str, Any]) -> bool:
        async with self._db.read() as tx:
            return (await schedule.rows_by_id(tx, [row["id"]])).get(row["id"]) == row

    @staticmethod
    async def _known(tx: ReadTx, flight_id: str) -> Flight:
        flight = (await schedule.flights(tx, [flight_id])).get(flight_id)
        if flight is None:
            raise FlightNotFound
        return flight

    async def _availability(self, tx: ReadTx, flights: list[Flight]) -> list[Availability]:
        ids = [flight.id for flight in flights]
        taken = await holds.seats_taken(tx, ids, self._clock.now())
        return [Availability.of(flight, taken.get(flight.id, {})) for flight in flights]

    @staticmethod
    async def _check_airports(tx: ReadTx, origin: str, destination: str) -> dict[str, Airport]:
        known = await schedule.airports(tx, [origin, destination])
        for code in (origin, destination):
            if code not in known:
                raise UnknownAirport(f"There is no airport with the code {code}.")
        return known


def fold(text: str) -> str:
    """Lower case without accents, for searching: "Zürich " and "zurich" fold to the same."""
    plain = unicodedata.normalize("NFKD", text)
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def _position(flight: Flight) -> Position:
    return Position(flight.departing_at, flight.id)
