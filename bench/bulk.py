"""Millions of rows, made by the database itself: nothing travels but the statement.

The flights are on routes that nobody searches, so that the same search has the same answer at every
size; the bookings are of other users, at rest, and some days old.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from . import database
from .dialects import DIALECTS, Dialect
from .flights import AIRCRAFT, AIRCRAFT_NAME, AIRPORTS, FIRST_DAY
from .system import System

AIRPORTS_MAX, DAYS = 400, 250
USERS = 200_000
ROWS_AT_ONCE = 100_000
FLIGHT_COLUMNS = (
    "id, airline, number, origin, destination, departs_on, departing_at, arriving_at, aircraft, "
    "aircraft_name, status, currency, fare_economy, ver"
)
BOOKING_COLUMNS = (
    "id, user_id, record_locator, status, segments, total_minor, currency, payment_required_by, "
    "hold_open, attempts, ver, created_at"
)
HOLD_COLUMNS = (
    "id, client_id, request_digest, segments, status, expires_at, created_at, resolved_at, ver"
)
TABLES = {
    "booking": ("users", "bookings", "passengers", "booking_flights", "booking_log"),
    "flight": ("flights", "holds", "seat_claims"),
}


class Bulk:
    """Makes a system's databases grow."""

    def __init__(self, system: System) -> None:
        self._booking, self._flight = system.database.booking_url, system.database.flight_url
        self._sql = DIALECTS[system.database.name]
        self._midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._flights = self._bookings = 0

    def grow(self, flights: int, bookings: int) -> None:
        """Up to so many flights and bookings that were made here."""
        if self._flights == 0:
            self._found()
        for first, last in _chunks(self._flights, flights):
            self._run(self._flight, _flights(self._sql, first, last, self._midnight))
        if bookings and self._bookings == 0:
            self._run(self._booking, _users(self._sql, self._midnight))
        for first, last in _chunks(self._bookings, bookings):
            self._run(self._booking, *_bookings(self._sql, first, last, self._midnight))
            self._run(self._flight, *_holds(self._sql, first, last, self._midnight))
        self._flights, self._bookings = flights, bookings
        for service, url in (("booking", self._booking), ("flight", self._flight)):
            self._sql.analyse(url, TABLES[service])

    def _found(self) -> None:
        """The airports that the flights are between, numbered from 0."""
        ours = ", ".join(f"'{code}'" for code in AIRPORTS)
        found = database.ask(
            self._flight,
            f"SELECT code FROM airports WHERE code NOT IN ({ours}) ORDER BY code "
            f"LIMIT {AIRPORTS_MAX}",
        )
        values = ", ".join(f"({it}, '{code}')" for it, (code,) in enumerate(found))
        kind = self._sql.code_type
        self._run(
            self._flight,
            f"CREATE TABLE bench_airports (i INTEGER PRIMARY KEY, code {kind} NOT NULL)",
            f"INSERT INTO bench_airports VALUES {values}",
        )

    def _run(self, url: str, *statements: str) -> None:
        database.execute(url, *self._sql.before, *statements)


def _chunks(there: int, wanted: int) -> Iterator[tuple[int, int]]:
    """First and last number of each part of what is missing."""
    for first in range(there, wanted, ROWS_AT_ONCE):
        yield first, min(first + ROWS_AT_ONCE, wanted) - 1


def _flights(sql: Dialect, first: int, last: int, midnight: datetime) -> str:
    each = sql.div("n", AIRPORTS_MAX)
    day = f"({FIRST_DAY} + {each} % {DAYS})"
    number = f"(1 + {sql.div(each, DAYS)})"
    date = sql.date(midnight, day)
    leaves = midnight + timedelta(hours=13)
    return (
        f"INSERT INTO flights ({FLIGHT_COLUMNS}) "
        f"SELECT {sql.cat(repr('DL'), number, repr('-'), date, repr('-'), 'o.code')}, "
        f"'DL', {number}, o.code, d.code, {date}, {sql.instant(leaves, f'{day} * 1440')}, "
        f"{sql.instant(leaves, f'{day} * 1440 + 300')}, '{AIRCRAFT}', '{AIRCRAFT_NAME}', "
        f"'scheduled', 'USD', 12900, 1 FROM {sql.numbers(first, last)} "
        f"JOIN bench_airports o ON o.i = n % {AIRPORTS_MAX} "
        f"JOIN bench_airports d ON d.i = (n % {AIRPORTS_MAX} + 1 + {each} % {AIRPORTS_MAX - 1}) "
        f"% {AIRPORTS_MAX}"
    )


def _users(sql: Dialect, midnight: datetime) -> str:
    id_ = _id(sql, "n", "a")
    email = sql.cat(repr("bulk"), "n", repr("@example.com"))
    return (
        "INSERT INTO users (id, name, email, email_key, password_hash, role, created_at, ver) "
        f"SELECT {id_}, 'Grace', {email}, {email}, '{'x' * 60}', 'customer', "
        f"{sql.instant(midnight, '-n')}, 0 FROM {sql.numbers(0, USERS - 1)}"
    )


def _bookings(sql: Dialect, first: int, last: int, midnight: datetime) -> list[str]:
    id_, flight = _id(sql, "n", "b"), sql.cat(repr("DL-"), "n")
    made = sql.instant(midnight, "-2880 - n % 400000")
    status = (
        "CASE WHEN n % 10 < 7 THEN 'confirmed' WHEN n % 2 = 0 THEN 'expired' ELSE 'cancelled' END"
    )
    numbers = sql.numbers(first, last)
    return [
        (
            f"INSERT INTO bookings ({BOOKING_COLUMNS}) "
            f"SELECT {id_}, {_id(sql, f'n % {USERS}', 'a')}, "
            f"{sql.hexadecimal('n', 6)}, {status}, {_segments(sql)}, 12900, 'USD', {made}, "
            f"n % 10 < 7, 0, 3, {made} FROM {numbers}"
        ),
        (
            "INSERT INTO passengers (booking_id, position, given_name, family_name, type) "
            f"SELECT {id_}, 0, 'Grace', 'Hopper', 'adult' FROM {numbers}"
        ),
        (
            "INSERT INTO booking_flights (flight_id, booking_id, change_seen) "
            f"SELECT {flight}, {id_}, 0 FROM {numbers}"
        ),
        (
            "INSERT INTO booking_log (id, booking_id, at, action, actor, status_after) "
            f"SELECT {id_}, {id_}, {made}, 'held', 'customer', 'held' FROM {numbers}"
        ),
    ]


def _holds(sql: Dialect, first: int, last: int, midnight: datetime) -> list[str]:
    id_, flight = _id(sql, "n", "b"), sql.cat(repr("DL-"), "n")
    made = sql.instant(midnight, "-2880 - n % 400000")
    numbers = sql.numbers(first, last)
    return [
        (
            f"INSERT INTO holds ({HOLD_COLUMNS}) SELECT {id_}, 'booking', '{'0' * 64}', "
            f"{_segments(sql)}, 'confirmed', {made}, {made}, {made}, 2 FROM {numbers}"
        ),
        (
            "INSERT INTO seat_claims (flight_id, seat, cabin, hold_id) "
            f"SELECT {flight}, '10A', 'economy', {id_} FROM {numbers}"
        ),
    ]


def _id(sql: Dialect, number: str, kind: str) -> str:
    return sql.cat(f"'018f0000-0000-7000-8{kind}00-'", sql.hexadecimal(number, 12))


def _segments(sql: Dialect) -> str:
    """One segment as JSON, as long as a real one."""
    before = '[{"flight_id":"DL-'
    after = (
        '","flight_number":"DL1","origin":"AAA","destination":"BBB",'
        '"departing_at":"2027-01-01T13:00:00Z","arriving_at":"2027-01-01T18:00:00Z",'
        '"cabin":"economy","seats":["10A"],"fare":{"amount":"129.00","currency":"USD"},'
        '"flight_ver":1}]'
    )
    # SQLAlchemy's text() takes a colon before a word for a parameter.
    escaped = [part.replace(":", r"\:") for part in (before, after)]
    return sql.json(sql.cat(f"'{escaped[0]}'", "n", f"'{escaped[1]}'"))
