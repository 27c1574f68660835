"""Both services as processes of their own, people of every kind, and a look into the databases."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import func, select

from skyhold.booking.models.tables import OUTBOX
from skyhold.booking.models.tables import Base as Bookings
from skyhold.contracts.sessions import SCOPE as SESSIONS
from skyhold.flight.models.tables import Base as Flights
from skyhold.flight.models.tables import HoldRow
from skyhold.kernel.auth import Tokens, service_kind
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.db import Database
from skyhold.kernel.ids import new_id
from support.system import PASSWORD, SERVICE_SECRET, Servers, TwoProcesses, eventually
from support.traveller import Traveller, passengers

from .wire import Answer, Line

Item = TypeVar("Item")

AT_ONCE = 8
# What the jobs write by themselves, and what counts attempts: also a refused request may do that.
NOT_COMPARED = {
    "booking_leases",
    "flight_leases",
    "booking_inbox",
    "booking_inbox_positions",
    "limit_counters",
}
# Of these not only the number of rows is compared, but everything that is in them.
TO_THE_LETTER = {
    "users",
    "bookings",
    "passengers",
    "payments",
    "booking_flights",
    "booking_log",
    "flights",
    "holds",
    "seat_claims",
}


@dataclass
class Tally:
    """What was tried, for the figures."""

    inputs: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    cells: int = 0

    @property
    def server_errors(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 500)


@dataclass(frozen=True)
class Person:
    """Somebody and a session of theirs."""

    email: str
    token: str
    refresh_token: str


@dataclass
class Lab:
    """Two running services and everything that a valid request needs."""

    servers: Servers
    system: TwoProcesses
    bookings: Database
    flights: Database
    tally: Tally
    alice: Traveller
    bob: Traveller
    lines: asyncio.Queue[dict[str, Line]] = field(default_factory=asyncio.Queue)
    _places: Any = field(default_factory=lambda: iter(()))
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    # --- valid things to name in a request ---

    async def place(self) -> tuple[str, str]:
        """A seat that nobody has, and its flight."""
        try:
            return next(self._places)
        except StopIteration:
            flight = await self.system.a_flight()
            free = await self.system.seat_states(flight)
            self._places = iter([(flight, seat) for seat in free])
            return next(self._places)

    async def booking(self, by: Traveller | None = None) -> dict[str, Any]:
        """A booking that can be paid."""
        flight, seat = await self.place()
        reply = await (by or self.alice).book(flight, seats=[seat])
        assert reply.status == 201, reply.body
        return reply.body

    async def journey(self, by: Traveller | None = None) -> dict[str, Any]:
        """A booking that is paid and confirmed."""
        booking = await self.booking(by)
        paid = await (by or self.alice).pay(booking)
        assert paid.status == 201, paid.body
        return booking

    async def hold(self) -> str:
        """A hold of the booking service; its id."""
        flight, seat = await self.place()
        hold_id, wanted = new_id(), {"segments": [{"flight_id": flight, "seats": [seat]}]}
        reply = await self.system.hold("PUT", hold_id, wanted | {"ttl_s": 3600})
        assert reply.status == 201, reply.body
        return hold_id

    async def person(self) -> Person:
        """Somebody new, who has just logged in."""
        who = await self.system.traveller("Carol")
        return await self.session(who.email)

    async def session(self, email: str) -> Person:
        """One more session of this person."""
        body = {"email": email, "password": PASSWORD}
        reply = await self.system.bookings_http.post("/api/v1/users/login", json=body)
        self.system.bookings_http.cookies.clear()
        assert reply.status_code == 200, reply.text
        said = reply.json()
        return Person(email, said["access_token"], said["refresh_token"])

    def number(self) -> int:
        return next(self._numbers)

    def service_token(self, to: str, of: str | None = None) -> str:
        """What the other service shows to this one; or what `of` would."""
        other, scope = {"flight": ("booking", "holds"), "booking": ("flight", SESSIONS)}[to]
        tokens = Tokens(SERVICE_SECRET, service_kind(to), SystemClock())
        return tokens.issue(of or other, scope=scope)

    # --- asking, at most AT_ONCE at a time ---

    async def ask(self, service: str, content: bytes) -> Answer:
        """Send these bytes on a connection that is free, and count it."""
        lines = await self.lines.get()
        try:
            answer = await lines[service].ask(content)
        finally:
            self.lines.put_nowait(lines)
        self.tally.statuses[answer.status] += 1
        return answer

    async def each(
        self, items: Iterable[Item], do: Callable[[Item], Awaitable[str | None]]
    ) -> list[str]:
        """Do something with each, AT_ONCE at a time; what there is to complain about."""
        waiting = iter(items)

        async def work() -> list[str | None]:
            return [await do(item) for item in waiting]

        heard = await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return [complaint for each in heard for complaint in each if complaint]

    # --- what is written ---

    async def written(self) -> dict[str, tuple[int, str]]:
        """The number of rows of every table, and of the important ones a digest of all rows.

        Nothing that was begun is still going on then: no event is on its way, no hold ends soon.
        """
        await eventually(self._at_rest, within_s=90)
        found = {}
        for db, tables in ((self.bookings, Bookings.metadata), (self.flights, Flights.metadata)):
            async with db.read() as tx:
                for name, table in sorted(tables.tables.items()):
                    if name in TO_THE_LETTER:
                        rows = await tx.rows(select(table).order_by(*table.primary_key))
                        letters = hashlib.sha256(repr([tuple(row) for row in rows]).encode())
                        found[name] = (len(rows), letters.hexdigest())
                    elif name not in NOT_COMPARED:
                        found[name] = (await tx.scalar(select(func.count()).select_from(table)), "")
        return found

    async def _at_rest(self) -> bool:
        soon = self.system.now() + timedelta(seconds=40)
        waiting = select(func.count()).where(OUTBOX.c.published_at.is_(None))
        async with self.bookings.read() as tx:
            if await tx.scalar(waiting):
                return False
        ends = select(func.count()).where(HoldRow.status == "held", HoldRow.expires_at < soon)
        async with self.flights.read() as tx:
            return not await tx.scalar(ends)


def party(size: int) -> list[dict[str, str]]:
    """Passengers with everything that one can say of them."""
    return [who | {"born_on": "1990-12-10", "type": "adult"} for who in passengers(size)]
