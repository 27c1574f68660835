"""Looking bookings up: all that are asked for at the same time, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from skyhold.booking.models.booking import Booking
from skyhold.booking.models.payment import Payment
from skyhold.booking.repositories import bookings, payments
from skyhold.kernel.batcher import PATIENCE_S, Batcher
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database


@dataclass(frozen=True, slots=True)
class View:
    """A booking with its last payment, as it stood at `at`."""

    booking: Booking
    payment: Payment | None
    at: datetime


class _Asked(NamedTuple):
    booking_id: str
    with_payment: bool


class Views:
    """Bookings by their ids, whoever owns them: that is for the caller to look at."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._batcher: Batcher[_Asked, View | None] = Batcher(
            self._look_up, name="views", patience_s=PATIENCE_S
        )

    async def of(self, booking_id: str) -> View | None:
        """The booking as it stands after this call began; None when there is none."""
        return await self._batcher.submit(_Asked(booking_id, with_payment=True))

    async def booking(self, booking_id: str) -> Booking | None:
        """The same for who does not ask how it was paid."""
        view = await self._batcher.submit(_Asked(booking_id, with_payment=False))
        return None if view is None else view.booking

    async def close(self) -> None:
        """Let everybody who waits have their answer."""
        await self._batcher.close()

    async def _look_up(self, asked: Sequence[_Asked]) -> Sequence[View | None]:
        with_payment = {one.booking_id for one in asked if one.with_payment}
        async with self._db.read() as tx:
            found = await bookings.by_ids(tx, {one.booking_id for one in asked})
            paid = await payments.latest(tx, found.keys() & with_payment)
        now = self._clock.now()
        views = {id_: View(booking, paid.get(id_), now) for id_, booking in found.items()}
        return [views.get(one.booking_id) for one in asked]
