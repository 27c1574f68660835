"""Reading both sides: page after page for a first sight, one by one for a second look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from skyhold.booking.clients.flights import Flights
from skyhold.booking.clients.payments.port import Charge, PaymentProvider, ProviderState
from skyhold.booking.models.facts import BookingFacts, PaymentFacts
from skyhold.booking.repositories import audit
from skyhold.booking.services.patience import answered_within
from skyhold.contracts.holds import HoldFacts
from skyhold.kernel.client import Unknown
from skyhold.kernel.db import Database, ReadTx
from skyhold.kernel.errors import Unavailable

from .case import Case

Out = TypeVar("Out")

# Both sides may be restarted while we read: pauses that outlast a breaker's, and a deploy.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
ASKED_AT_ONCE = 8


class NotCompared(Exception):
    """One of the sides does not answer, so nobody knows whether they agree."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Bookings with their payments, as they were at one moment."""

    bookings: Mapping[str, BookingFacts]
    payments: Mapping[str, Sequence[PaymentFacts]]

    def of(self, id_: str) -> tuple[BookingFacts | None, Sequence[PaymentFacts]]:
        """One booking; two that are equal have not changed in between."""
        return self.bookings.get(id_), tuple(self.payments.get(id_, ()))


@dataclass(frozen=True, slots=True)
class Reader:
    """Asks the booking database, the flight service and the provider; it changes nothing."""

    db: Database
    flights: Flights
    provider: PaymentProvider
    provider_timeout_s: float
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    async def bookings(self, limit: int) -> AsyncIterator[Ours]:
        """All bookings in the order of their ids."""
        after: str | None = None
        while True:
            ours = await self._patiently(self._page, after, limit)
            if ours.bookings:
                yield ours
            if len(ours.bookings) < limit:
                return
            after = list(ours.bookings)[-1]

    async def holds(self, limit: int) -> AsyncIterator[Sequence[HoldFacts]]:
        """All our holds in the order of their ids, and what is claimed for holds that are lost."""
        after: str | None = None
        while True:
            page = await self._patiently(self.flights.page, after, limit)
            yield page.data
            if page.next is None:
                return
            if page.next == after:
                msg = "the flight service's pages of holds do not come to an end"
                raise NotCompared(msg)
            after = page.next

    async def payments(
        self, since: datetime | None, limit: int
    ) -> AsyncIterator[Sequence[PaymentFacts]]:
        """Our payments begun since then, in the order of their ids."""
        after: str | None = None
        while True:
            page = await self._patiently(self._payments, since, after, limit)
            yield page
            if len(page) < limit:
                return
            after = page[-1].id

    async def payments_by_ids(self, ids: Collection[str]) -> Mapping[str, PaymentFacts]:
        """Those of these payments that we know."""
        return await self._patiently(self._payments_by_ids, ids)

    async def cases(self, ids: Sequence[str]) -> list[Case]:
        """These bookings or holds, those that stood still while the flight service was asked."""
        before = await self._patiently(self._ours, ids)
        holds = await self._patiently(self.flights.facts, ids)
        after = await self._patiently(self._ours, ids)
        return [
            Case(id_, *before.of(id_), holds.get(id_))
            for id_ in ids
            if before.of(id_) == after.of(id_)
        ]

    async def bookings_by_ids(self, ids: Collection[str]) -> Mapping[str, BookingFacts]:
        """Those of these bookings that there are."""
        return (await self._patiently(self._ours, ids)).bookings

    async def states(self, payments: Sequence[PaymentFacts]) -> dict[str, ProviderState | None]:
        """What the provider says of each of our payments."""
        states = await self.ask([charge_of(payment) for payment in payments])
        return {payment.id: state for payment, state in zip(payments, states, strict=True)}

    async def ask(self, charges: Sequence[Charge]) -> list[ProviderState | None]:
        """What the provider says of each in turn, None where it has never heard of one."""
        states: list[ProviderState | None] = []
        for first in range(0, len(charges), ASKED_AT_ONCE):
            some = charges[first : first + ASKED_AT_ONCE]
            states += await asyncio.gather(*(self._patiently(self._ask, one) for one in some))
        return states

    async def how_many(self) -> tuple[int, int]:
        """How many bookings and payments there are."""
        async with self.db.read() as tx:
            return await audit.how_many(tx)

    async def _ask(self, charge: Charge) -> ProviderState | None:
        async with answered_within(self.provider_timeout_s):
            answer = await self.provider.get(charge)
        return None if answer is None else answer.state

    async def _page(self, after: str | None, limit: int) -> Ours:
        async with self.db.read() as tx:
            found = await audit.bookings(tx, after, limit)
            return await _with_payments(tx, {booking.id: booking for booking in found})

    async def _ours(self, ids: Collection[str]) -> Ours:
        async with self.db.read() as tx:
            return await _with_payments(tx, await audit.bookings_by_ids(tx, ids))

    async def _payments(
        self, since: datetime | None, after: str | None, limit: int
    ) -> Sequence[PaymentFacts]:
        async with self.db.read() as tx:
            return await audit.payments(tx, since=since, after=after, limit=limit)

    async def _payments_by_ids(self, ids: Collection[str]) -> Mapping[str, PaymentFacts]:
        async with self.db.read() as tx:
            return await audit.payments_by_ids(tx, ids)

    async def _patiently(self, ask: Callable[..., Awaitable[Out]], *what: object) -> Out:
        """Ask again after a pause when nobody answers. Raises NotCompared in the end."""
        for pause_s in (*PAUSES_S, None):
            try:
                return await ask(*what)
            except (Unknown, Unavailable) as error:
                if pause_s is None:
                    raise NotCompared(str(error) or repr(error)) from error
                await self.sleep(pause_s)
        raise AssertionError


def charge_of(payment: PaymentFacts) -> Charge:
    """What a provider needs in order to find one of our payments."""
    return Charge(payment.id, payment.amount, "", payment.reference, payment.created_at)


async def _with_payments(tx: ReadTx, bookings: Mapping[str, BookingFacts]) -> Ours:
    payments = await audit.payments_of(tx, list(bookings)) if bookings else {}
    return Ours(bookings, payments)
