"""The flight database.

A flight's seats are not rows: the aircraft's layout says which exist, and a row in `seat_claims`
says that one is taken. Its primary key is the lock: whoever inserts first has the seat, on every
engine. How many seats are free is derived, never stored.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from skyhold.contracts.holds import Cabin, HoldStatus
from skyhold.kernel.columns import ExactText, Instant, Key, metadata
from skyhold.kernel.leases import lease_table
from skyhold.kernel.outbox import outbox_table

from .flight import FlightStatus


class Base(DeclarativeBase):
    """The tables of this service."""

    metadata = metadata()


OUTBOX = outbox_table(Base.metadata, "flight_outbox")
LEASES = lease_table(Base.metadata, "flight_leases")


def _one_of(column: str, kinds: type[Cabin | HoldStatus | FlightStatus]) -> str:
    return f"{column} IN ({', '.join(repr(str(kind.value)) for kind in kinds)})"


def fare_column(cabin: Cabin) -> str:
    """The column of FlightRow that holds this cabin's fare."""
    return f"fare_{cabin.value}"


class AirlineRow(Base):
    """An airline, by its IATA code."""

    __tablename__ = "airlines"

    code: Mapped[str] = mapped_column(Key(2), primary_key=True)
    name: Mapped[str] = mapped_column(ExactText(100))


class AirportRow(Base):
    """An airport, by its IATA code; `folded` is what a search looks through."""

    __tablename__ = "airports"

    code: Mapped[str] = mapped_column(Key(3), primary_key=True)
    name: Mapped[str] = mapped_column(ExactText(200))
    city: Mapped[str] = mapped_column(ExactText(200))
    country: Mapped[str] = mapped_column(Key(2))
    time_zone: Mapped[str] = mapped_column(Key(64))
    folded: Mapped[str] = mapped_column(ExactText(500))


class AircraftRow(Base):
    """An aircraft type, by its IATA code; `layout` is the JSON that Layout.from_json reads."""

    __tablename__ = "aircraft"

    code: Mapped[str] = mapped_column(Key(3), primary_key=True)
    name: Mapped[str] = mapped_column(ExactText(100))
    layout: Mapped[str] = mapped_column(Text)


class FlightRow(Base):
    """One flight on one day: one row, whatever its size.

    Fares stand on it, one column a cabin, in minor units; NULL means the cabin is not sold. `ver`
    grows with every change and numbers its events.
    """

    __tablename__ = "flights"

    id: Mapped[str] = mapped_column(Key(32), primary_key=True)
    airline: Mapped[str] = mapped_column(Key(2), ForeignKey("airlines.code"))
    number: Mapped[int] = mapped_column(Integer)
    origin: Mapped[str] = mapped_column(Key(3), ForeignKey("airports.code"))
    destination: Mapped[str] = mapped_column(Key(3), ForeignKey("airports.code"))
    departs_on: Mapped[date] = mapped_column(Date)
    departing_at: Mapped[datetime] = mapped_column(Instant)
    arriving_at: Mapped[datetime] = mapped_column(Instant)
    aircraft: Mapped[str] = mapped_column(Key(3), ForeignKey("aircraft.code"))
    aircraft_name: Mapped[str] = mapped_column(ExactText(100))
    status: Mapped[str] = mapped_column(Key(16))
    currency: Mapped[str] = mapped_column(Key(3))
    fare_first: Mapped[int | None] = mapped_column(BigInteger)
    fare_business: Mapped[int | None] = mapped_column(BigInteger)
    fare_premium_economy: Mapped[int | None] = mapped_column(BigInteger)
    fare_economy: Mapped[int | None] = mapped_column(BigInteger)
    ver: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        Index("ix_flights_search", "origin", "destination", "departs_on", "departing_at", "id"),
        CheckConstraint("departing_at < arriving_at", name="lands_after_departure"),
        CheckConstraint("origin <> destination", name="goes_somewhere"),
        CheckConstraint(_one_of("status", FlightStatus), name="status"),
        *(
            CheckConstraint(f"fare_{cabin} >= 0", name=f"fare_{cabin}_not_negative")
            for cabin in Cabin
        ),
    )


class HoldRow(Base):
    """A hold: the commit record of a booking. Kept after its end, as the answer to repeats.

    `request_digest` is NULL for a tombstone: a hold that was released before it was asked for.
    """

    __tablename__ = "holds"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    client_id: Mapped[str] = mapped_column(Key(32))
    request_digest: Mapped[str | None] = mapped_column(Key(64))
    segments: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(Key(16))
    expires_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    resolved_at: Mapped[datetime | None] = mapped_column(Instant)
    ver: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        Index("ix_holds_due", "status", "expires_at"),
        CheckConstraint(_one_of("status", HoldStatus), name="status"),
    )


class SeatClaimRow(Base):
    """A seat that is taken, and by which hold."""

    __tablename__ = "seat_claims"

    flight_id: Mapped[str] = mapped_column(Key(32), primary_key=True)
    seat: Mapped[str] = mapped_column(Key(4), primary_key=True)
    cabin: Mapped[str] = mapped_column(Key(16))
    hold_id: Mapped[str] = mapped_column(Key(36), index=True)

    __table_args__ = (CheckConstraint(_one_of("cabin", Cabin), name="cabin"),)
