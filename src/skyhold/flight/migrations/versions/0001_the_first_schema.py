"""The first schema.

Revision: 0001
Before: nothing
"""

import sqlalchemy as sa
from alembic import op

from skyhold.kernel.columns import ExactText, Instant, Key

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aircraft",
        sa.Column("code", Key(length=3), nullable=False),
        sa.Column("name", ExactText(length=100), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_aircraft")),
    )
    op.create_table(
        "airlines",
        sa.Column("code", Key(length=2), nullable=False),
        sa.Column("name", ExactText(length=100), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_airlines")),
    )
    op.create_table(
        "airports",
        sa.Column("code", Key(length=3), nullable=False),
        sa.Column("name", ExactText(length=200), nullable=False),
        sa.Column("city", ExactText(length=200), nullable=False),
        sa.Column("country", Key(length=2), nullable=False),
        sa.Column("time_zone", Key(length=64), nullable=False),
        sa.Column("folded", ExactText(length=500), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_airports")),
    )
    op.create_table(
        "holds",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("client_id", Key(length=32), nullable=False),
        sa.Column("request_digest", Key(length=64), nullable=True),
        sa.Column("segments", sa.JSON(), nullable=False),
        sa.Column("status", Key(length=16), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.Column("ver", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('held', 'confirmed', 'released', 'expired', 'cancelled')",
            name=op.f("ck_holds_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_due", "holds", ["status", "expires_at"], unique=False)
    op.create_table(
        "seat_claims",
        sa.Column("flight_id", Key(length=32), nullable=False),
        sa.Column("seat", Key(length=4), nullable=False),
        sa.Column("cabin", Key(length=16), nullable=False),
        sa.Column("hold_id", Key(length=36), nullable=False),
        sa.CheckConstraint(
            "cabin IN ('first', 'business', 'premium_economy', 'economy')",
            name=op.f("ck_seat_claims_cabin"),
        ),
        sa.PrimaryKeyConstraint("flight_id", "seat", name=op.f("pk_seat_claims")),
    )
    op.create_index(op.f("ix_seat_claims_hold_id"), "seat_claims", ["hold_id"], unique=False)
    op.create_table(
        "flights",
        sa.Column("id", Key(length=32), nullable=False),
        sa.Column("airline", Key(length=2), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("origin", Key(length=3), nullable=False),
        sa.Column("destination", Key(length=3), nullable=False),
        sa.Column("departs_on", sa.Date(), nullable=False),
        sa.Column("departing_at", Instant(), nullable=False),
        sa.Column("arriving_at", Instant(), nullable=False),
        sa.Column("aircraft", Key(length=3), nullable=False),
        sa.Column("aircraft_name", ExactText(length=100), nullable=False),
        sa.Column("status", Key(length=16), nullable=False),
        sa.Column("currency", Key(length=3), nullable=False),
        sa.Column("fare_first", sa.BigInteger(), nullable=True),
        sa.Column("fare_business", sa.BigInteger(), nullable=True),
        sa.Column("fare_premium_economy", sa.BigInteger(), nullable=True),
        sa.Column("fare_economy", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("status IN ('scheduled', 'cancelled')", name=op.f("ck_flights_status")),
        sa.CheckConstraint(
            "departing_at < arriving_at", name=op.f("ck_flights_lands_after_departure")
        ),
        sa.CheckConstraint(
            "fare_business >= 0", name=op.f("ck_flights_fare_business_not_negative")
        ),
        sa.CheckConstraint("fare_economy >= 0", name=op.f("ck_flights_fare_economy_not_negative")),
        sa.CheckConstraint("fare_first >= 0", name=op.f("ck_flights_fare_first_not_negative")),
        sa.CheckConstraint(
            "fare_premium_economy >= 0", name=op.f("ck_flights_fare_premium_economy_not_negative")
        ),
        sa.CheckConstraint("origin <> destination", name=op.f("ck_flights_goes_somewhere")),
        sa.ForeignKeyConstraint(["aircraft"], ["aircraft.code"], name=op.f("fk_flights_aircraft")),
        sa.ForeignKeyConstraint(["airline"], ["airlines.code"], name=op.f("fk_flights_airline")),
        sa.ForeignKeyConstraint(
            ["destination"], ["airports.code"], name=op.f("fk_flights_destination")
        ),
        sa.ForeignKeyConstraint(["origin"], ["airports.code"], name=op.f("fk_flights_origin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flights")),
    )
    op.create_index(
        "ix_flights_search",
        "flights",
        ["origin", "destination", "departs_on", "departing_at", "id"],
        unique=False,
    )


def downgrade() -> None:
    # A table takes its indexes along; one that a foreign key uses MySQL would not drop before.
    op.drop_table("flights")
    op.drop_table("seat_claims")
    op.drop_table("holds")
    op.drop_table("airports")
    op.drop_table("airlines")
    op.drop_table("aircraft")
