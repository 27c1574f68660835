"""Paying for a booking: authorise, make the seats final, capture; in this order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from skyhold.booking import metrics
from skyhold.booking.errors import (
    AlreadyCancelled,
    BookingNotFound,
    CaptureRefused,
    HoldExpired,
    IdempotencyKeyReused,
    PaymentDeclined,
    PaymentInProgress,
)
from skyhold.booking.metrics import PaymentOutcome
from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.payment import Failure, Payment, PaymentStatus
from skyhold.booking.repositories import bookings, payments
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate
from skyhold.kernel.failpoints import reach
from skyhold.kernel.ids import digest, new_id
from skyhold.kernel.logging import get_logger

from .advance import Driver
from .bookkeeping import Bookkeeper, NotStarted, Standing
from .look import Views

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """A customer's wish to pay for a booking with the provider's token."""

    booking_id: str
    token: str

    @property
    def digest(self) -> str:
        """Tells this wish from another one under the same idempotency key."""
        return digest([self.booking_id, self.token])


@dataclass(frozen=True, slots=True)
class Paid:
    """How the attempt stands. `settled` is False while the provider is still to be heard."""

    booking: Booking
    payment: Payment
    settled: bool
    was_paid_before: bool


class Cashier:
    """Takes payments."""

    def __init__(
        self,
        db: Database,
        views: Views,
        driver: Driver,
        books: Bookkeeper,
        clock: Clock,
        *,
        call_max_s: float,
    ) -> None:
        self._db = db
        self._views = views
        self._books = books
        self._driver = driver
        self._clock = clock
        self._call_max = timedelta(seconds=call_max_s)

    async def pay(self, user_id: str, wish: Wish, key: str | None) -> Paid:
        """Start a payment and drive it as far as the provider and the flight service answer.

        Raises BookingNotFound, PaymentDeclined (the booking stays payable), CaptureRefused,
        HoldExpired, AlreadyCancelled, PaymentInProgress, IdempotencyKeyReused.
        """
        booking = await self._owned(user_id, wish.booking_id)
        # Of one that is payable the key's own index tells, when the attempt is written. Of another
        # it is looked up after the booking: a twin that has moved it wrote its key before.
        if not booking.is_payable(self._clock.now()):
            if key is not None and (known := await self._under_key(user_id, key, wish)):
                return await self._outcome(known.id, was_paid_before=True)
            if booking.status is BookingStatus.CONFIRMED:
                return await self._paid_before(booking)
            self._check_payable(booking)
        payment = self._attempt(booking, wish, key)
        started = None
        try:
            started = await self._start(booking, payment)
        except NotStarted:
            return await self._lost(user_id, booking.id)
        except Duplicate:
            if not await self._is_written(payment):
                return await self._repeated(user_id, key, wish)
        metrics.moved(BookingStatus.HELD, BookingStatus.PAYING)
        metrics.payment(PaymentOutcome.STARTED)
        log.info("payment.started", booking_id=booking.id, payment_id=payment.id)
        paid = await self._driver.settle(booking.id, started)
        if paid is not None:
            return Paid(paid.booking, paid.payment, settled=True, was_paid_before=False)
        return await self._outcome(payment.id, was_paid_before=False)

    def _check_payable(self, booking: Booking) -> None:
        """The ladder of refusals for a booking that is not confirmed."""
        if booking.status is BookingStatus.PAYING:
            raise PaymentInProgress
        if booking.status is BookingStatus.CANCELLED:
            raise AlreadyCancelled
        if not booking.is_payable(self._clock.now()):
            raise HoldExpired

    def _attempt(self, booking: Booking, wish: Wish, key: str | None) -> Payment:
        now = self._clock.now()
        return Payment(
            id=new_id(),
            booking_id=booking.id,
            user_id=booking.user_id,
            idempotency_key=key,
            request_digest=wish.digest if key is not None else None,
            status=PaymentStatus.CREATED,
            failure=None,
            amount=booking.total,
            token=wish.token,
            due_at=now,
            attempts=0,
            created_at=now,
            provider=self._driver.collector.provider.name,
        )

    async def _start(self, booking: Booking, payment: Payment) -> Standing:
        """Intent first: once this is written, whoever finds it can carry it on."""
        # This request drives it from here; the job comes only if it has not got anywhere by then.
        started = await self._books.start(booking, payment, self._call_max)
        reach("pay.started")
        return started

    async def _lost(self, user_id: str, booking_id: str) -> Paid:
        """Someone or something was quicker: answer by what the booking has become."""
        booking = await self._owned(user_id, booking_id)
        if booking.status is BookingStatus.CONFIRMED:
            return await self._paid_before(booking)
        self._check_payable(booking)
        raise PaymentInProgress

    async def _repeated(self, user_id: str, key: str | None, wish: Wish) -> Paid:
        """The same key came twice at once, and the other one was first."""
        known = None if key is None else await self._under_key(user_id, key, wish)
        if known is None:
            raise PaymentInProgress
        return await self._outcome(known.id, was_paid_before=True)

    async def _is_written(self, payment: Payment) -> bool:
        """Whether it is our own attempt that stands in the way, committed by an earlier run."""
        async with self._db.read() as tx:
            return await payments.by_id(tx, payment.id) is not None

    async def _under_key(self, user_id: str, key: str, wish: Wish) -> Payment | None:
        async with self._db.read() as tx:
            known = await payments.by_key(tx, user_id, key)
        if known is not None and known.request_digest != wish.digest:
            raise IdempotencyKeyReused
        return known

    async def _owned(self, user_id: str, booking_id: str) -> Booking:
        booking = await self._views.booking(booking_id)
        if booking is None or booking.user_id != user_id:
            raise BookingNotFound
        return booking

    async def _paid_before(self, booking: Booking) -> Paid:
        async with self._db.read() as tx:
            payment = await payments.captured(tx, booking.id)
        if payment is None:  # cancelled in this very moment
            raise AlreadyCancelled
        return Paid(booking, payment, settled=True, was_paid_before=True)

    async def _outcome(self, payment_id: str, *, was_paid_before: bool) -> Paid:
        """What has become of an attempt."""
        async with self._db.read() as tx:
            payment = await payments.by_id(tx, payment_id)
            assert payment is not None, "attempts are never deleted"
            booking = await bookings.by_id(tx, payment.booking_id)
            assert booking is not None, "nor are bookings"
        match payment.failure:
            case Failure.DECLINED:
                raise PaymentDeclined
            case Failure.CAPTURE_REFUSED:
                raise CaptureRefused
            case Failure.SEATS_GONE | Failure.NO_ANSWER:
                raise HoldExpired
            case None:
                pass
        if payment.refund is not None:
            raise AlreadyCancelled
        settled = payment.status is PaymentStatus.CAPTURED
        return Paid(booking, payment, settled=settled, was_paid_before=was_paid_before and settled)
