"""What people do with their own account: another password, all that is known of them, an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from skyhold.booking.errors import AccountInUse, WrongPassword
from skyhold.booking.models.booking import Booking, BookingStatus, Position
from skyhold.booking.models.log import Entry
from skyhold.booking.models.payment import Payment
from skyhold.booking.models.session import Session, SessionEnd
from skyhold.booking.models.user import User
from skyhold.booking.repositories import (
    booking_log,
    bookings,
    payments,
    personal,
    sessions,
    users,
)
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, ReadTx, Tx
from skyhold.kernel.identity import Identity
from skyhold.kernel.logging import get_logger
from skyhold.kernel.passwords import Hashed, Passwords

from .sessions import Sessions
from .throttle import Throttle

log = get_logger(__name__)

PAGE_MAX = 100
ENTRIES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A booking with every attempt to pay for it, and what was done to it."""

    booking: Booking
    payments: Sequence[Payment]
    log: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of a person, as it stood at `at`."""

    user: User
    sessions: Sequence[Session]
    bookings: Sequence[Kept]
    at: datetime


class Accounts:
    """Changes, tells and erases what is kept of a person."""

    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        sessions: Sessions,
        throttle: Throttle,
        clock: Clock,
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = throttle
        self._clock = clock

    async def change_password(
        self, person: Identity, old: str, new: str, address: str | None
    ) -> None:
        """Another password; every other session ends. Raises WrongPassword, TooManyAttempts."""
        user_id = person.user_id
        user = await self._verified(user_id, old, address)
        hashed = await self._passwords.hash(new)
        by = SessionEnd.PASSWORD_CHANGED

        async def change(tx: Tx) -> list[str]:
            if not await users.change_password(tx, user_id, old=user.password_hash, new=hashed):
                await self._check_changed_by_us(tx, user_id, hashed)
            now = self._clock.now()
            return await sessions.end_all(tx, user_id, by, now=now, but=person.session_id)

        self._sessions.have_ended(user_id, await self._db.transact(change), by)
        log.info("user.password_changed", user_id=user_id)

    async def delete(self, user_id: str, password: str, address: str | None) -> None:
        """Erase what is personal and end every session; ledger and log are kept, without names.

        Raises WrongPassword, TooManyAttempts, and AccountInUse while a booking of theirs is not
        over.
        """
        user = await self._verified(user_id, password, address)
        by = SessionEnd.ACCOUNT_DELETED

        async def delete(tx: Tx) -> list[str]:
            now = self._clock.now()
            if not await users.erase(tx, user_id, password_hash=user.password_hash, now=now):
                await self._check_erased(tx, user_id)
            if await self._is_in_use(tx, user_id, now):
                raise AccountInUse
            await personal.erase(tx, user_id)
            return await sessions.end_all(tx, user_id, by, now=now)

        self._sessions.have_ended(user_id, await self._db.transact(delete), by)
        log.info("user.deleted", user_id=user_id)

    async def export(self, user_id: str) -> Known:
        """Everything that is kept of a person, for that person."""
        now = self._clock.now()
        async with self._db.read() as tx:
            user = await users.by_id(tx, user_id)
            if user is None or user.erased_at is not None:
                raise InvalidToken
            theirs = await sessions.all_of_user(tx, user_id)
            return Known(user, theirs, await _bookings(tx, user_id), now)

    async def _verified(self, user_id: str, password: str, address: str | None) -> User:
        """The account, once the password has shown that it is its owner who asks."""
        await self._throttle.admit_password(user_id, address)
        async with self._db.read() as tx:
            user = await users.by_id(tx, user_id)
        if user is None or user.erased_at is not None:
            raise InvalidToken
        if not await self._passwords.matches(password, Hashed(user.password_hash, user.pepper_id)):
            raise WrongPassword
        await self._throttle.showed_password(user_id, address)
        return user

    async def _check_changed_by_us(self, tx: Tx, user_id: str, hashed: Hashed) -> None:
        """An earlier run of ours may have been committed; anybody else was quicker than we."""
        user = await users.by_id(tx, user_id)
        if user is None or user.password_hash != hashed.hash:
            raise WrongPassword

    async def _check_erased(self, tx: Tx, user_id: str) -> None:
        user = await users.by_id(tx, user_id)
        if user is None or user.erased_at is None:
            raise WrongPassword  # the password was changed meanwhile

    async def _is_in_use(self, tx: Tx, user_id: str, now: datetime) -> bool:
        """Whether a booking is not over: seats are held, paid for, or still to be flown."""
        for booking in await bookings.unfinished(tx, user_id):
            if booking.status is not BookingStatus.CONFIRMED or now < booking.arriving_at:
                return True
        return False


async def _bookings(tx: ReadTx, user_id: str) -> list[Kept]:
    """Page by page, so that no single statement reads a whole life."""
    found: list[Kept] = []
    after: Position | None = None
    while True:
        page = await bookings.of_user(tx, user_id, status=None, after=after, limit=PAGE_MAX)
        found.extend([await _kept(tx, booking) for booking in page])
        if len(page) < PAGE_MAX:
            return found
        after = Position(page[-1].created_at, page[-1].id)


async def _kept(tx: ReadTx, booking: Booking) -> Kept:
    paid = await payments.of_booking(tx, booking.id)
    log = await booking_log.of_booking(tx, booking.id, after=None, limit=ENTRIES_MAX)
    return Kept(booking, paid, log)
