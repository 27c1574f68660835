"""Flights that are cancelled or retimed after they were booked.

The event is only written down when it comes in; the driver then takes it to every booking, some at
a time. A booking that is being paid in that moment is waited for: it will be confirmed, and then
cancelled and refunded, or the flight service refuses its seats. And a booking that was on its way
into the database meanwhile wakes the change up again, see `flight_changes.wake`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.change import Change, ChangeKind, FlightChange
from skyhold.booking.models.log import AIRLINE
from skyhold.booking.repositories import booking_moves, bookings, flight_changes
from skyhold.contracts.queues import FLIGHT_CHANGES
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.failpoints import reach
from skyhold.kernel.inbox import Inbox
from skyhold.kernel.logging import get_logger
from skyhold.kernel.messaging import Event
from skyhold.kernel.metrics import consumed

from .cancel import call_off, count_called_off
from .events import Chronicle, Happened
from .patience import about, later

log = get_logger(__name__)

PAYING_PAUSE_S = 1
# How long a booking may be on its way into the database: longer than any of its transactions, so
# that one which began before the change was written down, and saw nothing of it, has ended.
SETTLE_S = 60


class _Moved(Exception):
    """The booking has moved since it was read; rolls back what was begun for it."""


@dataclass(frozen=True, slots=True)
class FlightChanges:
    """Takes the news of a flight to the bookings on it."""

    db: Database
    inbox: Inbox
    chronicle: Chronicle
    clock: Clock
    batch_max: int

    async def note(self, event: Event, news: FlightChange) -> None:
        """Write down what the flight service told; once, and only the latest counts."""

        async def note(tx: Tx) -> bool:
            if not await self.inbox.take(tx, FLIGHT_CHANGES.queue, event):
                return False
            noted = await flight_changes.note(tx, news)
            reach("change.in_note")
            return noted

        if await self.db.transact(note):
            reach("change.noted")
            log.info("flight.change_noted", flight_id=news.flight_id, kind=news.kind)
        else:
            consumed(FLIGHT_CHANGES.queue, "repeated")

    async def apply(self, flight_id: str) -> bool:
        """Tell at most `batch_max` bookings of a flight's change; False when none could be told."""
        async with self.db.read() as tx:
            news = await flight_changes.by_flight(tx, flight_id)
        if news is None or news.due_at is None:
            return False
        try:
            return await self._apply(news)
        except Exception as error:
            log.exception("flight.change_postponed", flight_id=flight_id, error=repr(error))
            await self._look_again(
                news, later(self.clock.now(), news.attempts), attempts=news.attempts + 1
            )
            return False

    async def _apply(self, news: FlightChange) -> bool:
        # Before any reading: once it is late enough, no transaction is open any more that began
        # before the change was there, so whoever is recorded by one is seen below.
        now = self.clock.now()
        told, puzzles = await self._tell_all(news)
        if told:
            return True
        if puzzles:
            log.error("flight.change_stuck", flight_id=news.flight_id, bookings=puzzles)
            await self._look_again(news, later(now, news.attempts), attempts=news.attempts + 1)
            return False
        # In one query: a booking that stops being paid between two would be in neither.
        async with self.db.read() as tx:
            left = await flight_changes.unaware(tx, news, _NOT_ENDED, 1)
        settled_at = news.received_at + timedelta(seconds=SETTLE_S)
        if left:
            due_at: datetime | None = now + timedelta(seconds=PAYING_PAUSE_S)
        else:
            # A booking that was on its way when the change came in may be still.
            due_at = settled_at if now < settled_at else None
        await self._look_again(news, due_at, attempts=0)
        return False

    async def _tell_all(self, news: FlightChange) -> tuple[int, int]:
        """How many bookings of the next `batch_max` were told, and how many could not even be read.

        One that cannot be told keeps nobody else from hearing of it.
        """
        told = puzzles = 0
        after = ""
        while not told:
            async with self.db.read() as tx:
                ids = await flight_changes.unaware(
                    tx, news, _TOLD_AT_ONCE[news.kind], self.batch_max, after=after
                )
            if not ids:
                break
            after = ids[-1]
            for booking_id in ids:
                try:
                    told += await self._tell(booking_id, news)
                except Unavailable:
                    raise
                except Exception:
                    log.exception("flight.change_untold", booking_id=booking_id)
                    puzzles += 1
        return told, puzzles

    async def _tell(self, booking_id: str, news: FlightChange) -> bool:
        """One booking; False when it has moved meanwhile, and is for the next round."""
        with about(booking_id):
            async with self.db.read() as tx:
                booking = await bookings.by_id(tx, booking_id)
            assert booking is not None, "bookings are never deleted"
            # Since it was listed somebody may have begun to pay for it, or have ended it.
            if booking.status not in _TOLD_AT_ONCE[news.kind]:
                return False
            return await self._tell_of(booking, news)

    async def _tell_of(self, booking: Booking, news: FlightChange) -> bool:
        now = self.clock.now()
        change = booking.told_of(news, now)

        async def tell(tx: Tx) -> None:
            if not await flight_changes.hear(tx, news, booking.id):
                raise _Moved
            if change is not None:
                await self._change(tx, booking, change, now)
            reach("change.in_tell")

        try:
            await self.db.transact(tell)
            reach("change.told")
        except _Moved:
            return False
        if change is not None:
            log.info("booking.flight_changed", kind=change.kind)
            if change.kind is ChangeKind.CANCELLED:
                count_called_off(booking)
        return True

    async def _change(self, tx: Tx, booking: Booking, change: Change, now: datetime) -> None:
        if not await booking_moves.change(tx, booking, booking.with_change(change)):
            raise _Moved
        if change.kind is ChangeKind.RESCHEDULED:
            await self.chronicle.tell(tx, booking.id, Happened.FLIGHT_CHANGED, change, by=AIRLINE)
        elif not await call_off(tx, booking, self.chronicle, now, change, by=AIRLINE):
            raise _Moved

    async def _look_again(
        self, news: FlightChange, due_at: datetime | None, *, attempts: int
    ) -> None:
        async def look_again(tx: Tx) -> None:
            await flight_changes.look_again(tx, news, due_at, attempts=attempts)
            reach("change.in_look_again")

        await self.db.transact(look_again)
        reach("change.looked_again")


_NOT_ENDED = (BookingStatus.HELD, BookingStatus.PAYING, BookingStatus.CONFIRMED)
_TOLD_AT_ONCE = {
    ChangeKind.CANCELLED: (BookingStatus.HELD, BookingStatus.CONFIRMED),
    ChangeKind.RESCHEDULED: (BookingStatus.HELD, BookingStatus.PAYING, BookingStatus.CONFIRMED),
}
