"""What the databases, the provider's ledger and the mail folder say, asked past the services."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Row, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from support.mailbox import event_of, letters_in

DRIVERS = {"sqlite": "sqlite+aiosqlite", "mysql": "mysql+asyncmy"}

Rows = Sequence[Row[Any]]


@dataclass(frozen=True)
class Seen:
    """Everything, read in one transaction of each database."""

    bookings: Rows
    payments: Rows
    events: Rows
    changes: Rows
    noted: frozenset[str]
    holds: Rows
    claims: Rows
    flight_events: Rows
    charges: Rows
    letters: frozenset[str]


@dataclass(frozen=True)
class Witnesses:
    """Readers of all of them; SQL only, nothing of the service's code."""

    booking: AsyncEngine
    flight: AsyncEngine
    ledger: AsyncEngine
    mail: Path

    @classmethod
    def of(cls, booking_url: str, flight_url: str, folder: Path) -> Self:
        ledger = f"sqlite:///{folder / 'sandbox.db'}"
        return cls(_engine(booking_url), _engine(flight_url), _engine(ledger), folder / "mail")

    async def look(self) -> Seen:
        bookings, payments, events, changes, noted = await _read(
            self.booking,
            "SELECT id, user_id, idempotency_key, status, total_minor, currency, hold_open, due_at,"
            " ver FROM bookings",
            "SELECT id, booking_id, status, failure, amount_minor, currency FROM payments",
            "SELECT id, type, subject, sequence, published_at FROM booking_outbox"
            " ORDER BY subject, sequence",
            "SELECT flight_id, due_at FROM flight_changes",
            "SELECT event_id FROM booking_inbox WHERE consumer LIKE 'letters.%'",
        )
        holds, claims, flight_events = await _read(
            self.flight,
            "SELECT id, status, segments FROM holds",
            "SELECT flight_id, seat, hold_id FROM seat_claims",
            "SELECT id, published_at FROM flight_outbox",
        )
        return Seen(
            bookings,
            payments,
            events,
            changes,
            frozenset(row.event_id for row in noted),
            holds,
            claims,
            flight_events,
            await self._charges(),
            frozenset(event_of(letter) for letter in letters_in(self.mail)),
        )

    async def do(self, engine: AsyncEngine, *statements: str) -> None:
        """What a person at the database would do."""
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    async def close(self) -> None:
        async with AsyncExitStack() as stack:
            for engine in (self.booking, self.flight, self.ledger):
                stack.push_async_callback(engine.dispose)

    async def _charges(self) -> Rows:
        tables = "SELECT name FROM sqlite_master WHERE name = 'sandbox_payments'"
        if not (await _read(self.ledger, tables))[0]:  # made with the first payment
            return []
        charges = "SELECT id, state, amount_minor, currency FROM sandbox_payments"
        return (await _read(self.ledger, charges))[0]


def seats_of(hold: Row[Any]) -> set[tuple[str, str, str]]:
    """The claims that a hold's segments call for."""
    return {
        (segment["flight_id"], seat, hold.id)
        for segment in json.loads(hold.segments)
        for seat in segment["seats"]
    }


def _engine(url: str) -> AsyncEngine:
    parsed = make_url(url)
    return create_async_engine(parsed.set(drivername=DRIVERS[parsed.drivername]))


async def _read(engine: AsyncEngine, *questions: str) -> list[Rows]:
    async with engine.connect() as connection:
        return [(await connection.execute(text(question))).all() for question in questions]
