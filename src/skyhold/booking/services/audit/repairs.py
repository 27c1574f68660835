"""Repairs: each one a guarded step, and never one that the driver can take.

Whatever the driver can carry on is only made due. A finding may be minutes old when somebody says
yes to its repair, so it is looked at once more, and nothing is done unless it is still so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from skyhold.booking import metrics
from skyhold.booking.clients.flights import HoldGone
from skyhold.booking.clients.payments.port import ProviderState
from skyhold.booking.errors import FlightRefusal
from skyhold.booking.metrics import RefundOutcome
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.facts import UNDER_WAY, BookingFacts, PaymentFacts
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.repositories import audit, booking_log, bookings, payments
from skyhold.booking.services.notes import money_due
from skyhold.booking.services.wake import Waker
from skyhold.contracts.holds import HoldStatus, HoldWanted, SegmentWanted
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Tx
from skyhold.kernel.errors import Problem
from skyhold.kernel.logging import get_logger

from .case import Case
from .kinds import Finding, Repair
from .look import NotCompared, Reader
from .money_rules import agrees
from .seat_rules import is_sold

log = get_logger(__name__)

# As long as can be: a hold that ended before it was confirmed could never be made again.
HOLD_AGAIN_S = 86_400
# Whoever is to have seats again has paid for them, and has not got the money back.
PAID = frozenset({ProviderState.AUTHORIZED, ProviderState.CAPTURED})


class Outcome(StrEnum):
    """What became of a repair."""

    DONE = "done"
    NOT_NEEDED = "not needed any more"
    NOT_POSSIBLE = "not possible"


class _Refused(Exception):
    """It cannot be done, for the reason given."""


@dataclass(frozen=True, slots=True)
class Repairer:
    """Carries out the repairs that findings name; safe beside everything else that is going on."""

    reader: Reader
    waker: Waker
    clock: Clock

    async def repair(self, finding: Finding) -> tuple[Outcome, str]:
        """Repair one disagreement if it is still there; what became of it, and why."""
        outcome, why = Outcome.DONE, ""
        try:
            if not await self._carry_out(finding):
                outcome = Outcome.NOT_NEEDED
        except (_Refused, FlightRefusal, HoldGone, NotCompared, Unknown, Problem) as error:
            outcome, why = Outcome.NOT_POSSIBLE, str(error) or repr(error)
        log.warning(
            "audit.repair",
            kind=finding.kind,
            repair=finding.repair,
            outcome=outcome,
            why=why,
            **finding.ids,
        )
        return outcome, why

    async def _carry_out(self, finding: Finding) -> bool:
        """Whether there was still something to be done, and it was."""
        assert finding.is_repairable, f"{finding.repair} is not for a machine"
        if finding.repair is Repair.WAKE_PAYMENT:
            return await self._wake(_named(finding.payment_id))
        case = await self._case(_named(finding.booking_id))
        match finding.repair:
            case Repair.MEND_CLAIMS:
                return await self._mend(case)
            case Repair.CANCEL_HOLD:
                return await self._cancel_hold(case)
            case _ if case.booking is not None:
                return await self._of_booking(case, case.booking, finding)
        return False

    async def _of_booking(self, case: Case, booking: BookingFacts, finding: Finding) -> bool:
        match finding.repair:
            case Repair.GIVE_SEATS_BACK:
                return await self._give_seats_back(case, booking)
            case Repair.LOOK_NOW:
                return await self._look_now(booking)
            case Repair.CONFIRM_HOLD | Repair.HOLD_AGAIN:
                return await self._take_seats(case)
        payment = next((one for one in case.payments if one.id == finding.payment_id), None)
        if payment is None:
            return False
        if finding.repair is Repair.VOID:
            return await self._void(booking, payment)
        return await self._refund(case, booking, payment)

    async def _case(self, id_: str) -> Case:
        """The booking as it stands now. Raises when it is being worked on in this moment."""
        cases = await self.reader.cases([id_])
        if not cases:
            msg = "it is moving just now; audit again"
            raise _Refused(msg)
        return cases[0]

    async def _wake(self, payment_id: str) -> bool:
        known = await self.reader.payments_by_ids([payment_id])
        if payment_id not in known:
            return False
        payment = known[payment_id]
        state = (await self.reader.states([payment]))[payment_id]
        if payment.due_at is None and agrees(payment.status, state):
            return False
        return await self.waker.wake(payment_id)

    async def _mend(self, case: Case) -> bool:
        if case.hold is None or not (case.hold.unclaimed or case.hold.surplus):
            return False
        needed = case.booking is not None and not case.booking.has_ended and not case.is_live
        if needed:
            msg = "these claims keep the seats of a live booking"
            raise _Refused(msg)
        await self.reader.flights.mend(case.id)
        return True

    async def _cancel_hold(self, case: Case) -> bool:
        if case.hold_status is not HoldStatus.CONFIRMED:
            return False
        if case.booking is not None:
            msg = "there is a booking by now"
            raise _Refused(msg)
        await self.reader.flights.cancel(case.id)
        return True

    async def _give_seats_back(self, case: Case, booking: BookingFacts) -> bool:
        if not (booking.has_ended and case.is_live) or booking.hold_open:
            return False
        now = self.clock.now()
        return await self.reader.db.transact(lambda tx: audit.reopen_hold(tx, booking, now))

    async def _look_now(self, booking: BookingFacts) -> bool:
        now = self.clock.now()
        held = booking.status is BookingStatus.HELD
        # For one that can still be paid there is nothing to be done before its deadline.
        due_at = max(now, booking.payment_required_by) if held else now
        if booking.due_at is not None and booking.due_at <= due_at:
            return False
        return await self.reader.db.transact(lambda tx: audit.make_due(tx, booking, due_at))

    async def _take_seats(self, case: Case) -> bool:
        """What the booking was promised, while nobody else has it; the flight service decides."""
        if not is_sold(case) or case.hold_status is HoldStatus.CONFIRMED:
            return False
        await self._check_paid(case)
        if case.hold is None:
            await self.reader.flights.hold(case.id, await self._wanted(case.id))
        await self.reader.flights.confirm(case.id)
        return True

    async def _check_paid(self, case: Case) -> None:
        """It may have been cancelled in the time that a restored database has lost."""
        paid = [
            one
            for one in case.payments
            if one.status in {PaymentStatus.CAPTURE_DUE, PaymentStatus.CAPTURED}
        ]
        states = await self.reader.states(paid)
        if not any(state in PAID for state in states.values()):
            msg = "the provider has no money for it (any more)"
            raise _Refused(msg)

    async def _wanted(self, booking_id: str) -> HoldWanted:
        async with self.reader.db.read() as tx:
            booking = await bookings.by_id(tx, booking_id)
        assert booking is not None, "bookings are never deleted"
        segments = [
            SegmentWanted(flight_id=one.flight_id, cabin=one.cabin, seats=one.seats)
            for one in booking.segments
        ]
        return HoldWanted(segments=segments, ttl_s=HOLD_AGAIN_S)

    async def _void(self, booking: BookingFacts, payment: PaymentFacts) -> bool:
        if payment.status not in UNDER_WAY or payment.id == booking.active_payment_id:
            return False
        return await self._move(booking, payment, PaymentStatus.VOID_DUE)

    async def _refund(self, case: Case, booking: BookingFacts, payment: PaymentFacts) -> bool:
        if payment.status is not PaymentStatus.CAPTURED:
            return False
        if not booking.has_ended:
            await self._check_paid_twice(case, payment)
        moved = await self._move(booking, payment, PaymentStatus.REFUND_DUE)
        if moved:
            metrics.refund(RefundOutcome.DUE)
        return moved

    async def _check_paid_twice(self, case: Case, payment: PaymentFacts) -> None:
        """The provider says so too, of this payment and of another one."""
        captured = [one for one in case.payments if one.status is PaymentStatus.CAPTURED]
        states = await self.reader.states(captured)
        there = {id_ for id_, state in states.items() if state is ProviderState.CAPTURED}
        if payment.id not in there or there == {payment.id}:
            msg = "the provider has not captured both"
            raise _Refused(msg)

    async def _move(self, booking: BookingFacts, payment: PaymentFacts, new: PaymentStatus) -> bool:
        now = self.clock.now()

        async def move(tx: Tx) -> bool:
            if not await payments.move(tx, payment.id, payment.status, new, due_at=now):
                return False
            if not await audit.touch(tx, booking):
                msg = "the booking has moved meanwhile; audit again"
                raise _Refused(msg)
            due = money_due(booking.id, booking.status, payment.id, new, now)
            await booking_log.add(tx, due)
            return True

        return await self.reader.db.transact(move)


def _named(id_: str | None) -> str:
    assert id_ is not None, "every repair is about something that has an id"
    return id_
