"""The steps of a payment: authorise, make the seats final, capture; or give up.

Each makes one idempotent call outside and applies one guarded update. Without a clear answer it
raises, and nothing has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from skyhold.booking import metrics
from skyhold.booking.clients.flights import Flights, HoldGone, HoldIsConfirmed
from skyhold.booking.clients.payments.port import Answer, PaymentProvider, ProviderState, charge_for
from skyhold.booking.metrics import PaymentOutcome
from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.log import SYSTEM, Detail
from skyhold.booking.models.payment import Failure, Payment, PaymentStatus
from skyhold.booking.repositories import booking_moves, payments
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, LostRace, Tx
from skyhold.kernel.failpoints import reach
from skyhold.kernel.logging import get_logger

from .bookkeeping import Bookkeeper, Standing
from .events import Chronicle, Happened
from .patience import answered_within, next_look
from .wake import Waker

log = get_logger(__name__)

PAYER_POLL_S = 2
PAYER_POLL_MAX_S = 30

# What a provider may answer to an authorisation that is as good as a yes: a repeat may find it
# captured already.
RESERVED = frozenset({ProviderState.AUTHORIZED, ProviderState.CAPTURED})
REFUSED = frozenset({ProviderState.DECLINED, ProviderState.CANCELLED})
# And to a capture, so that there is no money for the seats; a person may have refunded it there.
NOT_COLLECTED = REFUSED | {ProviderState.CAPTURE_REFUSED, ProviderState.REFUNDED}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a step has come to.

    `left` is how it has left booking and payment, as far as the database's own answer has told;
    None says no more than that they have to be read. `more` is False when somebody else has to act
    before the next step.
    """

    more: bool
    left: Standing | None = None


ONWARD, NO_MORE = Taken(more=True), Taken(more=False)


@dataclass(frozen=True, slots=True)
class Collector:
    """Takes a payment further; safe to run in any number of places at once."""

    db: Database
    flights: Flights
    provider: PaymentProvider
    chronicle: Chronicle
    clock: Clock
    waker: Waker
    books: Bookkeeper
    provider_timeout_s: float
    give_up_after_s: int

    async def authorise(self, booking: Booking, payment: Payment) -> Taken:
        """Ask the provider to reserve the amount; no more for now when the payer has to act."""
        async with answered_within(self.provider_timeout_s):
            reach("pay.before_authorise")
            answer = await self.provider.authorise(charge_for(self.provider, payment))
            reach("pay.authorise_answered")
        heard = _heard(payment, answer)
        if answer.state in RESERVED:
            taken = await self._onward(booking, heard, PaymentStatus.AUTHORIZED)
            if taken.left is None:
                await self.waker.doubt(payment.id)
            return taken
        if answer.state in REFUSED:
            await self._fail(booking, heard, Failure.DECLINED, BookingStatus.HELD)
            return ONWARD
        if answer.state is ProviderState.REQUIRES_ACTION:
            await self._await_payer(booking, payment, heard)
            return NO_MORE
        if heard != payment:
            await self.db.transact(lambda tx: payments.hear(tx, heard))
        msg = f"the provider says {answer.state} to an authorisation"
        raise Unknown(msg)

    def gives_up_at(self, booking: Booking) -> datetime:
        """When an authorisation that has not succeeded by then is given up."""
        return booking.payment_required_by + timedelta(seconds=self.give_up_after_s)

    async def _await_payer(self, booking: Booking, payment: Payment, heard: Payment) -> None:
        """The provider waits for the payer, and so do we: nothing has failed."""
        # The longer it takes, the less often: who is gone must not keep the provider busy.
        now = self.clock.now()
        waited_s = (now - payment.created_at).total_seconds()
        pause = timedelta(seconds=min(max(PAYER_POLL_S, waited_s / 4), PAYER_POLL_MAX_S))
        due_at = next_look(now, pause, self.gives_up_at(booking))

        async def wait(tx: Tx) -> None:
            if heard != payment:
                await payments.hear(tx, heard)
            await booking_moves.postpone(tx, booking.id, booking.ver, due_at=due_at, failed=False)
            reach("pay.in_wait")

        await self.db.transact(wait)
        reach("pay.waits")

    async def confirm_seats(self, booking: Booking, payment: Payment) -> Taken:
        """Make the seats final, so that they cannot be lost once the money is collected."""
        try:
            reach("pay.before_confirm")
            await self.flights.confirm(booking.id)
            reach("pay.seats_confirmed")
        except HoldGone:
            reach("pay.seats_gone")
            await self._fail(booking, payment, Failure.SEATS_GONE, BookingStatus.EXPIRED)
            return ONWARD
        return await self._onward(booking, payment, PaymentStatus.CAPTURE_DUE)

    async def capture(self, booking: Booking, payment: Payment) -> Taken:
        """Collect the money; the last step, after which the booking is confirmed."""
        async with answered_within(self.provider_timeout_s):
            reach("pay.before_capture")
            answer = await self.provider.capture(charge_for(self.provider, payment))
            reach("pay.capture_answered")
        if answer.state is ProviderState.CAPTURED:
            return await self._succeed(booking, payment)
        if answer.state in NOT_COLLECTED:
            await self._fail(booking, payment, Failure.CAPTURE_REFUSED, BookingStatus.CANCELLED)
            return ONWARD
        msg = f"the provider says {answer.state} to a capture"
        raise Unknown(msg)

    async def give_up(self, booking: Booking, payment: Payment) -> Taken:
        """The authorisation never answered.

        The flight service is the arbiter: once the seats are back, nothing can be captured for
        them any more.
        """
        try:
            reach("give_up.before_release")
            await self.flights.release(booking.id)
            reach("give_up.released")
        except HoldIsConfirmed:
            # It was authorised and more, and we have forgotten it: a database was restored. The
            # provider knows how far it came, and from there it goes on.
            return replace(await self.authorise(booking, payment), more=True)
        await self._fail(booking, payment, Failure.NO_ANSWER, BookingStatus.EXPIRED)
        return ONWARD

    async def _onward(self, booking: Booking, payment: Payment, new: PaymentStatus) -> Taken:
        # A payment that was authorised before has its reference in its row.
        told = payment.reference if new is PaymentStatus.AUTHORIZED else None
        left = await self.books.move(booking, payment, new, reference=told)
        reach("pay.moved")
        return Taken(more=True, left=left)

    async def _succeed(self, booking: Booking, payment: Payment) -> Taken:
        paid = await self.books.capture(booking, payment)
        if paid is None:
            await self.waker.doubt(payment.id)
            return ONWARD
        reach("pay.succeeded")
        metrics.moved(BookingStatus.PAYING, BookingStatus.CONFIRMED)
        metrics.payment(PaymentOutcome.CAPTURED)
        log.info("booking.confirmed", payment_id=payment.id)
        return Taken(more=True, left=paid)

    async def _fail(
        self, booking: Booking, payment: Payment, why: Failure, new: BookingStatus
    ) -> None:
        """This attempt has ended: void it, and take the booking where that leaves it."""
        now = self.clock.now()
        # Held again, the booking waits for its deadline; ended, for its seats to be given back.
        due_at = booking.payment_required_by if new is BookingStatus.HELD else now

        async def fail(tx: Tx) -> bool:
            if not await payments.move(
                tx,
                payment.id,
                payment.status,
                PaymentStatus.VOID_DUE,
                due_at=now,
                failure=why,
                reference=payment.reference,
            ):
                return False
            if not await booking_moves.stop_paying(tx, booking.id, payment.id, new, due_at=due_at):
                raise LostRace
            await self.chronicle.tell(
                tx,
                booking.id,
                _TOLD[new],
                by=SYSTEM,
                before=BookingStatus.PAYING,
                detail=Detail(payment_id=payment.id, failure=why),
            )
            reach("pay.in_fail")
            return True

        if await self.db.transact(fail):
            reach("pay.failed")
            metrics.moved(BookingStatus.PAYING, new)
            metrics.payment(why)
            log.info("payment.failed", payment_id=payment.id, why=why)


def _heard(payment: Payment, answer: Answer) -> Payment:
    """The payment with what the provider has told of it; mostly that is nothing new."""
    reference = answer.reference or payment.reference
    if reference == payment.reference and answer.next_action == payment.next_action:
        return payment
    return replace(payment, reference=reference, next_action=answer.next_action)


_TOLD = {
    BookingStatus.HELD: Happened.PAYMENT_DECLINED,
    BookingStatus.EXPIRED: Happened.EXPIRED,
    BookingStatus.CANCELLED: Happened.CANCELLED,
}
