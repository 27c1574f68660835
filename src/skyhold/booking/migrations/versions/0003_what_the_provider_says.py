"""Which provider a payment is with, its own id for it, and what the payer has to do next.

Revision: 0003
Before: 0002
"""

import sqlalchemy as sa
from alembic import op

from skyhold.kernel.columns import Key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("provider", Key(length=16), nullable=True))
    op.add_column("payments", sa.Column("provider_ref", Key(length=255), nullable=True))
    op.add_column("payments", sa.Column("next_action", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("payments", "next_action")
    op.drop_column("payments", "provider_ref")
    op.drop_column("payments", "provider")
