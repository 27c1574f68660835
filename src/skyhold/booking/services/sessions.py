"""Sessions: a login that lasts, by refresh tokens that are used once."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from skyhold.booking import metrics
from skyhold.booking.errors import InvalidRefreshToken, SessionNotFound
from skyhold.booking.models.session import Place, RefreshToken, Session, SessionEnd
from skyhold.booking.models.user import User
from skyhold.booking.repositories import sessions, users
from skyhold.kernel.auth import Tokens
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.ended_sessions import Ended, EndedSessions
from skyhold.kernel.ids import new_id
from skyhold.kernel.logging import get_logger

from .refresh import Lifetimes, Refused, Turn, token_digest

log = get_logger(__name__)

TOKEN_BYTES = 32  # 256 bits: nobody guesses one, so a plain SHA-256 is all that has to be kept
USER_AGENT_MAX = 200


@dataclass(frozen=True, slots=True)
class Granted:
    """What a login or a refresh gives: two tokens, and how long the second can be used."""

    user: User
    session_id: str
    access_token: str
    refresh_token: str
    refresh_expires_in_s: int


class Sessions:
    """Begins, continues and ends sessions.

    A refresh token is used once, by compare-and-set, and gives its successor. The successor is
    derived from it, so whoever lost the answer gets the very same one again, for a moment
    (`repeat_max`) and as long as nobody has used it. Used again after that, a token has been in two
    hands: then the whole session ends.
    """

    def __init__(
        self,
        db: Database,
        tokens: Tokens,
        ended: EndedSessions,
        clock: Clock,
        lifetimes: Lifetimes,
        key: str,
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._ended = ended
        self._clock = clock
        self._lifetimes = lifetimes
        self._key = hmac.digest(key.encode(), b"successors of refresh tokens", "sha256")

    async def begin(self, user: User, user_agent: str | None) -> Granted | None:
        """A new session; None when the password has changed since `user` was read."""
        now = self._clock.now()
        session = Session(
            id=new_id(),
            user_id=user.id,
            user_agent=_printable(user_agent),
            created_at=now,
            seen_at=now,
            ends_at=now + self._lifetimes.life_max,
            ended_at=None,
            ended_by=None,
        )
        token = secrets.token_urlsafe(TOKEN_BYTES)

        async def begin(tx: Tx) -> User | None:
            present = await users.claim(tx, user.id, password_hash=user.password_hash)
            if present is None or await sessions.by_id(tx, session.id):
                return present  # or it was committed by an earlier run
            await sessions.add(tx, session)
            await sessions.give_token(tx, RefreshToken(token_digest(token), session.id, now, None))
            return present

        present = await self._db.transact(begin)
        return None if present is None else self._grant(present, session, token, now)

    async def refresh(self, token: str) -> Granted:
        """Continue a session with fresh tokens. Raises InvalidRefreshToken."""
        now = self._clock.now()
        turn = Turn(token, self._successor_of(token), now, self._lifetimes)
        outcome = await self._db.transact(turn.take)
        if isinstance(outcome, Refused):
            metrics.refresh(outcome.value)
            if turn.session is not None and outcome is Refused.REUSED:
                self._ended.note(turn.session.id)
                log.warning("session.token_reused", session_id=turn.session.id)
            raise InvalidRefreshToken
        metrics.refresh("succeeded")
        user, session = outcome
        return self._grant(user, session, turn.successor, now)

    async def end(self, session_id: str, by: SessionEnd = SessionEnd.LOGOUT) -> None:
        """End a session, here at once and in every other process within two seconds."""
        now = self._clock.now()
        ended = await self._db.transact(lambda tx: sessions.end(tx, session_id, by, now=now))
        self._ended.note(session_id)
        if ended:
            log.info("session.ended", session_id=session_id, by=by)

    async def end_by_token(self, token: str) -> None:
        """End the session that a refresh token belongs to, if there is one."""
        async with self._db.read() as tx:
            known = await sessions.token(tx, token_digest(token))
        if known is not None:
            await self.end(known.session_id)

    async def end_one(self, user_id: str, session_id: str) -> None:
        """End one of a user's own sessions. Raises SessionNotFound, also for somebody else's."""
        async with self._db.read() as tx:
            session = await sessions.by_id(tx, session_id)
        if session is None or session.user_id != user_id:
            raise SessionNotFound
        if not session.is_live(self._clock.now(), self._lifetimes.idle_max):
            raise SessionNotFound
        await self.end(session_id, SessionEnd.ENDED_BY_USER)

    async def end_others(self, user_id: str, session_id: str) -> None:
        """End every session of a user but this one."""
        by = SessionEnd.ENDED_BY_USER

        async def end(tx: Tx) -> list[str]:
            # Whoever logs in just now writes to the same row: before this, or after it.
            await users.lock(tx, [user_id])
            now = self._clock.now()
            return await sessions.end_all(tx, user_id, by, now=now, but=session_id)

        self.have_ended(user_id, await self._db.transact(end), by)

    def have_ended(self, user_id: str, session_ids: Sequence[str], by: SessionEnd) -> None:
        """These were ended in a transaction that has been committed."""
        self._ended.note(*session_ids)
        log.info("session.ended_all", user_id=user_id, sessions=len(session_ids), by=by)

    async def ended_after(self, after: Ended) -> Sequence[Ended]:
        """Sessions that were ended after this one, the oldest first: for other services."""
        async with self._db.read() as tx:
            return await sessions.ended_after(tx, after)

    async def page(
        self, user_id: str, *, after: Place | None, limit: int
    ) -> tuple[list[Session], Place | None]:
        """A page of this user's sessions that still live, the newest first, and where to go on."""
        now = self._clock.now()
        async with self._db.read() as tx:
            found = await sessions.of_user(
                tx,
                user_id,
                now=now,
                seen_after=now - self._lifetimes.idle_max,
                after=after,
                limit=limit + 1,
            )
        page = found[:limit]
        more = len(found) > limit
        return page, Place(page[-1].created_at, page[-1].id) if more else None

    async def purge(self, limit: int) -> int:
        """Delete up to `limit` sessions that are over; answers how many there were."""
        now = self._clock.now()
        async with self._db.read() as tx:
            ids = await sessions.over(tx, now=now, limit=limit)
        if ids:
            await self._db.transact(lambda tx: sessions.delete_all(tx, ids))
        return len(ids)

    def _grant(self, user: User, session: Session, token: str, now: datetime) -> Granted:
        last = min(session.ends_at, now + self._lifetimes.idle_max)
        return Granted(
            user=user,
            session_id=session.id,
            access_token=self._tokens.issue(user.id, role=user.role, sid=session.id),
            refresh_token=token,
            refresh_expires_in_s=int((last - now).total_seconds()),
        )

    def _successor_of(self, token: str) -> str:
        derived = hmac.digest(self._key, token.encode(), "sha256")
        return urlsafe_b64encode(derived).decode().rstrip("=")


def _printable(user_agent: str | None) -> str | None:
    kept = "".join(filter(str.isprintable, user_agent or ""))[:USER_AGENT_MAX].strip()
    return kept or None
