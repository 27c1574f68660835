"""The driver: takes every booking and payment one step further until it is at rest.

`advance` looks only at what is kept, makes one idempotent call outside, and applies one guarded
update. The request that starts a payment calls it at once; the job calls the same for whatever is
due. Recovery after a crash is therefore not a path of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from skyhold.booking import metrics
from skyhold.booking.clients.flights import Flights, HoldGone, HoldIsConfirmed
from skyhold.booking.clients.payments.port import PaymentProvider, ProviderState
from skyhold.booking.metrics import PaymentOutcome
from skyhold.booking.models.booking import Booking, BookingStatus, Step, next_step
from skyhold.booking.models.payment import Failure, Payment, PaymentStatus
from skyhold.booking.repositories import bookings, payments
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, LostRace, Tx
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.logging import get_logger

from .events import Chronicle, Happened
from .patience import SET_ASIDE, about, answered_within, later, report
from .settle import Settler

log = get_logger(__name__)

STEPS_MAX = 8
PAYING_BACKOFF_MAX_S = 15

# What a provider may answer to an authorisation that is as good as a yes: a repeat may find it
# captured already.
RESERVED = frozenset({ProviderState.AUTHORIZED, ProviderState.CAPTURED})
REFUSED = frozenset({ProviderState.DECLINED, ProviderState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Driver:
    """Carries bookings and payments on; safe to run in any number of places at once."""

    db: Database
    flights: Flights
    provider: PaymentProvider
    chronicle: Chronicle
    clock: Clock
    settler: Settler
    provider_timeout_s: float
    give_up_after_s: int

    async def settle(self, booking_id: str) -> None:
        """Advance a booking, and what is owed for it, until it rests or someone must be awaited."""
        for _ in range(STEPS_MAX):
            if not await self.advance(booking_id):
                break
        async with self.db.read() as tx:
            owing = await payments.owing(tx, booking_id)
        for payment in owing:
            await self.settler.advance(payment.id)

    async def advance(self, booking_id: str) -> bool:
        """One step for a booking; False when there is none, or the other side did not answer."""
        with about(booking_id):
            return await self._advance(booking_id)

    async def _advance(self, booking_id: str) -> bool:
        now = self.clock.now()
        try:
            booking, payment, step = await self._next(booking_id, now)
        except Unavailable:  # the database's trouble, not the row's: it is still due
            return False
        except Exception:
            log.exception("booking.unreadable")
            await self.db.transact(
                lambda tx: bookings.set_aside(tx, booking_id, now=now, due_at=later(now, SET_ASIDE))
            )
            return False
        if booking is None:
            return False
        if step is None:
            if booking.due_at is not None and booking.due_at <= now:
                puzzle = Unknown(f"due, but nothing to do for {booking.status}")
                await self._postpone_booking(booking, payment, "none", puzzle)
            return False
        try:
            await self._take(step, booking, payment)
        except Exception as error:  # noqa: BLE001 - whatever it was, the row must not come first again
            await self._postpone_booking(booking, payment, step, error)
            return False
        return True

    async def _next(
        self, booking_id: str, now: datetime
    ) -> tuple[Booking | None, Payment | None, Step | None]:
        """A booking, its active payment, and what is to be done for it."""
        async with self.db.read() as tx:
            booking = await bookings.by_id(tx, booking_id)
            if booking is None:
                return None, None, None
            active = booking.active_payment_id
            payment = None if active is None else await payments.by_id(tx, active)
        step = next_step(booking, payment, now, give_up_after_s=self.give_up_after_s)
        return booking, payment, step

    async def _take(self, step: Step, booking: Booking, payment: Payment | None) -> None:
        if step is Step.EXPIRE:
            await self._expire(booking)
        elif step is Step.RELEASE:
            await self._release(booking)
        else:
            assert payment is not None, f"{step} without a payment"
            match step:
                case Step.AUTHORISE:
                    await self._authorise(booking, payment)
                case Step.GIVE_UP:
                    await self._give_up(booking, payment)
                case Step.CONFIRM_SEATS:
                    await self._confirm_seats(booking, payment)
                case Step.CAPTURE:
                    await self._capture(booking, payment)

    async def _expire(self, booking: Booking) -> None:
        now = self.clock.now()

        async def expire(tx: Tx) -> bool:
            moved = await bookings.expire(tx, booking.id, now=now)
            if moved:
                await self.chronicle.tell(tx, booking.id, Happened.EXPIRED)
            return moved

        if await self.db.transact(expire):
            metrics.moved(BookingStatus.HELD, BookingStatus.EXPIRED)
            log.info("booking.expired")

    async def _release(self, booking: Booking) -> None:
        # A booking that has ended can never be paid any more, so its seats go back even when the
        # hold was confirmed.
        await self.flights.cancel(booking.id)
        await self.db.transact(lambda tx: bookings.close_hold(tx, booking.id))

    async def _authorise(self, booking: Booking, payment: Payment) -> None:
        async with answered_within(self.provider_timeout_s):
            state = await self.provider.authorise(payment.id, payment.amount, payment.token)
        if state in RESERVED:
            await self._move_payment(booking, payment, PaymentStatus.AUTHORIZED)
        elif state in REFUSED:
            await self._fail(booking, payment, Failure.DECLINED, BookingStatus.HELD)
        else:
            msg = f"the provider says {state} to an authorisation"
            raise Unknown(msg)

    async def _confirm_seats(self, booking: Booking, payment: Payment) -> None:
        try:
            await self.flights.confirm(booking.id)
        except HoldGone:
            await self._fail(booking, payment, Failure.SEATS_GONE, BookingStatus.EXPIRED)
        else:
            await self._move_payment(booking, payment, PaymentStatus.CAPTURE_DUE)

    async def _capture(self, booking: Booking, payment: Payment) -> None:
        async with answered_within(self.provider_timeout_s):
            state = await self.provider.capture(payment.id)
        if state is ProviderState.CAPTURED:
            await self._succeed(booking, payment)
        elif state in REFUSED | {ProviderState.CAPTURE_REFUSED}:
            await self._fail(booking, payment, Failure.CAPTURE_REFUSED, BookingStatus.CANCELLED)
        else:
            msg = f"the provider says {state} to a capture"
            raise Unknown(msg)

    async def _give_up(self, booking: Booking, payment: Payment) -> None:
        """The authorisation never answered.

        The flight service is the arbiter: once the seats are back, nothing can be captured for
        them any more.
        """
        try:
            await self.flights.release(booking.id)
        except HoldIsConfirmed as error:
            msg = "the seats are confirmed although the payment was never authorised"
            raise Unknown(msg) from error
        await self._fail(booking, payment, Failure.NO_ANSWER, BookingStatus.EXPIRED)

    async def _succeed(self, booking: Booking, payment: Payment) -> None:
        now = self.clock.now()

        async def succeed(tx: Tx) -> bool:
            if not await payments.move(
                tx, payment.id, PaymentStatus.CAPTURE_DUE, PaymentStatus.CAPTURED, due_at=now
            ):
                return False
            confirmed = BookingStatus.CONFIRMED
            if not await bookings.stop_paying(tx, booking.id, payment.id, confirmed, due_at=None):
                raise LostRace
            await self.chronicle.tell(tx, booking.id, Happened.CONFIRMED)
            return True

        if await self.db.transact(succeed):
            metrics.moved(BookingStatus.PAYING, BookingStatus.CONFIRMED)
            metrics.payment(PaymentOutcome.CAPTURED)
            log.info("booking.confirmed", payment_id=payment.id)

    async def _fail(
        self, booking: Booking, payment: Payment, why: Failure, new: BookingStatus
    ) -> None:
        """This attempt has ended: void it, and take the booking where that leaves it."""
        now = self.clock.now()
        # Held again, the booking waits for its deadline; ended, for its seats to be given back.
        due_at = booking.payment_required_by if new is BookingStatus.HELD else now

        async def fail(tx: Tx) -> bool:
            if not await payments.move(
                tx, payment.id, payment.status, PaymentStatus.VOID_DUE, due_at=now, failure=why
            ):
                return False
            if not await bookings.stop_paying(tx, booking.id, payment.id, new, due_at=due_at):
                raise LostRace
            await self.chronicle.tell(tx, booking.id, _TOLD[new])
            return True

        if await self.db.transact(fail):
            metrics.moved(BookingStatus.PAYING, new)
            metrics.payment(why)
            log.info("payment.failed", payment_id=payment.id, why=why)

    async def _move_payment(self, booking: Booking, payment: Payment, new: PaymentStatus) -> None:
        """The payment is one step further, and patience with the next one begins anew."""
        now = self.clock.now()

        async def move(tx: Tx) -> None:
            if await payments.move(tx, payment.id, payment.status, new, due_at=now):
                await bookings.forget_attempts(tx, booking.id)

        await self.db.transact(move)

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
                give_up_at = booking.payment_required_by + timedelta(seconds=self.give_up_after_s)
                due_at = min(due_at, max(give_up_at, now + timedelta(seconds=1)))
        await self.db.transact(
            lambda tx: bookings.postpone(tx, booking.id, booking.ver, due_at=due_at)
        )


_TOLD = {
    BookingStatus.HELD: Happened.PAYMENT_DECLINED,
    BookingStatus.EXPIRED: Happened.EXPIRED,
    BookingStatus.CANCELLED: Happened.CANCELLED,
}
