"""A small airline in a flight database of any engine."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from skyhold.contracts.holds import Cabin, HoldStatus, HoldWanted
from skyhold.flight.models.flight import flight_id
from skyhold.flight.models.holds import LIVE
from skyhold.flight.models.tables import FlightRow, HoldRow, SeatClaimRow
from skyhold.flight.repositories import schedule
from skyhold.flight.repositories.reference import Reference
from skyhold.flight.services.departures import Departure, new_row
from skyhold.flight.services.holds import Holds
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from skyhold.kernel.money import Money

SEATS = [f"{row}{letter}" for row in range(1, 6) for letter in "ABCD"]
ZONES = {"JFK": "America/New_York", "LAX": "America/Los_Angeles"}
CLIENT = "booking"
_numbers = itertools.count(1)


async def lay_the_ground(db: Database) -> None:
    """An airline, two airports and an aircraft of twenty seats."""
    drawing = [{"cabin": "economy", "rows": "1-5", "seats": "AB CD"}]
    airports = [
        {"code": code, "name": code, "city": code, "country": "US", "time_zone": zone, "folded": ""}
        for code, zone in ZONES.items()
    ]

    async def add(tx):
        await schedule.add_airports(tx, airports)
        await schedule.add_airlines(tx, {"B6": "JetBlue"})
        tiny = {"code": "TNY", "name": "Tiny", "layout": json.dumps(drawing)}
        await schedule.add_aircraft(tx, [tiny])

    await db.transact(add)


async def a_flight(db: Database, clock: FrozenClock) -> str:
    """A new flight of twenty seats, nine days from now; answers its id."""
    number = next(_numbers)
    leaves = clock.now() + timedelta(days=9)
    departure = Departure(
        airline="B6",
        number=number,
        origin="JFK",
        destination="LAX",
        departing_at=leaves,
        arriving_at=leaves + timedelta(hours=6),
        aircraft="TNY",
        aircraft_name=None,
        fares={Cabin.ECONOMY: Money(100, "USD")},
    )
    row = new_row(departure, zones=ZONES, aircraft_name="Tiny", cabins={Cabin.ECONOMY})
    row |= {"id": flight_id("B6", number, leaves.date(), "JFK")}
    await db.transact(lambda tx: schedule.add_flights(tx, [row]))
    return row["id"]


def holds_on(db: Database, clock: FrozenClock, *, batch_max: int = 8) -> Holds:
    """The service, as one replica has it."""
    return Holds(db, Reference(), clock, batch_max=batch_max, waiting_max=10_000, sweep_max=100)


def wanted(flight: str, *seats: str, count: int | None = None, ttl_s: int = 600) -> HoldWanted:
    """These seats of a flight, or so many."""
    which = {"seats": list(seats)} if seats else {"count": count}
    return HoldWanted(segments=[{"flight_id": flight} | which], ttl_s=ttl_s)


@dataclass(frozen=True)
class Books:
    """What the two tables say of a flight: whose each seat is, and each hold's state and seats."""

    claims: dict[str, str]
    holds: dict[str, tuple[HoldStatus, tuple[str, ...]]]
    ends: dict[str, datetime]

    def check(self) -> None:
        """Claimed seats are the seats of held and confirmed holds, each of one hold: always."""
        owed = [
            (seat, id)
            for id, (state, seats) in self.holds.items()
            if state in LIVE
            for seat in seats
        ]
        assert len(owed) == len(dict(owed)), "a seat belongs to two holds"
        assert dict(owed) == self.claims

    def states(self) -> dict[str, HoldStatus]:
        return {id: state for id, (state, _) in self.holds.items()}


async def books_of(db: Database, flight: str, ids: Sequence[str] = ()) -> Books:
    """Both tables as they are at one moment; tombstones, which name no flight, by `ids`."""
    async with db.read() as tx:
        claims = await tx.rows(
            select(SeatClaimRow.seat, SeatClaimRow.hold_id).where(SeatClaimRow.flight_id == flight)
        )
        rows = await tx.rows(select(HoldRow.__table__))
    of_flight = [
        row for row in rows if row.id in ids or flight in {p["flight_id"] for p in row.segments}
    ]
    return Books(
        {claim.seat: claim.hold_id for claim in claims},
        {
            row.id: (HoldStatus(row.status), tuple(s for p in row.segments for s in p["seats"]))
            for row in of_flight
        },
        {row.id: row.expires_at for row in of_flight},
    )


async def clear_the_ground(db: Database) -> None:
    """No flights and no holds."""

    async def clear(tx):
        for table in (SeatClaimRow, HoldRow, FlightRow):
            await tx.run(delete(table))

    await db.transact(clear)
