"""Importing a schedule from CSV: streamed, idempotent, and honest about every row it refuses.

The columns, in any order, with a header line, in UTF-8:

    airline              IATA code, UA
    airline_name         optional: adds an airline that is not known yet
    number               1545
    origin, destination  IATA codes
    departing_at         local time at the origin, 2026-12-01T05:15, or with an offset of its own
    arriving_at          local time at the destination, likewise
    aircraft             IATA type code, 738
    aircraft_name        optional: what travellers read, Boeing 737-824
    currency             ISO 4217
    fare_first, fare_business, fare_premium_economy, fare_economy
                         price of one seat, 129.00; empty when that cabin is not sold

A flight's id is made of airline, number, local date and origin. A row whose flight is there
already, with the same content, changes nothing; with other content it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from skyhold.contracts.holds import Cabin
from skyhold.flight.errors import ImpossibleFlight
from skyhold.flight.models.layout import Layout
from skyhold.flight.repositories import schedule
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.money import Money

from .csv_file import FARE_COLUMNS, Numbered
from .departures import Departure, new_row

CHUNK_ROWS = 1_000
CELL_CHARS_MAX = 200


@dataclass
class Summary:
    """What an import did."""

    added: int = 0
    unchanged: int = 0
    refused: int = 0

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.added + self.unchanged + self.refused


class _Refused(Exception):
    """A row that is not taken; the message says why."""


def _blank_is_none(cell: object) -> object:
    return None if isinstance(cell, str) and not cell.strip() else cell


def _written_out(cell: object) -> object:
    if not isinstance(cell, str) or not _TIME.match(cell):
        msg = "should look like 2026-12-01T05:15, with or without an offset, in this century"
        raise ValueError(msg)
    return cell


_TIME = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_Time = Annotated[datetime, BeforeValidator(_written_out)]
_Optional = BeforeValidator(_blank_is_none)
_Fare = Annotated[str | None, _Optional]
_Printable = Annotated[Annotated[str, Field(max_length=100)] | None, _Optional]


class _Row(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True, extra="ignore")

    airline: str = Field(pattern=r"^[A-Z0-9]{2}$")
    airline_name: _Printable = None
    number: int = Field(ge=1, le=9_999)
    origin: str = Field(pattern=r"^[A-Z]{3}$")
    destination: str = Field(pattern=r"^[A-Z]{3}$")
    departing_at: _Time
    arriving_at: _Time
    aircraft: str = Field(pattern=r"^[A-Z0-9]{3}$")
    aircraft_name: _Printable = None
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    fare_first: _Fare = None
    fare_business: _Fare = None
    fare_premium_economy: _Fare = None
    fare_economy: _Fare = None

    def fares(self) -> dict[Cabin, Money]:
        found: dict[Cabin, Money] = {}
        for cabin, column in FARE_COLUMNS.items():
            amount = getattr(self, column)
            try:
                if amount is not None:
                    found[cabin] = Money.parse(amount, self.currency)
            except ValueError as error:
                msg = f"{column}: {error}"
                raise ValueError(msg) from error
        return found


@dataclass
class _Reference:
    """What rows are checked against, read once."""

    zones: dict[str, str]
    airlines: set[str]
    aircraft: Mapping[str, tuple[str, Layout]]


class Importer:
    """Adds flights to the schedule, a chunk of rows at a time.

    `refuse` is called with the line number and the reason of every row that is not taken, and
    `progress` with the number of rows done so far.
    """

    def __init__(
        self,
        db: Database,
        *,
        refuse: Callable[[int, str], None],
        progress: Callable[[int], None],
    ) -> None:
        self._db = db
        self._refuse = refuse
        self._progress = progress

    async def run(self, rows: Iterable[Numbered]) -> Summary:
        """Import rows as read_csv yields them. Good rows are added whatever the others are."""
        summary = Summary()
        reference = await self._reference()
        iterator = iter(rows)
        while chunk := list(islice(iterator, CHUNK_ROWS)):
            await self._import(chunk, reference, summary)
            self._progress(summary.rows)
        return summary

    async def _reference(self) -> _Reference:
        async with self._db.read() as tx:
            return _Reference(
                zones=await schedule.time_zones(tx),
                airlines=set(await schedule.airlines(tx)),
                aircraft=await schedule.aircraft(tx),
            )

    async def _import(self, chunk: list[Numbered], reference: _Reference, summary: Summary) -> None:
        new: list[tuple[int, dict[str, Any]]] = []
        names: dict[str, str] = {}
        refused: list[tuple[int, str]] = []
        for line, cells in chunk:
            try:
                new.append((line, _flight_row(cells, reference, names)))
            except _Refused as refusal:
                refused.append((line, str(refusal)))

        async def store(tx: Tx) -> tuple[int, int, list[tuple[int, str]]]:
            await schedule.add_airlines(tx, names)
            known = await schedule.rows_by_id(tx, [row["id"] for _, row in new])
            return await _store(tx, new, known)

        added, unchanged, differing = await self._db.transact(store)
        reference.airlines |= names.keys()
        summary.added += added
        summary.unchanged += unchanged
        summary.refused += len(refused) + len(differing)
        for line, reason in sorted(refused + differing):
            self._refuse(line, reason)


def _flight_row(
    cells: Mapping[str, str], reference: _Reference, names: dict[str, str]
) -> dict[str, Any]:
    """The column values for one line of the file. Raises _Refused."""
    row = _parsed(cells)
    known_airline = row.airline in reference.airlines or row.airline in names
    if not known_airline and row.airline_name is None:
        msg = f"unknown airline {row.airline}; give its airline_name to add it"
        raise _Refused(msg)
    for airport in (row.origin, row.destination):
        if airport not in reference.zones:
            msg = f"unknown airport {airport}"
            raise _Refused(msg)
    if row.aircraft not in reference.aircraft:
        known = ", ".join(sorted(reference.aircraft))
        msg = f"unknown aircraft type {row.aircraft}; known are {known}"
        raise _Refused(msg)
    name, layout = reference.aircraft[row.aircraft]
    try:
        departure = Departure(
            airline=row.airline,
            number=row.number,
            origin=row.origin,
            destination=row.destination,
            departing_at=row.departing_at,
            arriving_at=row.arriving_at,
            aircraft=row.aircraft,
            aircraft_name=row.aircraft_name,
            fares=row.fares(),
        )
        flight = new_row(
            departure, zones=reference.zones, aircraft_name=name, cabins=layout.by_cabin.keys()
        )
    except ImpossibleFlight as problem:
        raise _Refused(problem.detail) from problem
    except ValueError as error:
        raise _Refused(str(error)) from error
    if not known_airline and row.airline_name is not None:
        names[row.airline] = row.airline_name  # only now: a row that is refused adds nothing
    return flight


def _parsed(cells: Mapping[str, str]) -> _Row:
    if "unreadable" in cells:
        raise _Refused(cells["unreadable"])
    for cell in cells.values():
        if len(cell) > CELL_CHARS_MAX or not cell.isprintable():
            msg = "a cell is too long or holds characters that cannot be printed"
            raise _Refused(msg)
    try:
        return _Row.model_validate(cells)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        msg = f"{'.'.join(map(str, first['loc']))}: {said}"
        raise _Refused(msg) from error


async def _store(
    tx: Tx, new: list[tuple[int, dict[str, Any]]], known: dict[str, dict[str, Any]]
) -> tuple[int, int, list[tuple[int, str]]]:
    """Insert what is new: how many were added, were there already, and were there otherwise."""
    inserts: list[dict[str, Any]] = []
    differing: list[tuple[int, str]] = []
    unchanged = 0
    for line, row in new:
        there = known.get(row["id"])
        if there is None:
            known[row["id"]] = row
            inserts.append(row)
        elif there == row:
            unchanged += 1
        else:
            names = ", ".join(name for name in row if row[name] != there[name])
            differing.append((line, f"{row['id']} is there already, with another {names}"))
    await schedule.add_flights(tx, inserts)
    return len(inserts), unchanged, differing
