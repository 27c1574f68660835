"""Flights that change after they were booked: who is on them, what was told, what was heard.

Revision: 0002
Before: 0001
"""

import sqlalchemy as sa
from alembic import op

from skyhold.kernel.columns import Instant, Key

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BATCH = 1_000


def upgrade() -> None:
    op.add_column("bookings", sa.Column("changes", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("booking_outbox", sa.Column("request_id", Key(length=64), nullable=True))
    op.add_column("booking_outbox", sa.Column("traceparent", Key(length=55), nullable=True))
    op.create_table(
        "booking_leases",
        sa.Column("work", Key(length=64), nullable=False),
        sa.Column("holder", Key(length=36), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("ver", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("work", name=op.f("pk_booking_leases")),
    )
    flights = op.create_table(
        "booking_flights",
        sa.Column("flight_id", Key(length=32), nullable=False),
        sa.Column("booking_id", Key(length=36), nullable=False),
        sa.Column("change_seen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_flights_booking_id")
        ),
        sa.PrimaryKeyConstraint("flight_id", "booking_id", name=op.f("pk_booking_flights")),
    )
    op.create_index(
        op.f("ix_booking_flights_booking_id"), "booking_flights", ["booking_id"], unique=False
    )
    op.create_table(
        "flight_changes",
        sa.Column("flight_id", Key(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", Key(length=16), nullable=False),
        sa.Column("times", sa.JSON(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ver", sa.Integer(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('cancelled', 'rescheduled')", name=op.f("ck_flight_changes_kind")
        ),
        sa.PrimaryKeyConstraint("flight_id", name=op.f("pk_flight_changes")),
    )
    op.create_index(op.f("ix_flight_changes_due_at"), "flight_changes", ["due_at"], unique=False)
    op.create_table(
        "booking_inbox",
        sa.Column("consumer", Key(length=64), nullable=False),
        sa.Column("source", Key(length=64), nullable=False),
        sa.Column("event_id", Key(length=64), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "source", "event_id", name=op.f("pk_booking_inbox")),
    )
    op.create_table(
        "booking_inbox_positions",
        sa.Column("consumer", Key(length=64), nullable=False),
        sa.Column("source", Key(length=64), nullable=False),
        sa.Column("subject", Key(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("ver", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "consumer", "source", "subject", name=op.f("pk_booking_inbox_positions")
        ),
    )
    _fill(flights)


def _fill(flights: sa.Table) -> None:
    """Bookings that were made before are on flights too."""
    connection = op.get_bind()
    last = ""
    bookings = sa.table("bookings", sa.column("id", Key), sa.column("segments", sa.JSON))
    while True:
        found = connection.execute(
            sa.select(bookings).where(bookings.c.id > last).order_by(bookings.c.id).limit(BATCH)
        ).all()
        if not found:
            return
        last = found[-1].id
        connection.execute(
            flights.insert(),
            [
                {"flight_id": segment["flight_id"], "booking_id": row.id, "change_seen": 0}
                for row in found
                for segment in row.segments
            ],
        )


def downgrade() -> None:
    op.drop_table("booking_leases")
    op.drop_table("booking_inbox_positions")
    op.drop_table("booking_inbox")
    op.drop_index(op.f("ix_flight_changes_due_at"), table_name="flight_changes")
    op.drop_table("flight_changes")
    op.drop_table("booking_flights")
    op.drop_column("booking_outbox", "traceparent")
    op.drop_column("booking_outbox", "request_id")
    op.drop_column("bookings", "changes")
