"""Reading bookings and cancelling them."""

from __future__ import annotations

from skyhold.booking.errors import (
    BookingNotFound,
    DepartedAlready,
    IllegalTransition,
    PaymentInProgress,
)
from skyhold.booking.models.booking import Booking, BookingStatus, Position
from skyhold.booking.models.log import Actor
from skyhold.booking.repositories import bookings, payments
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.failpoints import reach
from skyhold.kernel.identity import Identity
from skyhold.kernel.logging import get_logger

from .advance import Driver
from .book import Booked
from .cancel import call_off, count_called_off
from .events import Chronicle
from .look import View, Views
from .pay import Paid
from .timeline import Timelines, is_accessible

log = get_logger(__name__)

RACES_MAX = 3


class Bookings:
    """What people do with bookings, apart from making and paying them.

    Their own; staff with anybody's, and then it is in the log before they are answered.
    """

    def __init__(
        self,
        db: Database,
        views: Views,
        driver: Driver,
        chronicle: Chronicle,
        timelines: Timelines,
        clock: Clock,
    ) -> None:
        self._db = db
        self._views = views
        self._driver = driver
        self._chronicle = chronicle
        self._timelines = timelines
        self._clock = clock

    async def get(self, person: Identity, booking_id: str) -> View:
        """A booking. Raises BookingNotFound, also for what is not theirs to see."""
        view = await self._look(person, booking_id)
        await self._timelines.note_view(person, view.booking)
        return view

    async def just_booked(self, person: Identity, booked: Booked) -> View:
        """A booking that was made a moment ago, or found to be there already."""
        if booked.replayed:
            return await self.get(person, booked.booking.id)
        return View(booked.booking, None, self._clock.now())

    def just_paid(self, paid: Paid) -> View:
        """A booking of which its owner has just been told how its payment stands."""
        return View(paid.booking, paid.payment, self._clock.now())

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

    async def cancel(self, person: Identity, booking_id: str) -> View:
        """Cancel a booking, give its seats back and refund what was paid; again and again.

        Raises BookingNotFound, PaymentInProgress, IllegalTransition for an expired booking, and
        DepartedAlready once the journey has begun.
        """
        for _ in range(RACES_MAX):
            booking = (await self._look(person, booking_id)).booking
            if booking.status is BookingStatus.CANCELLED:
                return await self.get(person, booking_id)
            self._check_cancellable(booking)
            if await self._cancel(person, booking):
                count_called_off(booking)
                log.info("booking.cancelled", booking_id=booking_id, was=booking.status)
                await self._driver.settle(booking_id)
                return await self._look(person, booking_id)
        raise PaymentInProgress

    async def _look(self, person: Identity, booking_id: str) -> View:
        view = await self._views.of(booking_id)
        if view is None or not is_accessible(person, view.booking):
            raise BookingNotFound
        return view

    async def close(self) -> None:
        """Let everybody who looks have their answer."""
        await self._views.close()

    def _check_cancellable(self, booking: Booking) -> None:
        if booking.status is BookingStatus.PAYING:
            raise PaymentInProgress
        if booking.status is BookingStatus.EXPIRED:
            raise IllegalTransition("The booking has expired; there is nothing left to cancel.")
        if not booking.is_cancellable(self._clock.now()):
            raise DepartedAlready

    async def _cancel(self, person: Identity, booking: Booking) -> bool:
        """One row, one winner: False when the booking has moved on meanwhile."""
        now = self._clock.now()
        own = booking.user_id == person.user_id
        by = Actor.customer(person.user_id) if own else Actor.staff(person.user_id)

        async def cancel(tx: Tx) -> bool:
            called_off = await call_off(tx, booking, self._chronicle, now, by=by)
            reach("cancel.in_cancel")
            return called_off

        called_off = await self._db.transact(cancel)
        reach("cancel.cancelled")
        return called_off
