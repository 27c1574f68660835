"""Writing down how payments go on: all that wait, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.log import Entry
from skyhold.booking.models.payment import AT_REST, ONWARD, Payment, PaymentStatus
from skyhold.booking.repositories import booking_log, booking_moves, bookings, payments
from skyhold.kernel.batcher import Batcher
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, LostRace, Tx
from skyhold.kernel.failpoints import reach

from .events import Chronicle, Course
from .notes import paying_started


class NotStarted(Exception):
    """The booking was not payable any more when we came to it; rolls the new attempt back."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A booking and its last payment, as a transaction has just left them."""

    booking: Booking
    payment: Payment


@dataclass(frozen=True, slots=True)
class _Start:
    booking: Booking
    payment: Payment
    patience: timedelta
    entry: Entry


@dataclass(frozen=True, slots=True)
class _Move:
    booking: Booking
    payment: Payment
    reference: str | None


@dataclass(frozen=True, slots=True)
class _Capture:
    booking: Booking
    payment: Payment
    course: Course


_Note: TypeAlias = _Start | _Move | _Capture
_Outcome: TypeAlias = Standing | None


class Bookkeeper:
    """Writes the steps of payments down.

    Each is a guarded update. Of many together the number of rows decides: when all have moved, or
    none, each of them knows. When it was some, whose rows those are is not told, so the transaction
    is run again with a statement for each.
    """

    def __init__(
        self, db: Database, chronicle: Chronicle, clock: Clock, *, batch_max: int, waiting_max: int
    ) -> None:
        self._db = db
        self._chronicle = chronicle
        self._clock = clock
        self._notes: Batcher[_Note, _Outcome] = Batcher(
            self._write_all, name="payments", batch_max=batch_max, waiting_max=waiting_max
        )

    async def start(self, booking: Booking, payment: Payment, patience: timedelta) -> Standing:
        """Write a new attempt, with its booking held → paying.

        The driver's job looks after it once `patience` is over. Raises NotStarted, and Duplicate
        when its id or key is there already; then nothing was written.
        """
        entry = paying_started(booking.id, payment, self._clock.now())
        started = await self._notes.submit(_Start(booking, payment, patience, entry))
        assert started is not None, "it would have raised"
        return started

    async def move(
        self,
        booking: Booking,
        payment: Payment,
        new: PaymentStatus,
        *,
        reference: str | None = None,
    ) -> Standing | None:
        """The payment is one step further, and patience with the next one begins anew.

        `reference` is the provider's own id, when it has just told us. None when somebody else has
        moved the payment.
        """
        assert ONWARD[payment.status] is new is not PaymentStatus.CAPTURED, (
            f"{payment.status} -> {new}"
        )
        return await self._notes.submit(_Move(booking, payment, reference))

    async def capture(self, booking: Booking, payment: Payment) -> Standing | None:
        """Its money is collected and the booking confirmed, or None, as with `move`."""
        return await self._notes.submit(_Capture(booking, payment, Course.present()))

    async def close(self) -> None:
        """Let everything that waits be written."""
        await self._notes.close()

    async def _write_all(self, batch: Sequence[_Note]) -> Sequence[_Outcome]:
        groups = _alike(batch)

        async def write(tx: Tx) -> dict[int, _Outcome]:
            nonlocal groups
            outcomes: dict[int, _Outcome] = {}
            log: list[Entry] = []
            try:
                for group in groups:
                    found = await self._write(tx, [batch[index] for index in group], log)
                    outcomes |= zip(group, found, strict=True)
            except LostRace:
                groups = [[index] for index in range(len(batch))]
                raise
            if log:
                await booking_log.add(tx, *log)
            return outcomes

        outcomes = await self._db.transact(write)
        return [outcomes[index] for index in range(len(batch))]

    async def _write(self, tx: Tx, group: Sequence[_Note], log: list[Entry]) -> Sequence[_Outcome]:
        """Notes that are alike; what the log is to say of them is added to `log`."""
        if starts := [note for note in group if isinstance(note, _Start)]:
            return await self._start(tx, starts, log)
        return await self._step(tx, [note for note in group if not isinstance(note, _Start)], log)

    async def _start(
        self, tx: Tx, starts: Sequence[_Start], log: list[Entry]
    ) -> Sequence[Standing]:
        now = self._clock.now()
        due_at = now + starts[0].patience
        await payments.add(tx, *(start.payment for start in starts))
        if not await _are_paying(tx, starts, now, due_at):
            raise NotStarted
        log += [start.entry for start in starts]
        reach("pay.in_start")
        return [_paying(start.booking, start.payment, due_at) for start in starts]

    async def _step(
        self, tx: Tx, steps: Sequence[_Move | _Capture], log: list[Entry]
    ) -> Sequence[_Outcome]:
        now = self._clock.now()
        if not _all_or_none(await _stepped(tx, steps, now), len(steps)):
            return [None] * len(steps)
        moves = [step for step in steps if isinstance(step, _Move)]
        left = await _moved(tx, moves, now) if moves else {}
        if captures := [step for step in steps if isinstance(step, _Capture)]:
            left |= await self._confirm(tx, captures, now, log)
        return [left[step.payment.id] for step in steps]

    async def _confirm(
        self, tx: Tx, captures: Sequence[_Capture], now: datetime, log: list[Entry]
    ) -> dict[str, Standing]:
        """The bookings of payments that are captured, by the payments' ids."""
        confirmed = await _confirmed(tx, captures)
        paid = [_at(one.payment, PaymentStatus.CAPTURED, now) for one in captures]
        courses = [one.course for one in captures]
        log += await self._chronicle.tell_of_confirmed(
            tx, zip(confirmed, paid, courses, strict=True)
        )
        reach("pay.in_succeed")
        return {
            one.id: Standing(booking, one) for booking, one in zip(confirmed, paid, strict=True)
        }


def _alike(batch: Sequence[_Note]) -> list[list[int]]:
    """Which of them one statement can write: the places of each such group."""
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for index, note in enumerate(batch):
        groups[_kind(note)].append(index)
    return list(groups.values())


def _kind(note: _Note) -> object:
    if isinstance(note, _Start):
        return _Start, note.patience
    if isinstance(note, _Move) and note.reference is not None:
        return note.payment.id  # what the provider calls a payment is its own
    return None  # a step further, from wherever each of them stands


def _all_or_none(moved: int, wanted: int) -> bool:
    """Whether all have moved, or none. Raises LostRace when it was some of them."""
    if 0 < moved < wanted:
        raise LostRace
    return moved == wanted


async def _are_paying(tx: Tx, starts: Sequence[_Start], now: datetime, due_at: datetime) -> bool:
    if len(starts) == 1:
        booking, payment = starts[0].booking, starts[0].payment
        return await booking_moves.start_paying(tx, booking.id, payment.id, now=now, due_at=due_at)
    pairs = {start.booking.id: start.payment.id for start in starts}
    return await booking_moves.start_all_paying(tx, pairs, now=now, due_at=due_at) == len(starts)


async def _stepped(tx: Tx, steps: Sequence[_Move | _Capture], now: datetime) -> int:
    one = steps[0]
    if isinstance(one, _Move) and one.reference is not None:
        old, new = one.payment.status, ONWARD[one.payment.status]
        return await payments.move(
            tx, one.payment.id, old, new, due_at=now, reference=one.reference
        )
    return await payments.step_all(tx, [step.payment for step in steps], due_at=now)


async def _moved(tx: Tx, moves: Sequence[_Move], now: datetime) -> dict[str, Standing]:
    """How payments that have moved leave their bookings and themselves, by the payments' ids."""
    # Of most nothing has failed yet, so there is nothing to forget.
    if impatient := [move.booking.id for move in moves if move.booking.attempts]:
        await booking_moves.forget_attempts(tx, impatient)
    reach("pay.in_move")
    return {
        move.payment.id: Standing(
            _patient(move.booking), _at(move.payment, ONWARD[move.payment.status], now)
        )
        for move in moves
    }


async def _confirmed(tx: Tx, captures: Sequence[_Capture]) -> Sequence[Booking]:
    """These bookings as they are, now that they are confirmed. Raises LostRace.

    One that somebody has changed since, by itself, is read again.
    """
    if await _are_confirmed(tx, captures):
        return [_at_rest(one.booking) for one in captures]
    if len(captures) > 1:
        raise LostRace
    booking = await bookings.by_id(tx, captures[0].booking.id)
    if booking is None or not await _are_confirmed(tx, [replace(captures[0], booking=booking)]):
        raise LostRace
    return [_at_rest(booking)]


async def _are_confirmed(tx: Tx, captures: Sequence[_Capture]) -> bool:
    """Paying → confirmed, if all of them are as they were known."""
    by_ver: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for one in captures:
        by_ver[one.booking.ver][one.booking.id] = one.payment.id
    moved = [await booking_moves.confirm_all(tx, pairs, ver) for ver, pairs in by_ver.items()]
    return sum(moved) == len(captures)


def _paying(booking: Booking, payment: Payment, due_at: datetime) -> Standing:
    paying = replace(
        booking,
        status=BookingStatus.PAYING,
        active_payment_id=payment.id,
        due_at=due_at,
        attempts=0,
        ver=booking.ver + 1,
    )
    return Standing(paying, payment)


def _patient(booking: Booking) -> Booking:
    return replace(booking, attempts=0, ver=booking.ver + 1) if booking.attempts else booking


def _at(payment: Payment, new: PaymentStatus, now: datetime) -> Payment:
    rests = new in AT_REST
    return replace(
        payment,
        status=new,
        token="" if rests else payment.token,
        due_at=None if rests else now,
        attempts=0,
        next_action=None,
        ver=payment.ver + 1,
    )


def _at_rest(booking: Booking) -> Booking:
    return replace(
        booking,
        status=BookingStatus.CONFIRMED,
        active_payment_id=None,
        due_at=None,
        attempts=0,
        ver=booking.ver + 1,
    )
