"""Sessions and their refresh tokens, who did what to a booking, limits that hold everywhere.

Revision: 0004
Before: 0003
"""

import sqlalchemy as sa
from alembic import op

from skyhold.kernel.columns import ExactText, Instant, Key

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ENDS = (
    "account_deleted",
    "ended_by_user",
    "logout",
    "password_changed",
    "role_changed",
    "token_reused",
)


def upgrade() -> None:
    op.add_column("users", sa.Column("pepper_id", Key(length=8), nullable=True))
    op.add_column("users", sa.Column("erased_at", Instant(), nullable=True))
    op.add_column("users", sa.Column("ver", sa.Integer(), server_default="0", nullable=False))
    op.create_index(op.f("ix_users_erased_at"), "users", ["erased_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("user_id", Key(length=36), nullable=False),
        sa.Column("user_agent", ExactText(length=200), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_by", Key(length=16), nullable=True),
        sa.Column("ver", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            f"ended_by IN ({', '.join(map(repr, ENDS))})", name=op.f("ck_sessions_ended_by")
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_by IS NULL)", name=op.f("ck_sessions_ended_by_something")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_of_user", "sessions", ["user_id", "created_at", "id"])
    op.create_index(op.f("ix_sessions_ends_at"), "sessions", ["ends_at"], unique=False)
    op.create_index(op.f("ix_sessions_ended_at"), "sessions", ["ended_at"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", Key(length=64), nullable=False),
        sa.Column("session_id", Key(length=36), nullable=False),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_refresh_tokens_session_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(
        op.f("ix_refresh_tokens_session_id"), "refresh_tokens", ["session_id"], unique=False
    )
    op.create_table(
        "limit_counters",
        sa.Column("key", Key(length=64), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_limit_counters")),
    )
    op.create_index(
        op.f("ix_limit_counters_expires_at"), "limit_counters", ["expires_at"], unique=False
    )
    op.create_table(
        "booking_log",
        sa.Column("id", Key(length=36), nullable=False),
        sa.Column("booking_id", Key(length=36), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("action", Key(length=32), nullable=False),
        sa.Column("actor", Key(length=16), nullable=False),
        sa.Column("actor_id", Key(length=36), nullable=True),
        sa.Column("status_before", Key(length=16), nullable=True),
        sa.Column("status_after", Key(length=16), nullable=False),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("request_id", Key(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_log_booking_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_log")),
    )
    op.create_index(
        "ix_booking_log_of_booking", "booking_log", ["booking_id", "at", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("booking_log")
    op.drop_table("limit_counters")
    op.drop_table("refresh_tokens")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_users_erased_at"), table_name="users")
    op.drop_column("users", "ver")
    op.drop_column("users", "erased_at")
    op.drop_column("users", "pepper_id")
