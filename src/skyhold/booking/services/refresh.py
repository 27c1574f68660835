"""One use of a refresh token."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from skyhold.booking.models.session import RefreshToken, Session, SessionEnd
from skyhold.booking.models.user import User
from skyhold.booking.repositories import sessions, users
from skyhold.kernel.db import LostRace, Tx


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lives unused, how long at all, and how late a repeat may come."""

    idle_max: timedelta
    life_max: timedelta
    repeat_max: timedelta


class Refused(Enum):
    """Why a refresh token does not continue a session."""

    UNKNOWN = "unknown"
    ENDED = "ended"
    REUSED = "reused"


class Turn:
    """One use of a refresh token, as a transaction that may be run again."""

    def __init__(self, token: str, successor: str, now: datetime, lifetimes: Lifetimes) -> None:
        self.successor = successor
        self.session: Session | None = None
        self._digest = token_digest(token)
        self._next = token_digest(successor)
        self._now = now
        self._lifetimes = lifetimes

    async def take(self, tx: Tx) -> tuple[User, Session] | Refused:
        """Use the token up and write down its successor, or say why not."""
        token = await sessions.token(tx, self._digest)
        if token is None:
            return Refused.UNKNOWN
        self.session = session = await sessions.by_id(tx, token.session_id)
        assert session is not None, "its tokens are deleted with it"
        user = await users.by_id(tx, session.user_id)
        if user is None or not session.is_live(self._now, self._lifetimes.idle_max):
            return Refused.ENDED
        if token.used_at is None:
            await self._use(tx, session)
            return user, session
        if self._now - token.used_at <= self._lifetimes.repeat_max:
            successor = await sessions.token(tx, self._next)
            if successor is None:  # made with another key, by a process with other settings
                return Refused.UNKNOWN
            if successor.used_at is None:
                return user, session
        await sessions.end(tx, session.id, SessionEnd.TOKEN_REUSED, now=self._now)
        return Refused.REUSED

    async def _use(self, tx: Tx, session: Session) -> None:
        if not await sessions.use_token(tx, self._digest, now=self._now):
            raise LostRace  # a twin of this request: the next run finds its successor
        if not await sessions.touch(tx, session.id, now=self._now):
            raise LostRace  # it has just been ended
        await sessions.give_token(tx, RefreshToken(self._next, session.id, self._now, None))


def token_digest(token: str) -> str:
    """What is kept of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
