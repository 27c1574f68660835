"""Airports, airlines, aircraft types and flights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, Select, case, insert, literal, select, tuple_, update
from sqlalchemy.orm import aliased

from skyhold.contracts.holds import Cabin
from skyhold.flight.models.flight import Airport, Flight, FlightStatus, Position
from skyhold.flight.models.layout import Layout
from skyhold.flight.models.tables import (
    AircraftRow,
    AirlineRow,
    AirportRow,
    FlightRow,
    fare_column,
)
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx, Tx
from skyhold.kernel.money import Money

_ORIGIN = aliased(AirportRow)
_DESTINATION = aliased(AirportRow)


async def airports_matching(tx: ReadTx, folded: str, limit: int) -> list[Airport]:
    """Airports whose code, city or name holds these folded words; exact codes first."""
    found = AirportRow.folded.contains(folded, autoescape=True)
    rank = case(
        (AirportRow.code == folded.upper(), 0),
        (AirportRow.folded.contains(f"|{folded}", autoescape=True), 1),
        else_=2,
    )
    rows = await tx.rows(
        select(AirportRow.__table__).where(found).order_by(rank, AirportRow.code).limit(limit)
    )
    return [_airport(row) for row in rows]


async def airports_after(tx: ReadTx, code: str, limit: int) -> list[Airport]:
    """All airports in the order of their codes."""
    rows = await tx.rows(
        select(AirportRow.__table__)
        .where(AirportRow.code > code)
        .order_by(AirportRow.code)
        .limit(limit)
    )
    return [_airport(row) for row in rows]


async def airports(tx: ReadTx, codes: Collection[str]) -> dict[str, Airport]:
    """The airports that exist among these codes."""
    rows = await tx.rows(select(AirportRow.__table__).where(AirportRow.code.in_(codes)))
    return {row.code: _airport(row) for row in rows}


async def time_zones(tx: ReadTx) -> dict[str, str]:
    """The time zone of every airport, by code: what an import looks up for each row."""
    rows = await tx.rows(select(AirportRow.code, AirportRow.time_zone))
    return {row.code: row.time_zone for row in rows}


async def airlines(tx: ReadTx) -> dict[str, str]:
    """Every airline's name, by code."""
    return {row.code: row.name for row in await tx.rows(select(AirlineRow.code, AirlineRow.name))}


async def aircraft(tx: ReadTx) -> dict[str, tuple[str, Layout]]:
    """Every aircraft type's name and layout, by code."""
    rows = await tx.rows(select(AircraftRow.code, AircraftRow.name, AircraftRow.layout))
    return {row.code: (row.name, Layout.from_json(row.layout)) for row in rows}


async def flights(tx: ReadTx, ids: Collection[str]) -> dict[str, Flight]:
    """The flights that exist among these ids."""
    if not ids:
        return {}
    rows = await tx.rows(_flights().where(FlightRow.id.in_(ids)))
    return {row.id: _flight(row) for row in rows}


async def departures(
    tx: ReadTx,
    *,
    origin: str,
    destination: str,
    on: date,
    from_instant: datetime,
    after: Position | None,
    limit: int,
) -> list[Flight]:
    """Scheduled flights of a route on one local date, by departure."""
    found = _flights().where(
        FlightRow.origin == origin,
        FlightRow.destination == destination,
        FlightRow.departs_on == on,
        FlightRow.departing_at > from_instant,
        FlightRow.status == FlightStatus.SCHEDULED,
    )
    if after is not None:
        found = found.where(
            tuple_(FlightRow.departing_at, FlightRow.id)
            > tuple_(literal(after.departing_at, Instant), literal(after.flight_id, Key))
        )
    rows = await tx.rows(found.order_by(FlightRow.departing_at, FlightRow.id).limit(limit))
    return [_flight(row) for row in rows]


async def rows_by_id(tx: ReadTx, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """The flights' rows as they were added, for comparing them with what is imported."""
    rows = await tx.rows(select(FlightRow.__table__).where(FlightRow.id.in_(ids)))
    return {row.id: _columns(row) for row in rows}


async def add_flights(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert flights, given as column values."""
    return await tx.run(insert(FlightRow), [{**row, "ver": 1} for row in rows])


async def change_flight(tx: Tx, flight: Flight, values: Mapping[str, Any]) -> bool:
    """Change columns of a flight, unless it has changed since it was read."""
    changed = await tx.run(
        update(FlightRow)
        .where(FlightRow.id == flight.id, FlightRow.ver == flight.ver)
        .values(**values, ver=FlightRow.ver + 1)
    )
    return changed == 1


async def add_airlines(tx: Tx, names: Mapping[str, str]) -> None:
    """Add the airlines that are not there yet."""
    known = await airlines(tx)
    await tx.run(
        insert(AirlineRow),
        [{"code": code, "name": name} for code, name in names.items() if code not in known],
    )


async def add_airports(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add the airports that are not there yet."""
    known = await time_zones(tx)
    await tx.run(insert(AirportRow), [row for row in rows if row["code"] not in known])


async def add_aircraft(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add the aircraft types that are not there yet; existing ones stay as they are."""
    known = {row.code for row in await tx.rows(select(AircraftRow.code))}
    await tx.run(insert(AircraftRow), [row for row in rows if row["code"] not in known])


def _flights() -> Select[Any]:
    return (
        select(
            FlightRow.__table__,
            AirlineRow.name.label("airline_name"),
            _ORIGIN.time_zone.label("origin_zone"),
            _DESTINATION.time_zone.label("destination_zone"),
            AircraftRow.layout.label("layout"),
        )
        .join(AirlineRow, AirlineRow.code == FlightRow.airline)
        .join(_ORIGIN, _ORIGIN.code == FlightRow.origin)
        .join(_DESTINATION, _DESTINATION.code == FlightRow.destination)
        .join(AircraftRow, AircraftRow.code == FlightRow.aircraft)
    )


def _flight(row: Row[Any]) -> Flight:
    return Flight(
        id=row.id,
        airline=row.airline,
        airline_name=row.airline_name,
        number=row.number,
        origin=row.origin,
        destination=row.destination,
        origin_zone=row.origin_zone,
        destination_zone=row.destination_zone,
        departing_at=row.departing_at,
        arriving_at=row.arriving_at,
        aircraft=row.aircraft,
        aircraft_name=row.aircraft_name,
        layout=Layout.from_json(row.layout),
        status=FlightStatus(row.status),
        fares={
            cabin: Money(fare, row.currency)
            for cabin in Cabin
            if (fare := getattr(row, fare_column(cabin))) is not None
        },
        ver=row.ver,
    )


def _columns(row: Row[Any]) -> dict[str, Any]:
    columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    del columns["ver"]  # counts what happened since
    return columns


def _airport(row: Row[Any]) -> Airport:
    return Airport(row.code, row.name, row.city, row.country, row.time_zone)
