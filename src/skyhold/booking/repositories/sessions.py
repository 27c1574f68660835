"""Sessions and their refresh tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, insert, literal, select, tuple_, update

from skyhold.booking.models.session import Place, RefreshToken, Session, SessionEnd
from skyhold.booking.models.tables import RefreshTokenRow, SessionRow
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx, Tx
from skyhold.kernel.ended_sessions import PAGE_MAX, Ended


async def add(tx: Tx, session: Session) -> None:
    """Write a new session."""
    await tx.run(insert(SessionRow), [asdict(session) | {"ver": 1}])


async def by_id(tx: ReadTx, session_id: str) -> Session | None:
    """One session, also one that has ended."""
    row = await tx.row(select(SessionRow.__table__).where(SessionRow.id == session_id))
    return None if row is None else _session(row)


async def of_user(
    tx: ReadTx,
    user_id: str,
    *,
    now: datetime,
    seen_after: datetime,
    after: Place | None,
    limit: int,
) -> list[Session]:
    """A user's sessions that can still be refreshed, the newest first."""
    found = select(SessionRow.__table__).where(
        SessionRow.user_id == user_id,
        SessionRow.ended_at.is_(None),
        SessionRow.ends_at > now,
        SessionRow.seen_at > seen_after,
    )
    if after is not None:
        found = found.where(
            tuple_(SessionRow.created_at, SessionRow.id)
            < tuple_(literal(after.created_at, Instant), literal(after.session_id, Key))
        )
    newest_first = found.order_by(SessionRow.created_at.desc(), SessionRow.id.desc())
    return [_session(row) for row in await tx.rows(newest_first.limit(limit))]


async def all_of_user(tx: ReadTx, user_id: str) -> list[Session]:
    """Every session of a user that is still known, also those that have ended."""
    rows = await tx.rows(
        select(SessionRow.__table__)
        .where(SessionRow.user_id == user_id)
        .order_by(SessionRow.created_at.desc(), SessionRow.id.desc())
    )
    return [_session(row) for row in rows]


async def touch(tx: Tx, session_id: str, *, now: datetime) -> bool:
    """Note that it was used, unless it has ended. Compare and set."""
    touched = await tx.run(
        update(SessionRow)
        .where(SessionRow.id == session_id, SessionRow.ended_at.is_(None))
        .values(seen_at=now, ver=SessionRow.ver + 1)
    )
    return touched == 1


async def end(tx: Tx, session_id: str, by: SessionEnd, *, now: datetime) -> bool:
    """End it; False when it has ended before. Compare and set."""
    ended = await tx.run(
        update(SessionRow)
        .where(SessionRow.id == session_id, SessionRow.ended_at.is_(None))
        .values(ended_at=now, ended_by=by, ver=SessionRow.ver + 1)
    )
    return ended == 1


async def end_all(
    tx: Tx, user_id: str, by: SessionEnd, *, now: datetime, but: str | None = None
) -> list[str]:
    """End every session of a user, `but` this one; answers the ids of those it ended.

    A login that is being committed beside this is not seen: whoever calls it has written to the
    user's row before, so that no login is.
    """
    theirs = and_(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
    if but is not None:
        theirs = and_(theirs, SessionRow.id != but)
    ids = [row.id for row in await tx.rows(select(SessionRow.id).where(theirs))]
    await tx.run(
        update(SessionRow)
        .where(theirs, SessionRow.id.in_(ids))
        .values(ended_at=now, ended_by=by, ver=SessionRow.ver + 1)
    )
    return ids


async def ended_after(tx: ReadTx, after: Ended) -> list[Ended]:
    """Up to PAGE_MAX sessions that were ended after this one, the oldest first."""
    rows = await tx.rows(
        select(SessionRow.id, SessionRow.ended_at)
        .where(
            SessionRow.ended_at >= after.at,  # so that every engine uses the index
            tuple_(SessionRow.ended_at, SessionRow.id)
            > tuple_(literal(after.at, Instant), literal(after.session_id, Key)),
        )
        .order_by(SessionRow.ended_at, SessionRow.id)
        .limit(PAGE_MAX)
    )
    return [Ended(row.ended_at, row.id) for row in rows]


async def give_token(tx: Tx, token: RefreshToken) -> None:
    """Write down a refresh token that is given out. Raises Duplicate when it was before."""
    await tx.run(insert(RefreshTokenRow), [asdict(token)])


async def token(tx: ReadTx, digest: str) -> RefreshToken | None:
    """The refresh token with this digest."""
    row = await tx.row(select(RefreshTokenRow.__table__).where(RefreshTokenRow.digest == digest))
    if row is None:
        return None
    return RefreshToken(row.digest, row.session_id, row.issued_at, row.used_at)


async def use_token(tx: Tx, digest: str, *, now: datetime) -> bool:
    """Use a refresh token up. Of all concurrent callers exactly one gets True."""
    used = await tx.run(
        update(RefreshTokenRow)
        .where(RefreshTokenRow.digest == digest, RefreshTokenRow.used_at.is_(None))
        .values(used_at=now)
    )
    return used == 1


async def over(tx: ReadTx, *, now: datetime, limit: int) -> list[str]:
    """The ids of sessions past their last moment: none of their tokens can be told from a guess."""
    rows = await tx.rows(select(SessionRow.id).where(SessionRow.ends_at < now).limit(limit))
    return [row.id for row in rows]


async def delete_all(tx: Tx, session_ids: Sequence[str]) -> None:
    """Delete sessions with their refresh tokens."""
    await tx.run(delete(RefreshTokenRow).where(RefreshTokenRow.session_id.in_(session_ids)))
    await tx.run(delete(SessionRow).where(SessionRow.id.in_(session_ids)))


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        user_id=row.user_id,
        user_agent=row.user_agent,
        created_at=row.created_at,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
        ended_at=row.ended_at,
        ended_by=None if row.ended_by is None else SessionEnd(row.ended_by),
    )
