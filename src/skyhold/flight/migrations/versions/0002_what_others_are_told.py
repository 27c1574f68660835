"""What others are told: an outbox, and a number on every flight that orders its events.

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


def upgrade() -> None:
    op.add_column("flights", sa.Column("ver", sa.Integer(), server_default="1", nullable=False))
    op.create_table(
        "flight_leases",
        sa.Column("work", Key(length=64), nullable=False),
        sa.Column("holder", Key(length=36), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("ver", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("work", name=op.f("pk_flight_leases")),
    )
    op.create_table(
        "flight_outbox",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("type", Key(length=64), nullable=False),
        sa.Column("subject", Key(length=36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("request_id", Key(length=64), nullable=True),
        sa.Column("traceparent", Key(length=55), nullable=True),
        sa.Column("occurred_at", Instant(), nullable=False),
        sa.Column("published_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flight_outbox")),
    )
    op.create_index(
        "ix_flight_outbox_subject", "flight_outbox", ["subject", "sequence"], unique=False
    )
    op.create_index(
        "ix_flight_outbox_unpublished", "flight_outbox", ["published_at", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("flight_leases")
    op.drop_index("ix_flight_outbox_unpublished", table_name="flight_outbox")
    op.drop_index("ix_flight_outbox_subject", table_name="flight_outbox")
    op.drop_table("flight_outbox")
    op.drop_column("flights", "ver")
