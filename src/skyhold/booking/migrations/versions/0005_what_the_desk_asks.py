"""What the desk asks: passengers by their surname, the log by what was done, the last audit.

Revision: 0005
Before: 0004
"""

import sqlalchemy as sa
from alembic import op

from skyhold.kernel.columns import Instant, Key

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OUTCOMES = ("compared", "failed", "not_compared")


def upgrade() -> None:
    op.create_index("ix_passengers_by_name", "passengers", ["family_name", "booking_id"])
    op.create_index("ix_booking_log_by_action", "booking_log", ["action", "at"])
    op.create_table(
        "audits",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("ended_at", Instant(), nullable=False),
        sa.Column("outcome", Key(length=16), nullable=False),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.Column("bookings", sa.BigInteger(), nullable=False),
        sa.Column("holds", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.Column("not_compared", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            f"outcome IN ({', '.join(map(repr, OUTCOMES))})", name=op.f("ck_audits_outcome")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audits")),
    )
    op.create_index(op.f("ix_audits_ended_at"), "audits", ["ended_at"], unique=False)


def downgrade() -> None:
    op.drop_table("audits")
    op.drop_index("ix_booking_log_by_action", table_name="booking_log")
    op.drop_index("ix_passengers_by_name", table_name="passengers")
