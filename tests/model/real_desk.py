"""The real booking service's transactions, on rows that are put into any state of the model."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, update

from skyhold.booking.clients.flights import HoldGone
from skyhold.booking.clients.payments.port import Answer, ProviderState
from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.log import SYSTEM
from skyhold.booking.models.payment import Payment, PaymentStatus
from skyhold.booking.models.tables import OUTBOX, BookingRow, PaymentRow
from skyhold.booking.repositories import bookings, payments, users
from skyhold.booking.services.advance import Driver
from skyhold.booking.services.bookkeeping import Bookkeeper, NotStarted
from skyhold.booking.services.cancel import call_off
from skyhold.booking.services.collect import Collector
from skyhold.booking.services.events import Chronicle
from skyhold.booking.services.look import Views
from skyhold.booking.services.pay import Cashier
from skyhold.booking.services.settle import Settler
from skyhold.booking.services.wake import Waker
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from skyhold.kernel.outbox import Outbox

from . import world as model
from .real_rows import GIVE_UP_AFTER_S, START, a_booking, a_payment, a_user, moment

DEADLINE = 1
# The state of its payment in which the driver makes a call.
WAITED_IN = {
    "authorise": "created",
    "give_up": "created",
    "confirm": "authorized",
    "capture": "capture_due",
    "void": "void_due",
    "refund": "refund_due",
}
# What the provider says, for what the driver takes it for.
SAYS = {
    ("authorise", "yes"): ProviderState.AUTHORIZED,
    ("authorise", "no"): ProviderState.DECLINED,
    ("capture", "yes"): ProviderState.CAPTURED,
    ("capture", "no"): ProviderState.CAPTURE_REFUSED,
    ("void", "captured"): ProviderState.CAPTURED,
    ("void", "cancelled"): ProviderState.CANCELLED,
    ("refund", "refunded"): ProviderState.REFUNDED,
}


@dataclass
class Others:
    """The flight service and the provider: both say what they are told to."""

    answer: str = ""
    state: ProviderState | None = None
    has_now: ProviderState | None = None  # when it is asked where a payment stands
    name: str = "sandbox"

    async def confirm(self, _: str) -> None:
        if self.answer == "gone":
            raise HoldGone

    async def release(self, _: str) -> None:
        """It has ended."""

    async def cancel(self, what: str | object) -> Answer | None:
        """Of a hold, by its id, or of a charge."""
        return None if isinstance(what, str) else self._answer()

    async def authorise(self, _: object) -> Answer:
        return self._answer()

    async def capture(self, _: object) -> Answer:
        return self._answer()

    async def refund(self, _: object) -> Answer:
        return self._answer()

    async def get(self, _: object) -> Answer | None:
        return None if self.has_now is None else Answer(self.has_now)

    def _answer(self) -> Answer:
        assert self.state is not None
        return Answer(self.state)


class Desk:
    """One booking in a real database, and everything that the driver does with it."""

    def __init__(self, db: Database) -> None:
        self.db, self.clock, self.others = db, FrozenClock(START), Others()
        chronicle = Chronicle(Outbox(OUTBOX, "booking"), self.clock)
        books = Bookkeeper(db, chronicle, self.clock, batch_max=8, waiting_max=8)
        self.waker = Waker(db, self.others, self.clock, 10)
        self.collector = Collector(
            db,
            self.others,
            self.others,
            chronicle,
            self.clock,
            self.waker,
            books,
            10,
            GIVE_UP_AFTER_S,
        )
        self.settler = Settler(db, self.others, chronicle, self.clock, 10)
        self.driver = Driver(db, self.others, chronicle, self.clock, self.collector, self.settler)
        views = Views(db, self.clock)
        self.cashier = Cashier(db, views, self.driver, books, self.clock, call_max_s=10)
        self.chronicle = chronicle
        self.booking = a_booking(a_user(), deadline=moment(DEADLINE))

    async def open(self) -> None:
        async def write(tx: Any) -> None:
            await users.add(tx, a_user())
            await bookings.add(tx, [self.booking])

        await self.db.transact(write)

    async def put(self, booking: model.Booking, attempts: tuple[model.Payment | None, ...]) -> None:
        """Let the rows be as the model has them."""
        rows = [
            a_payment(self.booking, PaymentStatus(attempt.status), number)
            for number, attempt in enumerate(attempts)
            if attempt is not None
        ]
        now = update(BookingRow).values(
            status=booking.status,
            active_payment_id=None if booking.active is None else self.payment(booking.active).id,
            hold_open=booking.hold_open,
            due_at=self.booking.due_at,
            attempts=0,
            ver=1,
        )

        async def write(tx: Any) -> None:
            await tx.run(delete(PaymentRow))
            await tx.run(now)
            for row in rows:
                await payments.add(tx, row)

        await self.db.transact(write)

    async def look(self) -> tuple[tuple, tuple]:
        """The rows in the model's terms."""
        async with self.db.read() as tx:
            row = await bookings.by_id(tx, self.booking.id)
            found = await payments.of_booking(tx, self.booking.id)
        numbers = {payment.id: number for number, payment in enumerate(found)}
        active = None if row.active_payment_id is None else numbers[row.active_payment_id]
        attempts = tuple(payment.status.value for payment in found)
        return (row.status.value, active, row.hold_open), attempts

    def payment(self, number: int, status: str = "created") -> Payment:
        return a_payment(self.booking, PaymentStatus(status), number)

    async def acted_upon(self, what: str, number: int, answer: str) -> None:
        """A driver that read the rows while this step was due is answered only now."""
        self.others.answer, self.others.state = answer, SAYS.get((what, answer))
        payment = self.payment(number, WAITED_IN[what])
        read = replace(self.booking, status=BookingStatus.PAYING, active_payment_id=payment.id)
        match what:
            case "authorise":
                await self.collector.authorise(read, payment)
            case "confirm":
                await self.collector.confirm_seats(read, payment)
            case "capture":
                await self.collector.capture(read, payment)
            case "give_up":
                await self.collector.give_up(read, payment)
            case "void" | "refund":
                await self.settler._settle(payment)

    async def released(self) -> None:
        await self.driver._release(self.booking)

    def _let_it_be(self, now: int) -> None:
        self.clock.advance(seconds=(moment(now) - self.clock.now()).total_seconds())

    async def paying_started(self, number: int, now: int) -> None:
        self._let_it_be(now)
        with contextlib.suppress(NotStarted):
            await self.cashier._start(self.booking, self.payment(number))

    async def expired(self, now: int) -> None:
        self._let_it_be(now)
        await self.driver._expire(self.booking)

    async def woken(self, number: int, state: str | None) -> None:
        """A webhook or the audit speaks of a payment, and this is what the provider has."""
        self.others.has_now = None if state is None else ProviderState(state)
        await self.waker.wake(self.payment(number).id)
        self.others.has_now = None

    async def called_off(self, status: str) -> None:
        """By somebody who has read the booking as it is, if that can be called off at all."""
        if status not in {"held", "confirmed"}:
            return  # the ladder of refusals in `Bookings.cancel`
        read: Booking = replace(self.booking, status=BookingStatus(status))
        await self.db.transact(
            lambda tx: call_off(tx, read, self.chronicle, self.clock.now(), by=SYSTEM)
        )
