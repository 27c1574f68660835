"""Who and what the load acts on: users with tokens, flights, bookings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Table

from skyhold.booking.models.tables import UserRow
from skyhold.kernel.auth import Tokens, access_kind
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.ids import new_id

from . import database, flights
from .system import JWT_SECRET, System

USERS = 2_000
ROUTE_DAYS, FLIGHTS_A_DAY = 64, 12
FOR_SALE = 200
BOOKINGS_MAX = 2_000
# What a load has booked is made to be at rest, so that every load finds the same: users without
# unpaid bookings, and nothing that falls due while something else is measured.
TIDY_BOOKINGS = (
    "UPDATE bookings SET status = 'cancelled', hold_open = false, due_at = NULL "
    "WHERE due_at IS NOT NULL AND status = 'held'"
)
TIDY_HOLDS = "UPDATE holds SET status = 'confirmed' WHERE status = 'held'"


@dataclass
class World:
    """All of it, for one system; `write` makes the file that the Lua scripts read."""

    system: System
    folder: Path
    today: datetime
    tokens: Sequence[str]
    seats: Sequence[str]
    schedule: Sequence[flights.Departure]
    sold_out: Sequence[str] = ()
    bookings: Sequence[tuple[str, int]] = ()
    _serials: itertools.count[int] = field(default_factory=itertools.count)

    def fresh_flights(self) -> list[str]:
        """Ids of new flights on which nothing is sold yet."""
        new = flights.for_sale(itertools.islice(self._serials, FOR_SALE), self.today)
        flights.add(self.system.database.flight_url, new)
        return [flight.id for flight in new]

    def find_bookings(self) -> None:
        """Remember bookings that are paid for, each with its user, to be read."""
        self.bookings = [
            (id_, int(name.removeprefix("Nr")))
            for id_, name in database.ask(
                self.system.database.booking_url,
                "SELECT b.id, p.family_name FROM bookings b JOIN passengers p "
                "ON p.booking_id = b.id AND p.family_name LIKE 'Nr%' "
                f"WHERE b.status = 'confirmed' LIMIT {BOOKINGS_MAX}",
            )
        ]

    def tidy(self) -> None:
        """Let everything be at rest that the last load has left under way."""
        database.execute(self.system.database.booking_url, TIDY_BOOKINGS)
        database.execute(self.system.database.flight_url, TIDY_HOLDS)

    def write(self, for_sale: Sequence[str]) -> Path:
        """The file for the next load."""
        searches = {
            f"origin={it.origin}&destination={it.destination}&date={it.day}" for it in self.schedule
        }
        bookings = ",\n".join(f'{{id="{id_}",user={user}}}' for id_, user in self.bookings)
        lists = {
            "tokens": _lua(self.tokens),
            "flights": _lua(for_sale),
            "half_sold": _lua([flight.id for flight in self.schedule]),
            "searches": _lua(sorted(searches)),
            "bookings": f"{{{bookings}}}",
            "seats": str(len(self.seats)),
        }
        path = self.folder / "world.lua"
        path.write_text(_table(lists))
        return path


def make_world(system: System) -> World:
    """Users, a schedule that is half sold, and one flight that is sold out."""
    users = [new_id() for _ in range(USERS)]
    database.add(system.database.booking_url, {_users(): [_user(id_) for id_ in users]})
    today = datetime.now(UTC)
    schedule = flights.schedule(ROUTE_DAYS, FLIGHTS_A_DAY, today)
    seats = flights.seats()
    flights.add(system.database.flight_url, schedule, sold=seats[::2])
    world = World(system, system.processes.folder, today, _tokens(users), seats, schedule)
    full = flights.for_sale(itertools.islice(world._serials, 1), today)  # noqa: SLF001 - ours
    flights.add(system.database.flight_url, full, sold=seats)
    world.sold_out = [flight.id for flight in full]
    return world


def _tokens(users: Sequence[str]) -> list[str]:
    tokens = Tokens(JWT_SECRET, access_kind(86_400), SystemClock())
    return [tokens.issue(id_, role="customer", sid=new_id()) for id_ in users]


def _users() -> Table:
    table = UserRow.__table__
    assert isinstance(table, Table)
    return table


def _user(id_: str) -> dict[str, object]:
    return {
        "id": id_,
        "name": "Ada",
        "email": f"{id_}@example.com",
        "email_key": f"{id_}@example.com",
        "password_hash": "x" * 60,
        "role": "customer",
        "created_at": datetime.now(UTC),
        "pepper_id": None,
        "erased_at": None,
        "ver": 0,
    }


def _lua(texts: Sequence[str]) -> str:
    return "{" + ",\n".join(f'"{text}"' for text in texts) + "}"


def _table(parts: Mapping[str, str]) -> str:
    return "return {\n" + ",\n".join(f"{name} = {value}" for name, value in parts.items()) + "\n}\n"
