"""Writing bookings down: all that wait, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from skyhold.booking.errors import TooManyUnpaid
from skyhold.booking.models.booking import Booking
from skyhold.booking.models.hoard import Ceiling
from skyhold.booking.repositories import bookings, flight_changes, users
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.batcher import Batcher
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.failpoints import reach

from .events import Chronicle, Course
from .hoarding import UNPAID_MAX

Entry = tuple[Booking, Course]


class Recorder:
    """Records bookings, each with its passengers and its event.

    The rows of their users are written to first, so that whoever books, pays attention to a limit,
    or deletes the account at the same time, in whichever process, comes before or after this.
    """

    def __init__(
        self,
        db: Database,
        chronicle: Chronicle,
        clock: Clock,
        ceiling: Ceiling,
        *,
        batch_max: int,
        waiting_max: int,
    ) -> None:
        self._db = db
        self._chronicle = chronicle
        self._clock = clock
        self._ceiling = ceiling
        self._batcher: Batcher[Entry, None] = Batcher(
            self._record_all, name="bookings", batch_max=batch_max, waiting_max=waiting_max
        )

    async def record(self, booking: Booking) -> None:
        """Write a new booking down, in the course of this request.

        Raises TooManyUnpaid, InvalidToken when the account is gone, and Duplicate when its id, its
        record locator or its key is there already; then nothing of it was written.
        """
        await self._batcher.submit((booking, Course.present()))

    async def close(self) -> None:
        """Let every waiting booking be recorded."""
        await self._batcher.close()

    async def _record_all(self, batch: Sequence[Entry]) -> Sequence[Exception | None]:
        async def record(tx: Tx) -> Sequence[Exception | None]:
            refusals = await self._refusals(tx, [booking for booking, _ in batch])
            made = [entry for entry, no in zip(batch, refusals, strict=True) if no is None]
            if made:
                await self._write(tx, made)
            reach("book.in_record")
            return refusals

        refusals = await self._db.transact(record)
        reach("book.recorded")
        return refusals

    async def _write(self, tx: Tx, made: Sequence[Entry]) -> None:
        new = [booking for booking, _ in made]
        flights = {segment.flight_id for booking in new for segment in booking.segments}
        await bookings.add(tx, new)
        await flight_changes.wake(tx, flights, self._clock.now())
        await self._chronicle.tell_of_new(tx, made)

    async def _refusals(self, tx: Tx, new: Sequence[Booking]) -> Sequence[Exception | None]:
        """Of each of them why it must not be written, or None; the earlier ones come first.

        One that is written already, by a run whose commit was not heard of, is not counted twice.
        """
        who = sorted({booking.user_id for booking in new})
        present = await users.lock(tx, who)
        since = self._clock.now() - UNPAID_MAX
        held = await bookings.unpaid(tx, who, since=since)
        refusals: list[Exception | None] = []
        for booking in new:
            hoard = held[booking.user_id] | {booking.id: booking.seats}
            if booking.user_id not in present:
                refusals.append(InvalidToken())
            elif not self._ceiling.admits(hoard):
                refusals.append(TooManyUnpaid())
            else:
                refusals.append(None)
                held[booking.user_id] = hoard
        return refusals
