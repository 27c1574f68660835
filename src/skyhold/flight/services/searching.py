"""What travellers look for, and what is found: many searches in one reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from skyhold.contracts.holds import Cabin
from skyhold.flight.errors import UnknownAirport
from skyhold.flight.models.flight import Availability, Flight, Position
from skyhold.flight.repositories import schedule, seats
from skyhold.flight.repositories.reference import Reference
from skyhold.kernel.db import ReadTx

# So many flights are read for searches together; days with more than that are searched one by one.
FLIGHTS_MAX = 1_000

Found = tuple[list[Availability], Position | None]


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

    @property
    def day(self) -> schedule.Day:
        """Where to look."""
        return self.origin, self.destination, self.on

    def fitting(self, offers: Iterable[Availability]) -> list[Availability]:
        """Those with room for the whole party in one cabin."""
        return [offer for offer in offers if offer.seats_for(self.party, self.cabin)]

    def page(self, found: list[Availability]) -> Found:
        """The first of them, and where to go on if they are not all."""
        if len(found) <= self.limit:
            return found, None
        return found[: self.limit], _position(found[self.limit - 1].flight)


async def answer(
    tx: ReadTx, known: Reference, searches: Sequence[Search], now: datetime
) -> list[Found | UnknownAirport]:
    """What each of them finds, in their order."""
    await known.learn_airports(
        tx, {code for search in searches for code in (search.origin, search.destination)}
    )
    from_the_start = {search.day for search in searches if search.after is None}
    days = await schedule.days(tx, known, from_the_start, now, FLIGHTS_MAX)
    flights = [flight for day in days.values() for flight in day]
    offers = {offer.flight.id: offer for offer in await availability(tx, flights, now)}
    answers: list[Found | UnknownAirport] = []
    for search in searches:
        if unknown := unknown_airport(known, search.origin, search.destination):
            answers.append(unknown)
        elif search.after is None and search.day in days:
            of_day = (offers[flight.id] for flight in days[search.day])
            answers.append(search.page(search.fitting(of_day)))
        else:
            answers.append(await _step_by_step(tx, known, search, now))
    return answers


async def availability(tx: ReadTx, flights: Sequence[Flight], now: datetime) -> list[Availability]:
    """What is free on each of these flights."""
    taken = await seats.count_taken(tx, [flight.id for flight in flights], now)
    return [Availability.of(flight, taken[flight.id]) for flight in flights]


def unknown_airport(known: Reference, *codes: str) -> UnknownAirport | None:
    """The first that does not exist; they have been learnt as far as they do."""
    for code in codes:
        if code not in known.zones:
            return UnknownAirport(f"There is no airport with the code {code}.")
    return None


async def _step_by_step(tx: ReadTx, known: Reference, search: Search, now: datetime) -> Found:
    """A page from the middle of a day, or of a day with very many flights."""
    found: list[Availability] = []
    after = search.after
    while True:
        flights = await schedule.departures(
            tx, known, search.day, from_instant=now, after=after, limit=search.limit + 1
        )
        found += search.fitting(await availability(tx, flights, now))
        if len(found) > search.limit or len(flights) <= search.limit:
            return search.page(found)
        after = _position(flights[-1])


def _position(flight: Flight) -> Position:
    return Position(flight.departing_at, flight.id)
