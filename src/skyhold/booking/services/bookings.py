"""Reading bookings and cancelling them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from skyhold.booking.errors import (
    BookingNotFound,
    DepartedAlready,
    IllegalTransition,
    PaymentInProgress,
)
from skyhold.booking.models.booking import Booking, BookingStatus, Position
from skyhold.booking.models.payment import Payment
from skyhold.booking.repositories import bookings, payments
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.failpoints import reach
from skyhold.kernel.logging import get_logger

from .advance import Driver
from .book import Booked
from .cancel import call_off, count_called_off
from .events import Chronicle

log = get_logger(__name__)

RACES_MAX = 3


@dataclass(frozen=True, slots=True)
class View:
    """A booking with its last payment, as it stood at `at`."""

    booking: Booking
    payment: Payment | None
    at: datetime


class Bookings:
    """What owners do with their bookings, apart from making and paying them."""

    def __init__(self, db: Database, driver: Driver, chronicle: Chronicle, clock: Clock) -> None:
        self._db = db
        self._driver = driver
        self._chronicle = chronicle
        self._clock = clock

    async def get(self, user_id: str, booking_id: str) -> View:
        """A booking of this user. Raises BookingNotFound, also for somebody else's."""
        async with self._db.read() as tx:
            booking = await bookings.owned(tx, booking_id, user_id)
            if booking is None:
                raise BookingNotFound
            payment = (await payments.latest(tx, [booking_id])).get(booking_id)
        return View(booking, payment, self._clock.now())

    async def just_booked(self, booked: Booked) -> View:
        """A booking that was made a moment ago, or found to be there already."""
        if booked.replayed:
            return await self.get(booked.booking.user_id, booked.booking.id)
        return View(booked.booking, None, self._clock.now())

    async def page(
        self, user_id: str, *, status: BookingStatus | None, after: Position | None, limit: int
    ) -> tuple[list[View], Position | None]:
        """A page of this user's bookings, the newest first, and where to go on."""
        async with self._db.read() as tx:
            found = await bookings.of_user(tx, user_id, status=status, after=after, limit=limit + 1)
            page = found[:limit]
            paid = await payments.latest(tx, [booking.id for booking in page])
        views = [View(booking, paid.get(booking.id), self._clock.now()) for booking in page]
        more = len(found) > limit
        last = page[-1] if page else None
        return views, Position(last.created_at, last.id) if more and last else None

    async def cancel(self, user_id: str, booking_id: str) -> View:
        """Cancel a booking, give its seats back and refund what was paid; again and again.

        Raises BookingNotFound, PaymentInProgress, IllegalTransition for an expired booking, and
        DepartedAlready once the journey has begun.
        """
        for _ in range(RACES_MAX):
            booking = (await self.get(user_id, booking_id)).booking
            if booking.status is BookingStatus.CANCELLED:
                break
            self._check_cancellable(booking)
            if await self._cancel(booking):
                count_called_off(booking)
                log.info("booking.cancelled", booking_id=booking_id, was=booking.status)
                await self._driver.settle(booking_id)
                break
        else:
            raise PaymentInProgress
        return await self.get(user_id, booking_id)

    def _check_cancellable(self, booking: Booking) -> None:
        if booking.status is BookingStatus.PAYING:
            raise PaymentInProgress
        if booking.status is BookingStatus.EXPIRED:
            raise IllegalTransition("The booking has expired; there is nothing left to cancel.")
        if not booking.is_cancellable(self._clock.now()):
            raise DepartedAlready

    async def _cancel(self, booking: Booking) -> bool:
        """One row, one winner: False when the booking has moved on meanwhile."""
        now = self._clock.now()

        async def cancel(tx: Tx) -> bool:
            called_off = await call_off(tx, booking, self._chronicle, now)
            reach("cancel.in_cancel")
            return called_off

        called_off = await self._db.transact(cancel)
        reach("cancel.cancelled")
        return called_off
