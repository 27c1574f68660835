"""A session: one login of a user, from one program or browser, until it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class SessionEnd(StrEnum):
    """Why a session is over before its time."""

    LOGOUT = "logout"
    ENDED_BY_USER = "ended_by_user"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - not a password
    TOKEN_REUSED = "token_reused"  # noqa: S105 - not a password
    ROLE_CHANGED = "role_changed"
    ACCOUNT_DELETED = "account_deleted"


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is kept. `ends_at` is its last moment, however often it is refreshed."""

    id: str
    user_id: str
    user_agent: str | None
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    ended_by: SessionEnd | None

    def is_live(self, now: datetime, idle_max: timedelta) -> bool:
        """Whether it may still be refreshed."""
        return self.ended_at is None and now < min(self.ends_at, self.seen_at + idle_max)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as it is kept: by its digest, never as it is."""

    digest: str
    session_id: str
    issued_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of sessions ended."""

    created_at: datetime
    session_id: str
