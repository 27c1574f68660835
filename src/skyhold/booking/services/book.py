"""Booking seats: hold them first, then write the booking down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from skyhold.booking import metrics
from skyhold.booking.clients.flights import Flights, HoldGone
from skyhold.booking.errors import (
    FlightRefusal,
    FlightServiceUnavailable,
    HoldExpired,
    IdempotencyKeyReused,
    TooManyUnpaid,
)
from skyhold.booking.models.booking import Booking, BookingStatus, Passenger
from skyhold.booking.repositories import bookings
from skyhold.contracts.holds import Hold, HoldWanted, SegmentWanted
from skyhold.kernel.background import Background
from skyhold.kernel.client import NotTried, Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate, OutcomeUnknown
from skyhold.kernel.failpoints import reach
from skyhold.kernel.ids import derived_id, new_id, new_locator
from skyhold.kernel.logging import get_logger
from skyhold.kernel.money import WireMoney

from .hoarding import Hoarding
from .patience import about
from .record import Recorder

log = get_logger(__name__)

# How many holds of one idempotency key may end without a booking before we give up on it.
KEY_ATTEMPTS_MAX = 20
LOCATOR_ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants. `digest` tells this request from another one under the same key.

    It is None of a request without a key.
    """

    segments: tuple[SegmentWanted, ...]
    passengers: tuple[Passenger, ...]
    expected_total: WireMoney | None
    digest: str | None

    @property
    def seats(self) -> int:
        """How many seats it takes, on all its flights together."""
        return sum(segment.party for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Booked:
    """The booking, and whether it was there already."""

    booking: Booking
    replayed: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a promise lasts, and how much longer its hold."""

    payment_window_s: int
    hold_grace_s: int


class Booker:
    """Makes bookings.

    The hold carries the booking's id, so asking for it twice is harmless. Whatever happens between
    the hold and the record, nothing has to be cleaned up: the hold's own time frees the seats.
    """

    def __init__(
        self,
        db: Database,
        flights: Flights,
        clock: Clock,
        background: Background,
        recorder: Recorder,
        hoarding: Hoarding,
        limits: Limits,
    ) -> None:
        self._db = db
        self._flights = flights
        self._clock = clock
        self._background = background
        self._hold_ttl_s = limits.payment_window_s + limits.hold_grace_s
        self._grace = timedelta(seconds=limits.hold_grace_s)
        self._recorder = recorder
        self._hoarding = hoarding

    async def book(self, user_id: str, order: Order, key: str | None) -> Booked:
        """Hold the seats and record the booking.

        Raises FlightRefusal when the seats cannot be had, TooManyUnpaid when the user holds enough,
        IdempotencyKeyReused when `key` stands for another request, HoldExpired when a retry came
        too late for its hold, and FlightServiceUnavailable when nobody knows; then nothing was
        booked.
        """
        assert key is None or order.digest is not None, "a key is for a request that is known again"
        if key is None:
            try:
                return await self._attempt(new_id(), user_id, order, None)
            except HoldGone:  # its clock jumped between two repeats of our call
                raise HoldExpired from None
        for attempt in range(KEY_ATTEMPTS_MAX):
            if known := await self._under_key(user_id, key, order):
                return known
            try:
                booking_id = derived_id(user_id, key, str(attempt))
                return await self._attempt(booking_id, user_id, order, key)
            except HoldGone:
                # That hold ended without a booking, so its id is spent; the next one is not.
                continue
            except (FlightServiceUnavailable, TooManyUnpaid):
                # A twin of this request may have booked meanwhile, and even paid.
                if known := await self._under_key(user_id, key, order):
                    return known
                raise
        raise HoldExpired

    async def close(self) -> None:
        """Let every waiting booking be recorded."""
        await self._hoarding.close()
        await self._recorder.close()

    async def _attempt(
        self, booking_id: str, user_id: str, order: Order, key: str | None
    ) -> Booked:
        with about(booking_id), self._hoarding.begun(user_id, booking_id, order.seats) as begun:
            await self._hoarding.check(user_id, begun)
            return await self._book(booking_id, user_id, order, key)

    async def _book(self, booking_id: str, user_id: str, order: Order, key: str | None) -> Booked:
        # The deadline is counted from before the call: however long the answer takes, or this
        # process sleeps, the hold outlives what we promise.
        called_at = self._clock.now()
        reach("book.before_hold")
        hold = await self._hold(booking_id, order, key)
        reach("book.held")
        assert hold.expires_in_s is not None, "the client refuses any other answer"
        left_s = min(hold.expires_in_s, self._hold_ttl_s)  # never more than was asked for
        deadline = called_at + timedelta(seconds=left_s) - self._grace
        # Nobody pays for a flight that has left.
        deadline = min(deadline, hold.segments[0].departing_at)
        if deadline <= self._clock.now():
            self._let_go(booking_id, key)
            raise HoldExpired
        booking = _held(booking_id, user_id, order, key, hold, deadline, self._clock.now())
        return await self._record(booking, order)

    async def _hold(self, booking_id: str, order: Order, key: str | None) -> Hold:
        wanted = HoldWanted(
            segments=list(order.segments),
            ttl_s=self._hold_ttl_s,
            expected_total=order.expected_total,
        )
        try:
            return await self._flights.hold(booking_id, wanted)
        except FlightRefusal as refusal:
            if refusal.code == "hold_request_differs":
                raise IdempotencyKeyReused from refusal
            raise
        except asyncio.CancelledError:  # nobody waits any more; the seats may be held all the same
            self._let_go(booking_id, key)
            raise
        except NotTried as error:
            raise FlightServiceUnavailable from error
        except Unknown as error:
            self._let_go(booking_id, key)
            raise FlightServiceUnavailable from error

    async def _record(self, booking: Booking, order: Order) -> Booked:
        for _ in range(LOCATOR_ATTEMPTS_MAX):
            try:
                await self._recorder.record(booking)
            except Duplicate:
                if known := await self._same(booking, order):
                    return known
                booking = replace(booking, record_locator=new_locator())
            except OutcomeUnknown:
                raise
            except Exception:  # whatever else it was, nothing was written
                self._let_go(booking.id, booking.idempotency_key)
                raise
            else:
                metrics.booked()
                log.info("booking.held", seats=booking.seats)
                return Booked(booking, replayed=False)
        self._let_go(booking.id, booking.idempotency_key)
        raise FlightServiceUnavailable

    def _let_go(self, booking_id: str, key: str | None) -> None:
        """Give the seats back, if nobody can come back for them.

        Under a key somebody can: a release that overtakes the retry's record would take away seats
        that were promised. That hold is left to its time. And it is a plain release, which never
        touches a hold that was confirmed after all.
        """
        if key is None:
            self._background.spawn(self._give_back(booking_id), name="let_go")

    async def _give_back(self, booking_id: str) -> None:
        reach("book.before_give_back")
        await self._flights.release(booking_id)
        reach("book.given_back")

    async def _under_key(self, user_id: str, key: str, order: Order) -> Booked | None:
        async with self._db.read() as tx:
            known = await bookings.by_key(tx, user_id, key)
        if known is None:
            return None
        if known.request_digest != order.digest:
            raise IdempotencyKeyReused
        return Booked(known, replayed=True)

    async def _same(self, booking: Booking, order: Order) -> Booked | None:
        """The booking that stood in the way, if it is this one: by its key, or by its id."""
        if booking.idempotency_key is not None:
            return await self._under_key(booking.user_id, booking.idempotency_key, order)
        async with self._db.read() as tx:
            known = await bookings.by_id(tx, booking.id)
        return None if known is None else Booked(known, replayed=True)


def _held(
    booking_id: str,
    user_id: str,
    order: Order,
    key: str | None,
    hold: Hold,
    deadline: datetime,
    now: datetime,
) -> Booking:
    assert hold.total is not None, "the client refuses any other answer"
    return Booking(
        id=booking_id,
        user_id=user_id,
        record_locator=new_locator(),
        idempotency_key=key,
        request_digest=order.digest if key is not None else None,
        status=BookingStatus.HELD,
        segments=tuple(hold.segments),
        passengers=order.passengers,
        total=hold.total.money(),
        payment_required_by=deadline,
        active_payment_id=None,
        hold_open=True,
        due_at=deadline,
        attempts=0,
        ver=1,
        created_at=now,
    )
