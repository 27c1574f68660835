"""Waiting for others: for an answer, before asking again, and until somebody should look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

from structlog.contextvars import bound_contextvars, get_contextvars

from skyhold.booking import metrics
from skyhold.booking.errors import FlightRefusal
from skyhold.kernel.client import Unknown
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.ids import new_id
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

BACKOFF_MAX_S = 3_600
ALERT_AFTER_ATTEMPTS = 10
SET_ASIDE = 8  # a row that cannot be read waits as long as after so many attempts


def later(now: datetime, attempts: int) -> datetime:
    """When to try again after so many attempts: 1, 2, 4 … seconds, an hour at most."""
    return now + timedelta(seconds=min(BACKOFF_MAX_S, 2 ** min(attempts, 12)))


def next_look(now: datetime, pause: timedelta, give_up_at: datetime) -> datetime:
    """When to look again after a pause: not later than it is time to give up, if that is ahead."""
    return min(now + pause, max(give_up_at, now + timedelta(seconds=1)))


@asynccontextmanager
async def answered_within(timeout_s: float) -> AsyncIterator[None]:
    """Wait for the provider only so long; then nobody knows."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        msg = f"the provider did not answer within {timeout_s} s"
        raise Unknown(msg) from error


@contextmanager
def about(booking_id: str) -> Iterator[None]:
    """What is logged and asked inside is about this booking.

    It belongs to the request that is being served, or, in a job, to one of its own, so that the
    lines of both services can be found together.
    """
    request_id = get_contextvars().get("request_id") or new_id()
    with bound_contextvars(request_id=request_id, booking_id=booking_id):
        yield


def report(what: str, id_: str, attempts: int, step: str, error: Exception) -> None:
    """A step did not succeed. After many attempts somebody should look; we go on all the same."""
    expected = isinstance(error, Unknown | FlightRefusal | Unavailable)
    many = attempts >= ALERT_AFTER_ATTEMPTS
    metrics.postponed(what, step, many=many)
    tell = log.warning if expected and not many else log.error
    tell(
        f"{what}.postponed",
        id=id_,
        step=step,
        attempts=attempts + 1,
        error=repr(error),
        exc_info=None if expected else error,
    )
