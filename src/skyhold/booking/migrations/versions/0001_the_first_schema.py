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
        "booking_outbox",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("type", Key(length=64), nullable=False),
        sa.Column("subject", Key(length=36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("occurred_at", Instant(), nullable=False),
        sa.Column("published_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_outbox")),
    )
    op.create_index(
        "ix_booking_outbox_subject", "booking_outbox", ["subject", "sequence"], unique=False
    )
    op.create_index(
        "ix_booking_outbox_unpublished", "booking_outbox", ["published_at", "id"], unique=False
    )
    op.create_table(
        "users",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("name", ExactText(length=100), nullable=False),
        sa.Column("email", ExactText(length=254), nullable=False),
        sa.Column("email_key", ExactText(length=254), nullable=False),
        sa.Column("password_hash", Key(length=60), nullable=False),
        sa.Column("role", Key(length=16), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("role IN ('admin', 'customer', 'staff')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
    )
    op.create_table(
        "bookings",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("user_id", Key(length=36), nullable=False),
        sa.Column("record_locator", Key(length=6), nullable=False),
        sa.Column("idempotency_key", Key(length=255), nullable=True),
        sa.Column("request_digest", Key(length=64), nullable=True),
        sa.Column("status", Key(length=16), nullable=False),
        sa.Column("segments", sa.JSON(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", Key(length=3), nullable=False),
        sa.Column("payment_required_by", Instant(), nullable=False),
        sa.Column("active_payment_id", Key(length=36), nullable=True),
        sa.Column("hold_open", sa.Boolean(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ver", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "(status = 'paying') = (active_payment_id IS NOT NULL)",
            name=op.f("ck_bookings_paying_has_payment"),
        ),
        sa.CheckConstraint(
            "status = 'confirmed' OR hold_open = false OR due_at IS NOT NULL",
            name=op.f("ck_bookings_never_stuck"),
        ),
        sa.CheckConstraint(
            "status IN ('cancelled', 'confirmed', 'expired', 'held', 'paying')",
            name=op.f("ck_bookings_status"),
        ),
        sa.CheckConstraint(
            "status IN ('expired', 'cancelled') OR hold_open = true",
            name=op.f("ck_bookings_live_has_hold"),
        ),
        sa.CheckConstraint("total_minor >= 0", name=op.f("ck_bookings_total_not_negative")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bookings_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint("record_locator", name=op.f("uq_bookings_record_locator")),
        sa.UniqueConstraint(
            "user_id", "idempotency_key", name=op.f("uq_bookings_user_id_idempotency_key")
        ),
    )
    op.create_index("ix_bookings_due_at", "bookings", ["due_at"], unique=False)
    op.create_index(
        "ix_bookings_of_user", "bookings", ["user_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "passengers",
        sa.Column("booking_id", Key(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("given_name", ExactText(length=100), nullable=False),
        sa.Column("family_name", ExactText(length=100), nullable=False),
        sa.Column("type", Key(length=16), nullable=False),
        sa.Column("born_on", sa.Date(), nullable=True),
        sa.CheckConstraint("type IN ('adult', 'child')", name=op.f("ck_passengers_type")),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_passengers_booking_id")
        ),
        sa.PrimaryKeyConstraint("booking_id", "position", name=op.f("pk_passengers")),
    )
    op.create_table(
        "payments",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("booking_id", Key(length=36), nullable=False),
        sa.Column("user_id", Key(length=36), nullable=False),
        sa.Column("idempotency_key", Key(length=255), nullable=True),
        sa.Column("request_digest", Key(length=64), nullable=True),
        sa.Column("status", Key(length=16), nullable=False),
        sa.Column("failure", Key(length=32), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", Key(length=3), nullable=False),
        sa.Column("token", Key(length=255), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ver", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "status IN ('authorized', 'capture_due', 'captured', 'created', 'refund_due', "
            "'refunded', 'void_due', 'voided')",
            name=op.f("ck_payments_status"),
        ),
        sa.CheckConstraint(
            "status IN ('captured', 'refunded', 'voided') OR due_at IS NOT NULL",
            name=op.f("ck_payments_never_stuck"),
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_payments_amount_not_negative")),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_payments_booking_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint(
            "user_id", "idempotency_key", name=op.f("uq_payments_user_id_idempotency_key")
        ),
    )
    op.create_index("ix_payments_due_at", "payments", ["due_at"], unique=False)
    op.create_index(
        "ix_payments_of_booking", "payments", ["booking_id", "created_at"], unique=False
    )


def downgrade() -> None:
    # A table takes its indexes along; one that a foreign key uses MySQL would not drop before.
    op.drop_table("payments")
    op.drop_table("passengers")
    op.drop_table("bookings")
    op.drop_table("users")
    op.drop_table("booking_outbox")
