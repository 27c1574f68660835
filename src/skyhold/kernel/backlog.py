"""How much is waiting to be done: questions for /metrics that cost little whatever the answer.

They read at most ROWS_MAX rows each, along an index. Whether ten thousand rows are overdue or ten
million, somebody has to be woken up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, case, func, literal, or_, select

from .db import ReadTx
from .observatory import Question

ROWS_MAX = 10_000
OVERDUE = timedelta(seconds=60)
# A row that fails is put off for 1, 2, 4 … seconds: after six attempts a minute is over. It is
# then due some time in the future, and overdue all the same.
ATTEMPTS_MANY = 6

DUE_ROWS = Question(
    "skyhold_due_rows",
    f"Rows that a job should take up now, counted up to {ROWS_MAX}",
    ("kind", "status"),
)
OVERDUE_ROWS = Question(
    "skyhold_overdue_rows",
    "Rows that no job has taken up, or none with success, for a minute",
    ("kind", "status"),
)
UNPUBLISHED = Question(
    "skyhold_outbox_unpublished_events",
    f"Events that are still to be published, counted up to {ROWS_MAX}",
    ("service",),
)
OLDEST_AGE = Question(
    "skyhold_outbox_oldest_age_seconds",
    "How long the oldest event has waited to be published, 0 if none is waiting",
    ("service",),
)
DEAD_LETTERS = Question(
    "skyhold_dead_letters", "Messages that a consumer gave up on, by their queue", ("queue",)
)


@dataclass(slots=True)
class Due:
    """How many rows are due, and how many are overdue; those may be due later again."""

    due: int = 0
    overdue: int = 0


@dataclass(frozen=True, slots=True)
class Untold:
    """Events that nobody has been told of, and when the oldest happened."""

    count: int
    oldest: datetime | None

    def age_s(self, now: datetime) -> float:
        """How long the oldest has waited."""
        return 0.0 if self.oldest is None else max(0.0, (now - self.oldest).total_seconds())


async def due_by_status(
    tx: ReadTx,
    now: datetime,
    *,
    status: ColumnElement[Any],
    due_at: ColumnElement[datetime | None],
    attempts: ColumnElement[int],
) -> Mapping[str, Due]:
    """Rows of a table that has these columns, and an index on `due_at`.

    Of the rows that are due, the longest overdue are looked at; of those put off, the furthest,
    which have failed most often.
    """
    since = select(status.label("status"), due_at.label("due_at"), attempts.label("attempts"))
    past = since.where(due_at <= now).order_by(due_at).limit(ROWS_MAX // 2).subquery()
    ahead = since.where(due_at > now).order_by(due_at.desc()).limit(ROWS_MAX // 2).subquery()
    late = or_(past.c.due_at <= now - OVERDUE, past.c.attempts >= ATTEMPTS_MANY)
    found: defaultdict[str, Due] = defaultdict(Due)
    for row in await tx.rows(
        select(past.c.status, func.count().label("due"), _how_many(late).label("overdue")).group_by(
            past.c.status
        )
    ):
        found[row.status] = Due(row.due, int(row.overdue))
    for row in await tx.rows(
        select(ahead.c.status, func.count().label("overdue"))
        .where(ahead.c.attempts >= ATTEMPTS_MANY)
        .group_by(ahead.c.status)
    ):
        found[row.status].overdue += row.overdue
    return dict(found)


async def due_of(tx: ReadTx, now: datetime, found: Select[Any]) -> Due:
    """How many of the rows that `found` selects are due; its one column is when, indexed."""
    column = found.selected_columns[0]
    past = found.where(column <= now).order_by(column).limit(ROWS_MAX).subquery()
    row = await tx.row(
        select(
            func.count().label("due"), _how_many(past.c[0] <= now - OVERDUE).label("overdue")
        ).select_from(past)
    )
    assert row is not None, "a count has a row"
    return Due(row.due, int(row.overdue or 0))


async def untold(tx: ReadTx, outbox: Table) -> Untold:
    """What has still to be published; ids sort by time, near enough for the oldest."""
    waiting = select(outbox.c.id).where(outbox.c.published_at.is_(None)).limit(ROWS_MAX).subquery()
    oldest = (
        select(outbox.c.occurred_at)
        .where(outbox.c.published_at.is_(None))
        .order_by(outbox.c.id)
        .limit(1)
    )
    count = await tx.scalar(select(func.count()).select_from(waiting))
    return Untold(count, await tx.scalar(oldest))


def _how_many(so: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((so, literal(1)), else_=literal(0)))
