"""The driver: takes every booking and payment one step further until it is at rest.

`advance` looks only at what is kept, makes one idempotent call outside, and applies one guarded
update; what that has answered is kept, so it need not be read for the next step. The request that
starts a payment calls it at once; the job calls the same for whatever is due. Recovery after a
crash is therefore not a path of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from skyhold.booking import metrics
from skyhold.booking.clients.flights import Flights, HoldIsConfirmed
from skyhold.booking.models.booking import Booking, BookingStatus, Step, next_step
from skyhold.booking.models.log import SYSTEM
from skyhold.booking.models.payment import Payment
from skyhold.booking.repositories import booking_moves, bookings, payments
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.failpoints import reach
from skyhold.kernel.logging import get_logger

from .bookkeeping import Standing
from .collect import NO_MORE, ONWARD, Collector, Taken
from .events import Chronicle, Happened
from .patience import SET_ASIDE, about, later, next_look, report
from .settle import Settler

log = get_logger(__name__)

STEPS_MAX = 8
PAYING_BACKOFF_MAX_S = 15


@dataclass(frozen=True, slots=True)
class Driver:
    """Carries bookings and payments on; safe to run in any number of places at once."""

    db: Database
    flights: Flights
    chronicle: Chronicle
    clock: Clock
    collector: Collector
    settler: Settler

    async def settle(self, booking_id: str, known: Standing | None = None) -> Standing | None:
        """Advance a booking, and what is owed for it, until it rests or someone must be awaited.

        `known` is how the database has just said that it stands. Answers the same when that is how
        it has been confirmed.
        """
        with about(booking_id):
            for _ in range(STEPS_MAX):
                taken = await self._take_next(booking_id, known)
                known = taken.left
                if known is not None and known.booking.status is BookingStatus.CONFIRMED:
                    return known
                if not taken.more:
                    break
        async with self.db.read() as tx:
            owing = await payments.owing(tx, booking_id)
        for payment in owing:
            await self.settler.advance(payment.id)
        return None

    async def advance(self, booking_id: str) -> bool:
        """One step for a booking; False when there is none, or the other side did not answer."""
        with about(booking_id):
            return (await self._take_next(booking_id, None)).more

    async def _take_next(self, booking_id: str, known: Standing | None) -> Taken:
        now = self.clock.now()
        try:
            booking, payment, step = await self._next(booking_id, known, now)
        except Unavailable:  # the database's trouble, not the row's: it is still due
            return NO_MORE
        except Exception:
            log.exception("booking.unreadable")
            await self.db.transact(
                lambda tx: booking_moves.set_aside(
                    tx, booking_id, now=now, due_at=later(now, SET_ASIDE)
                )
            )
            return NO_MORE
        if booking is None:
            return NO_MORE
        if step is None:
            if booking.due_at is not None and booking.due_at <= now:
                puzzle = Unknown(f"due, but nothing to do for {booking.status}")
                await self._postpone_booking(booking, payment, "none", puzzle)
            return NO_MORE
        try:
            return await self._take(step, booking, payment)
        except Exception as error:  # noqa: BLE001 - whatever it was, the row must not come first again
            await self._postpone_booking(booking, payment, step, error)
            return NO_MORE

    async def _next(
        self, booking_id: str, known: Standing | None, now: datetime
    ) -> tuple[Booking | None, Payment | None, Step | None]:
        """A booking, its active payment, and what is to be done for it."""
        booking: Booking | None
        payment: Payment | None
        if known is None:
            booking, payment = await self._read(booking_id)
        else:
            booking, payment = known.booking, known.payment
        if booking is None:
            return None, None, None
        step = next_step(booking, payment, now, give_up_after_s=self.collector.give_up_after_s)
        return booking, payment, step

    async def _read(self, booking_id: str) -> tuple[Booking | None, Payment | None]:
        async with self.db.read() as tx:
            booking = await bookings.by_id(tx, booking_id)
            active = None if booking is None else booking.active_payment_id
            return booking, None if active is None else await payments.by_id(tx, active)

    async def _take(self, step: Step, booking: Booking, payment: Payment | None) -> Taken:
        """Take this step."""
        if step is Step.EXPIRE:
            await self._expire(booking)
            return ONWARD
        if step is Step.RELEASE:
            await self._release(booking)
            return ONWARD
        assert payment is not None, f"{step} without a payment"
        match step:
            case Step.AUTHORISE:
                return await self.collector.authorise(booking, payment)
            case Step.GIVE_UP:
                return await self.collector.give_up(booking, payment)
            case Step.CONFIRM_SEATS:
                return await self.collector.confirm_seats(booking, payment)
            case Step.CAPTURE:
                return await self.collector.capture(booking, payment)

    async def _expire(self, booking: Booking) -> None:
        now = self.clock.now()

        async def expire(tx: Tx) -> bool:
            moved = await booking_moves.expire(tx, booking.id, now=now)
            if moved:
                await self._tell_expired(tx, booking.id)
            reach("expire.in_expire")
            return moved

        if await self.db.transact(expire):
            reach("expire.expired")
            metrics.moved(BookingStatus.HELD, BookingStatus.EXPIRED)
            log.info("booking.expired")

    async def _tell_expired(self, tx: Tx, booking_id: str) -> None:
        expired, held = Happened.EXPIRED, BookingStatus.HELD
        await self.chronicle.tell(tx, booking_id, expired, by=SYSTEM, before=held)

    async def _release(self, booking: Booking) -> None:
        # A cancelled booking can never be paid any more, so its seats go back even when the hold
        # was confirmed. One that has expired never had a confirmed hold; if it has (a database
        # was restored), somebody has paid for these seats, and a person decides.
        reach("release.before_release")
        if booking.status is BookingStatus.CANCELLED:
            await self.flights.cancel(booking.id)
        else:
            await self._give_back(booking)
        reach("release.released")

        async def close(tx: Tx) -> None:
            await booking_moves.close_hold(tx, booking.id)
            reach("release.in_close")

        await self.db.transact(close)
        reach("release.closed")

    async def _give_back(self, booking: Booking) -> None:
        try:
            await self.flights.release(booking.id)
        except HoldIsConfirmed as error:
            msg = "the seats of an expired booking are confirmed; see `skyhold audit`"
            raise Unknown(msg) from error

    async def _postpone_booking(
        self, booking: Booking, payment: Payment | None, step: str, error: Exception
    ) -> None:
        report("booking", booking.id, booking.attempts, step, error)
        now = self.clock.now()
        due_at = later(now, booking.attempts)
        if payment is not None:
            # While seats are held for a payment there is no time for long pauses, and an
            # authorisation that does not answer is given up when its time is over, not later.
            due_at = min(due_at, now + timedelta(seconds=PAYING_BACKOFF_MAX_S))
            if step == Step.AUTHORISE:
                due_at = next_look(now, due_at - now, self.collector.gives_up_at(booking))

        async def postpone(tx: Tx) -> None:
            await booking_moves.postpone(tx, booking.id, booking.ver, due_at=due_at)
            reach("pay.in_postpone")

        await self.db.transact(postpone)
        reach("pay.postponed")
