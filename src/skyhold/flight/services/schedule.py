"""The schedule: airports, flights, what is free on them, and what staff change."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from skyhold.contracts.holds import FLIGHT_ID
from skyhold.flight.errors import (
    FlightCancelled,
    FlightDeparted,
    FlightExists,
    FlightNotFound,
    UnknownAircraft,
    UnknownAirline,
)
from skyhold.flight.models.flight import Airport, Availability, Flight, FlightStatus
from skyhold.flight.repositories import schedule, seats
from skyhold.flight.repositories.reference import Reference
from skyhold.flight.repositories.seats import Taken
from skyhold.kernel.batcher import PATIENCE_S, Batcher
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate, LostRace, ReadTx, Tx
from skyhold.kernel.logging import get_logger

from .departures import Change, Departure, changed_values, new_row
from .news import News
from .searching import Found, Search, answer, availability, unknown_airport

log = get_logger(__name__)

_WRITTEN_AS_ID = re.compile(FLIGHT_ID.pattern, re.ASCII)


# Of searches, or of seat maps, that wait together so many are looked up at once.
TOGETHER_MAX = 32

Map = tuple[Flight, Taken]


class Schedule:
    """Answers travellers' questions about flights and carries out what staff decide."""

    def __init__(self, db: Database, known: Reference, clock: Clock, news: News) -> None:
        self._db = db
        self._reference = known
        self._clock = clock
        self._news = news
        self._searches: Batcher[Search, Found] = Batcher(
            self._search, name="searches", batch_max=TOGETHER_MAX, patience_s=PATIENCE_S
        )
        self._maps: Batcher[str, Map] = Batcher(
            self._draw, name="seat_maps", batch_max=TOGETHER_MAX, patience_s=PATIENCE_S
        )

    async def close(self) -> None:
        """Let everybody who waits have an answer."""
        await self._searches.close()
        await self._maps.close()

    async def airports(self, query: str, *, after: str, limit: int) -> list[Airport]:
        """Airports by code, city or name, the best match first; all by code without a query."""
        async with self._db.read() as tx:
            if query:
                return await schedule.airports_matching(tx, fold(query), limit)
            return await schedule.airports_after(tx, after, limit)

    async def search(self, search: Search) -> Found:
        """Flights with room for the whole party in one cabin, by departure, and where to go on.

        Raises UnknownAirport. Flights that have left or are cancelled are not offered.
        """
        return await self._searches.submit(search)

    async def flight(self, flight_id: str) -> Availability:
        """One flight and what is free on it. Raises FlightNotFound."""
        async with self._db.read() as tx:
            flight = await self._known(tx, flight_id)
            return (await availability(tx, [flight], self._clock.now()))[0]

    async def seat_map(self, flight_id: str) -> Map:
        """A flight, and its seats that are taken at this moment. Raises FlightNotFound."""
        _check_id(flight_id)
        return await self._maps.submit(flight_id)

    async def add(self, departure: Departure) -> Availability:
        """Add a flight. Raises FlightExists, or a 422 problem that says what does not fit."""

        async def add(tx: Tx) -> None:
            ends = (departure.origin, departure.destination)
            await self._reference.learn_airports(tx, ends)
            if unknown := unknown_airport(self._reference, *ends):
                raise unknown
            if departure.airline not in await schedule.airlines(tx):
                raise UnknownAirline
            aircraft = await schedule.aircraft(tx)
            if departure.aircraft not in aircraft:
                raise UnknownAircraft
            name, layout = aircraft[departure.aircraft]
            row = new_row(
                departure,
                zones=self._reference.zones,
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

    async def _search(self, searches: Sequence[Search]) -> Sequence[Found | Exception]:
        different = list(dict.fromkeys(searches))
        async with self._db.read() as tx:
            answers = await answer(tx, self._reference, different, self._clock.now())
        found = dict(zip(different, answers, strict=True))
        return [found[search] for search in searches]

    async def _draw(self, flight_ids: Sequence[str]) -> Sequence[Map | Exception]:
        async with self._db.read() as tx:
            flights = await schedule.flights(tx, self._reference, set(flight_ids))
            taken = await seats.taken(tx, flights, self._clock.now())
        return [
            (flights[flight_id], taken[flight_id]) if flight_id in flights else FlightNotFound()
            for flight_id in flight_ids
        ]

    async def _known(self, tx: ReadTx, flight_id: str) -> Flight:
        _check_id(flight_id)
        flight = (await schedule.flights(tx, self._reference, [flight_id])).get(flight_id)
        if flight is None:
            raise FlightNotFound
        return flight


def _check_id(flight_id: str) -> None:
    # What is not written as an id is none; and PostgreSQL would choke on a NUL in it.
    if not _WRITTEN_AS_ID.fullmatch(flight_id):
        raise FlightNotFound


def fold(text: str) -> str:
    """Lower case without accents, for searching: "Zürich " and "zurich" fold to the same."""
    plain = unicodedata.normalize("NFKD", text)
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())
