"""Airports, airlines, aircraft types and flights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Executable,
    Row,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from skyhold.contracts.holds import Cabin
from skyhold.flight.models.flight import Airport, Flight, FlightStatus, Position
from skyhold.flight.models.layout import Layout
from skyhold.flight.models.tables import (
    AircraftRow,
    AirlineRow,
    AirportRow,
    FlightRow,
    SeatClaimRow,
    fare_column,
)
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx, Tx
from skyhold.kernel.money import Money

from .reference import Reference

# A route on one date, which is local where it departs: origin, destination, date.
Day = tuple[str, str, date]

_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_BY_IDS = select(FlightRow.__table__).where(FlightRow.id.in_(_IDS))
_AIRPORT = select(AirportRow.__table__).where(AirportRow.code == bindparam("code"))
_CLAIMED = select(
    FlightRow.id,
    FlightRow.ver,
    select(func.aggregate_strings(SeatClaimRow.seat, " "))
    .where(SeatClaimRow.flight_id == FlightRow.id)
    .scalar_subquery()
    .label("numbers"),
).where(FlightRow.id.in_(_IDS))


async def airports_matching(tx: ReadTx, folded: str, limit: int) -> list[Airport]:
    """Airports whose code, city or name holds these folded words; exact codes first."""
    # Who wants the best match only, and has its code, need not have all of them looked through.
    if (
        limit == 1
        and folded.isascii()
        and (rows := await tx.rows(_AIRPORT, {"code": folded.upper()}))
    ):
        return [_airport(rows[0])]
    found = AirportRow.folded.contains(folded, autoescape=True)
    ranks = [(AirportRow.folded.contains(f"|{folded}", autoescape=True), 1)]
    if folded.isascii():  # MariaDB will not compare a code with any other letters
        ranks.insert(0, (AirportRow.code == folded.upper(), 0))
    rank = case(*ranks, else_=2)
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


async def flights(tx: ReadTx, known: Reference, ids: Collection[str]) -> dict[str, Flight]:
    """The flights that exist among these ids."""
    if not ids:
        return {}
    rows = await tx.rows(_BY_IDS, {"ids": list(ids)})
    return {flight.id: flight for flight in await _flights(tx, known, rows)}


async def with_claims(
    tx: ReadTx, known: Reference, ids: Collection[str]
) -> tuple[dict[str, Flight], dict[str, list[str]]]:
    """The flights that exist among these ids, and of each the seats that are claimed.

    A flight comes as one row, however many seats are claimed, and as a short one when it is known.
    """
    if not ids:
        return {}, {}
    rows = await tx.rows(_CLAIMED, {"ids": list(ids)})
    found = await _these(tx, known, rows)
    return found, {row.id: row.numbers.split() if row.numbers else [] for row in rows}


async def days(
    tx: ReadTx, known: Reference, wanted: Collection[Day], from_instant: datetime, limit: int
) -> dict[Day, list[Flight]]:
    """Scheduled flights of whole days, each by departure; of no day if they are over the limit."""
    if not wanted:
        return {}
    values: dict[str, Any] = {"from_instant": from_instant, "rows_max": limit + 1}
    for number, (origin, destination, on) in enumerate(wanted):
        values |= {f"from{number}": origin, f"to{number}": destination, f"on{number}": on}
    rows = await tx.rows(_of_days(len(wanted)), values)
    if len(rows) > limit:
        return {}
    these = await _these(tx, known, rows)
    found: dict[Day, list[Flight]] = {day: [] for day in wanted}
    for row in rows:
        found[row.origin, row.destination, row.departs_on].append(these[row.id])
    return found


async def _these(tx: ReadTx, known: Reference, rows: Sequence[Any]) -> dict[str, Flight]:
    """The flights of these rows (`id`, `ver`), by their ids; what is not known yet is read."""
    recalled = ((row.id, known.recall(row.id, row.ver)) for row in rows)
    # Kept here: while the rest is read, somebody else may make room among what is known.
    found = {id_: flight for id_, flight in recalled if flight is not None}
    read = await flights(tx, known, [row.id for row in rows if row.id not in found])
    known.remember(read.values())
    return found | read


@lru_cache(maxsize=100)
def _of_days(count: int) -> Executable:
    """Which flights there are on so many days: their ids and versions."""
    any_of_them = or_(
        *(
            and_(
                FlightRow.origin == bindparam(f"from{number}"),
                FlightRow.destination == bindparam(f"to{number}"),
                FlightRow.departs_on == bindparam(f"on{number}"),
            )
            for number in range(count)
        )
    )
    return (
        select(
            FlightRow.id,
            FlightRow.ver,
            FlightRow.origin,
            FlightRow.destination,
            FlightRow.departs_on,
        )
        .where(
            any_of_them,
            FlightRow.departing_at > bindparam("from_instant"),
            FlightRow.status == FlightStatus.SCHEDULED,
        )
        .order_by(FlightRow.departing_at, FlightRow.id)
        .limit(bindparam("rows_max"))
    )


async def departures(
    tx: ReadTx,
    known: Reference,
    day: Day,
    *,
    from_instant: datetime,
    after: Position | None,
    limit: int,
) -> list[Flight]:
    """Scheduled flights of a day, by departure, from some place on."""
    origin, destination, on = day
    found = select(FlightRow.__table__).where(
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
    by_departure = found.order_by(FlightRow.departing_at, FlightRow.id)
    return await _flights(tx, known, await tx.rows(by_departure.limit(limit)))


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


async def _flights(tx: ReadTx, known: Reference, rows: Sequence[Row[Any]]) -> list[Flight]:
    await known.learn(tx, rows)
    return [_flight(row, known) for row in rows]


def _flight(row: Row[Any], known: Reference) -> Flight:
    return Flight(
        id=row.id,
        airline=row.airline,
        airline_name=known.airlines[row.airline],
        number=row.number,
        origin=row.origin,
        destination=row.destination,
        origin_zone=known.zones[row.origin],
        destination_zone=known.zones[row.destination],
        departing_at=row.departing_at,
        arriving_at=row.arriving_at,
        aircraft=row.aircraft,
        aircraft_name=row.aircraft_name,
        layout=known.layouts[row.aircraft],
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
