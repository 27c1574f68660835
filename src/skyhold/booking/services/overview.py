"""How the service is doing, for the desk: what waits, the last audit, what happened lately.

No question here costs more because there are more bookings. What waits is counted along the index
of due times, up to a bound; where the newest bookings stand, for so many of them at most; what was
done in an hour, along the log's index, and once only when that hour is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skyhold.booking.models.audited import Audited
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.log import Action
from skyhold.booking.repositories import audits, traffic
from skyhold.kernel.backlog import ROWS_MAX
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.observatory import Readings

from .backlog import Backlog

HOURS = 48
HOUR = timedelta(hours=1)
SHOWN = (Action.HELD, Action.CONFIRMED, Action.EXPIRED, Action.CANCELLED)
# An hour's last transactions may commit, and other clocks still be in it, so long after its end.
SETTLED = timedelta(minutes=10)

Done = Mapping[Action, int]
# Messages given up on, by their queue; or why nobody can say.
DeadLetters = Callable[[], Awaitable[Mapping[str, int] | str]]


@dataclass(frozen=True, slots=True)
class Hour:
    """What was done in the hour that began then."""

    begins_at: datetime
    done: Done


@dataclass(frozen=True, slots=True)
class Seen:
    """How things stand at `at`. `statuses` are of bookings made since the first of `hours`."""

    at: datetime
    waiting: Readings
    dead_letters: Mapping[str, int] | str
    audited: Audited | None
    statuses: Mapping[BookingStatus, int]
    hours: Sequence[Hour]


class Overview:
    """Looks at all of it, anew each time but for hours that are over."""

    def __init__(
        self, db: Database, backlog: Backlog, dead_letters: DeadLetters, clock: Clock
    ) -> None:
        self._db = db
        self._backlog = backlog
        self._dead_letters = dead_letters
        self._clock = clock
        self._over: dict[datetime, Done] = {}

    async def look(self) -> Seen:
        """How things stand now."""
        now = self._clock.now().astimezone(UTC)
        first = now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR
        hours = [await self._hour(first + nth * HOUR, now) for nth in range(HOURS)]
        self._over = {begin: done for begin, done in self._over.items() if begin >= first}
        async with self._db.read() as tx:
            audited = await audits.last(tx)
            statuses = await traffic.by_status(tx, first, ROWS_MAX)
        return Seen(
            at=now,
            waiting=await self._backlog.look(),
            dead_letters=await self._dead_letters(),
            audited=audited,
            statuses=statuses,
            hours=hours,
        )

    async def _hour(self, begin: datetime, now: datetime) -> Hour:
        if begin in self._over:
            return Hour(begin, self._over[begin])
        async with self._db.read() as tx:
            done = await traffic.done(tx, SHOWN, begin, begin + HOUR)
        if begin + HOUR + SETTLED <= now:
            self._over[begin] = done
        return Hour(begin, done)
