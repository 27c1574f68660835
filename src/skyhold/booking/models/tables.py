"""The booking database. The legal values and the rules that hold in every row are constraints."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from skyhold.kernel.columns import ExactText, Instant, Key, metadata
from skyhold.kernel.inbox import inbox_table
from skyhold.kernel.leases import lease_table
from skyhold.kernel.outbox import outbox_table

from .audited import AuditOutcome
from .booking import BookingStatus, PassengerType
from .change import ChangeKind
from .payment import AT_REST, PaymentStatus
from .session import SessionEnd
from .user import Role


class Base(DeclarativeBase):
    """The tables of this service."""

    metadata = metadata()


OUTBOX = outbox_table(Base.metadata, "booking_outbox")
LEASES = lease_table(Base.metadata, "booking_leases")
INBOX = inbox_table(Base.metadata, "booking_inbox")


def _in(column: str, values: type[StrEnum] | frozenset[PaymentStatus]) -> str:
    return f"{column} IN ({', '.join(repr(str(value.value)) for value in sorted(values))})"


class UserRow(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    name: Mapped[str] = mapped_column(ExactText(100))
    email: Mapped[str] = mapped_column(ExactText(254))
    email_key: Mapped[str] = mapped_column(ExactText(254), unique=True)
    password_hash: Mapped[str] = mapped_column(Key(60))
    role: Mapped[str] = mapped_column(Key(16))
    created_at: Mapped[datetime] = mapped_column(Instant)
    pepper_id: Mapped[str | None] = mapped_column(Key(8))
    erased_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    ver: Mapped[int] = mapped_column(Integer, server_default="0")

    __table_args__ = (CheckConstraint(_in("role", Role), name="role"),)


class SessionRow(Base):
    """One login, wherever it was made, until it ends."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(Key(36), ForeignKey("users.id"))
    user_agent: Mapped[str | None] = mapped_column(ExactText(200))
    created_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    ended_by: Mapped[str | None] = mapped_column(Key(16))
    ver: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        Index("ix_sessions_of_user", "user_id", "created_at", "id"),
        CheckConstraint(_in("ended_by", SessionEnd), name="ended_by"),
        CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_by_something"),
    )


class RefreshTokenRow(Base):
    """A refresh token that was given out, as its SHA-256; used at most once."""

    __tablename__ = "refresh_tokens"

    digest: Mapped[str] = mapped_column(Key(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(Key(36), ForeignKey("sessions.id"), index=True)
    issued_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class LimitCounterRow(Base):
    """How often something was done in the present window, for limits that hold everywhere."""

    __tablename__ = "limit_counters"

    key: Mapped[str] = mapped_column(Key(64), primary_key=True)
    hits: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)


class BookingRow(Base):
    """A booking. Whatever is not at rest has a time at which the driver looks at it again."""

    __tablename__ = "bookings"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(Key(36), ForeignKey("users.id"))
    record_locator: Mapped[str] = mapped_column(Key(6), unique=True)
    idempotency_key: Mapped[str | None] = mapped_column(Key(255))
    request_digest: Mapped[str | None] = mapped_column(Key(64))
    status: Mapped[str] = mapped_column(Key(16))
    segments: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(3))
    payment_required_by: Mapped[datetime] = mapped_column(Instant)
    active_payment_id: Mapped[str | None] = mapped_column(Key(36))
    hold_open: Mapped[bool] = mapped_column(Boolean)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    attempts: Mapped[int] = mapped_column(Integer)
    ver: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Instant)
    changes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key"),
        Index("ix_bookings_due_at", "due_at"),
        Index("ix_bookings_of_user", "user_id", "created_at", "id"),
        CheckConstraint(_in("status", BookingStatus), name="status"),
        CheckConstraint("total_minor >= 0", name="total_not_negative"),
        CheckConstraint(
            "status = 'confirmed' OR hold_open = false OR due_at IS NOT NULL", name="never_stuck"
        ),
        CheckConstraint(
            "status IN ('expired', 'cancelled') OR hold_open = true", name="live_has_hold"
        ),
        CheckConstraint(
            "(status = 'paying') = (active_payment_id IS NOT NULL)", name="paying_has_payment"
        ),
    )


class BookingLogRow(Base):
    """What was done to a booking, by whom and when. Rows are added, and never changed."""

    __tablename__ = "booking_log"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    booking_id: Mapped[str] = mapped_column(Key(36), ForeignKey("bookings.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    action: Mapped[str] = mapped_column(Key(32))
    actor: Mapped[str] = mapped_column(Key(16))
    actor_id: Mapped[str | None] = mapped_column(Key(36))
    status_before: Mapped[str | None] = mapped_column(Key(16))
    status_after: Mapped[str] = mapped_column(Key(16))
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request_id: Mapped[str | None] = mapped_column(Key(64))

    __table_args__ = (
        Index("ix_booking_log_of_booking", "booking_id", "at", "id"),
        Index("ix_booking_log_by_action", "action", "at"),
    )


class BookingFlightRow(Base):
    """Who is on a flight; `change_seen` is the last change of it that the booking has heard of."""

    __tablename__ = "booking_flights"

    flight_id: Mapped[str] = mapped_column(Key(32), primary_key=True)
    booking_id: Mapped[str] = mapped_column(
        Key(36), ForeignKey("bookings.id"), primary_key=True, index=True
    )
    change_seen: Mapped[int] = mapped_column(BigInteger)


class FlightChangeRow(Base):
    """The last change of a flight that the flight service told of."""

    __tablename__ = "flight_changes"

    flight_id: Mapped[str] = mapped_column(Key(32), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Key(16))
    times: Mapped[dict[str, Any]] = mapped_column(JSON)
    due_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    attempts: Mapped[int] = mapped_column(Integer)
    ver: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = (CheckConstraint(_in("kind", ChangeKind), name="kind"),)


class PassengerRow(Base):
    """Someone who flies on a booking; `position` is theirs among the seats."""

    __tablename__ = "passengers"

    booking_id: Mapped[str] = mapped_column(Key(36), ForeignKey("bookings.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    given_name: Mapped[str] = mapped_column(ExactText(100))
    family_name: Mapped[str] = mapped_column(ExactText(100))
    type: Mapped[str] = mapped_column(Key(16))
    born_on: Mapped[date | None] = mapped_column(Date)

    __table_args__ = (
        Index("ix_passengers_by_name", "family_name", "booking_id"),
        CheckConstraint(_in("type", PassengerType), name="type"),
    )


class PaymentRow(Base):
    """One attempt to pay, and its refund."""

    __tablename__ = "payments"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    booking_id: Mapped[str] = mapped_column(Key(36), ForeignKey("bookings.id"))
    user_id: Mapped[str] = mapped_column(Key(36))
    idempotency_key: Mapped[str | None] = mapped_column(Key(255))
    request_digest: Mapped[str | None] = mapped_column(Key(64))
    status: Mapped[str] = mapped_column(Key(16))
    failure: Mapped[str | None] = mapped_column(Key(32))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(3))
    token: Mapped[str] = mapped_column(Key(255))
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    attempts: Mapped[int] = mapped_column(Integer)
    ver: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Instant)
    provider: Mapped[str | None] = mapped_column(Key(16))
    provider_ref: Mapped[str | None] = mapped_column(Key(255))
    next_action: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key"),
        Index("ix_payments_due_at", "due_at"),
        Index("ix_payments_of_booking", "booking_id", "created_at"),
        CheckConstraint(_in("status", PaymentStatus), name="status"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint(f"{_in('status', AT_REST)} OR due_at IS NOT NULL", name="never_stuck"),
    )


class AuditRow(Base):
    """An audit that is over."""

    __tablename__ = "audits"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(Instant, index=True)
    outcome: Mapped[str] = mapped_column(Key(16))
    took_ms: Mapped[int] = mapped_column(BigInteger)
    bookings: Mapped[int] = mapped_column(BigInteger)
    holds: Mapped[int] = mapped_column(BigInteger)
    payments: Mapped[int] = mapped_column(BigInteger)
    found: Mapped[dict[str, int]] = mapped_column(JSON)
    not_compared: Mapped[list[str]] = mapped_column(JSON)

    __table_args__ = (CheckConstraint(_in("outcome", AuditOutcome), name="outcome"),)
