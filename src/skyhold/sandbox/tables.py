"""The sandbox's ledger: a SQLite file that remembers every payment, every movement, every call.

Movements and calls are written by triggers: no payment changes its state without one, none is
changed or taken back afterwards, and an operation is one statement.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from skyhold.kernel.columns import Instant, Key, metadata


class Base(DeclarativeBase):
    """The tables of the ledger."""

    metadata = metadata()


class PaymentRow(Base):
    """A payment as it stands; `calls` counts what was asked of it, repeats included.

    `last_op` and `asked_at` are the last of them, for the trigger that writes it down.
    """

    __tablename__ = "sandbox_payments"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    token: Mapped[str] = mapped_column(Key(255))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(3))
    state: Mapped[str] = mapped_column(Key(16))
    created_at: Mapped[datetime] = mapped_column(Instant)
    changed_at: Mapped[datetime] = mapped_column(Instant)
    calls: Mapped[int] = mapped_column(Integer)
    last_op: Mapped[str | None] = mapped_column(Key(16))
    asked_at: Mapped[datetime | None] = mapped_column(Instant)


class EntryRow(Base):
    """One movement of a payment, such as `captured`."""

    __tablename__ = "sandbox_entries"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    payment_id: Mapped[str] = mapped_column(Key(36))
    kind: Mapped[str] = mapped_column(Key(16))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(3))
    at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = ({"sqlite_autoincrement": True},)


class CallRow(Base):
    """One request of a customer's system, and the state it was answered with."""

    __tablename__ = "sandbox_calls"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    payment_id: Mapped[str] = mapped_column(Key(36))
    op: Mapped[str] = mapped_column(Key(16))
    answered: Mapped[str] = mapped_column(Key(16))
    at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = (
        Index("ix_sandbox_calls_of_payment", "payment_id"),
        {"sqlite_autoincrement": True},
    )


# A payment that waits has moved no money yet.
_NOTE = """
    INSERT INTO sandbox_entries (payment_id, kind, amount_minor, currency, at)
    VALUES (NEW.id, NEW.state, NEW.amount_minor, NEW.currency, NEW.changed_at);
"""
_CALL = """
    INSERT INTO sandbox_calls (payment_id, op, answered, at)
    VALUES (NEW.id, NEW.last_op, NEW.state, NEW.asked_at);
"""
_TRIGGERS = (
    f"""CREATE TRIGGER IF NOT EXISTS sandbox_payment_asked_for AFTER INSERT ON sandbox_payments
    WHEN NEW.last_op IS NOT NULL BEGIN {_CALL} END""",
    f"""CREATE TRIGGER IF NOT EXISTS sandbox_payment_asked AFTER UPDATE OF calls ON sandbox_payments
    WHEN NEW.calls <> OLD.calls BEGIN {_CALL} END""",
    f"""CREATE TRIGGER IF NOT EXISTS sandbox_payment_made AFTER INSERT ON sandbox_payments
    WHEN NEW.state NOT IN ('pending', 'requires_action') BEGIN {_NOTE} END""",
    f"""CREATE TRIGGER IF NOT EXISTS sandbox_payment_moved AFTER UPDATE OF state ON sandbox_payments
    WHEN NEW.state <> OLD.state BEGIN {_NOTE} END""",
    """CREATE TRIGGER IF NOT EXISTS sandbox_entry_kept BEFORE UPDATE ON sandbox_entries
    BEGIN SELECT RAISE(ABORT, 'what has moved has moved'); END""",
    """CREATE TRIGGER IF NOT EXISTS sandbox_entry_stays BEFORE DELETE ON sandbox_entries
    BEGIN SELECT RAISE(ABORT, 'what has moved has moved'); END""",
)


# What the ledgers of version 0.1 did not have.
_ADDED = {
    "created_at": "DATETIME",
    "calls": "INTEGER NOT NULL DEFAULT 0",
    "last_op": "VARCHAR(16)",
    "asked_at": "DATETIME",
}


def prepare(connection: Connection) -> None:
    """Make what is missing: of a new ledger everything, of one from before some columns."""
    Base.metadata.create_all(connection)
    columns = {column["name"] for column in inspect(connection).get_columns("sandbox_payments")}
    for name, type_ in _ADDED.items():
        if name not in columns:
            connection.execute(text(f"ALTER TABLE sandbox_payments ADD COLUMN {name} {type_}"))
    if "created_at" not in columns:
        connection.execute(text("UPDATE sandbox_payments SET created_at = changed_at"))
    for trigger in _TRIGGERS:
        connection.execute(text(trigger))
