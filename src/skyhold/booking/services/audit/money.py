"""Our payments against those that the provider has in its books."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from skyhold.booking.clients.payments.port import Charge, Entry, ProviderState
from skyhold.booking.models.facts import PaymentFacts
from skyhold.kernel.client import Unknown
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.money import Money
from skyhold.kernel.spool import Record, Spool

from .kinds import Finding, Kind, Repair
from .look import NotCompared, Reader, charge_of
from .merge import Pages, merged
from .money_rules import HAS_MONEY, agrees, judge_there, same_amount
from .run import Run
from .suspects import Suspect, Suspects


@dataclass(frozen=True, slots=True)
class MoneyAudit:
    """Those begun since `since`, on either side; those begun after `until` are left for next time.

    A provider tells its payments in an order of its own, so they are sorted first, outside of
    memory.
    """

    reader: Reader
    run: Run
    since: datetime | None
    until: datetime

    async def compare(self) -> None:
        """Tell of everything that disagrees. Raises NotCompared."""
        suspects = Suspects(self._look, self.run.terms.settle_s, self.run.sleep)
        spool = Spool()
        try:
            await self._collect(spool)
            async for batch in merged(self._payments(), self._entries(spool)):
                await self._first_sight(batch, suspects)
                self.run.report.payments += sum(payment is not None for _, payment, _ in batch)
                self.run.progress("payments", self.run.report.payments)
                await self.run.pace(len(batch))
                await suspects.look_again()
            await suspects.finish()
        finally:
            spool.close()
        self.run.report.moving += suspects.given_up

    async def _collect(self, spool: Spool) -> None:
        """Read the provider's books."""
        records: list[Record] = []
        try:
            async for entry in self.reader.provider.ledger(self.since):
                records.append((entry.payment_id, _to_text(entry)))
                if len(records) == self.run.terms.page_rows:
                    await self._spool(spool, records)
                    records = []
        except (Unknown, Unavailable) as error:
            msg = f"the provider's list of payments: {error!r}"
            raise NotCompared(msg) from error
        await self._spool(spool, records)

    async def _spool(self, spool: Spool, records: list[Record]) -> None:
        await spool.add(records)
        self.run.report.entries += len(records)
        self.run.progress("entries", self.run.report.entries)
        await self.run.pace(len(records))

    async def _first_sight(
        self,
        batch: Sequence[tuple[str, PaymentFacts | None, Entry | None]],
        suspects: Suspects,
    ) -> None:
        # Not among ours of this time: begun earlier, or not known here at all.
        others = [id_ for id_, payment, _ in batch if payment is None]
        known = await self.reader.payments_by_ids(others) if others else {}
        for id_, payment, entry in batch:
            if self._is_suspect(payment or known.get(id_), entry):
                await suspects.add(Suspect(id_, entry))

    def _is_suspect(self, payment: PaymentFacts | None, entry: Entry | None) -> bool:
        state = None if entry is None else entry.state
        if payment is None or _is_another(payment, entry):
            return state in HAS_MONEY
        if payment.created_at > self.until:
            return False
        charged = None if entry is None else entry.amount
        return not (agrees(payment.status, state) and same_amount(payment, state, charged))

    async def _look(self, suspects: Sequence[Suspect]) -> Sequence[Suspect]:
        """Ours, then theirs, then ours again: who has not moved is judged."""
        ids = [suspect.id for suspect in suspects]
        before = await self.reader.payments_by_ids(ids)
        charges = [_charge(suspect, before.get(suspect.id)) for suspect in suspects]
        states = await self.reader.ask(charges)
        after = await self.reader.payments_by_ids(ids)
        booking_ids = {payment.booking_id for payment in after.values()}
        bookings = await self.reader.bookings_by_ids(booking_ids) if booking_ids else {}
        moved = []
        for suspect, state in zip(suspects, states, strict=True):
            payment = after.get(suspect.id)
            if before.get(suspect.id) != payment:
                moved.append(suspect)
            elif payment is None or _is_another(payment, suspect.entry):
                self._tell_unknown(suspect, state)
            else:
                charged = None if suspect.entry is None else suspect.entry.amount
                booking = bookings.get(payment.booking_id)
                for finding in judge_there(booking, payment, state, charged):
                    self.run.tell(finding)
        return moved

    def _tell_unknown(self, suspect: Suspect, state: ProviderState | None) -> None:
        entry = suspect.entry
        if entry is None or state not in HAS_MONEY:
            return
        says = f"{entry.amount} {state} there, begun {entry.created_at:%Y-%m-%d %H:%M:%S}Z"
        if entry.reference is not None:
            says += f", their id {entry.reference}"
        self.run.tell(
            Finding(Kind.UNKNOWN_PAYMENT, says, Repair.PERSON, payment_id=entry.payment_id)
        )

    async def _payments(self) -> Pages[PaymentFacts]:
        async for page in self.reader.payments(self.since, self.run.terms.page_rows):
            yield [(payment.id, payment) for payment in page]

    async def _entries(self, spool: Spool) -> Pages[Entry]:
        after, limit = None, self.run.terms.page_rows
        while page := await spool.page(after, limit):
            yield [(id_, _from_text(id_, text)) for id_, text in page]
            after = page[-1]


def _is_another(payment: PaymentFacts, entry: Entry | None) -> bool:
    """Whether the provider has this under our payment's id, and we know it has another one.

    So somebody would be charged twice for one attempt.
    """
    if entry is None or entry.reference is None or payment.reference is None:
        return False
    return entry.reference != payment.reference


def _charge(suspect: Suspect, payment: PaymentFacts | None) -> Charge:
    """How the provider is asked about it: by our payment, or by its own entry."""
    entry = suspect.entry
    if payment is not None and not _is_another(payment, entry):
        return charge_of(payment)
    assert entry is not None, "what we do not know, the provider has told us of"
    return Charge(entry.payment_id, entry.amount, "", entry.reference, entry.created_at)


def _to_text(entry: Entry) -> str:
    money, at = entry.amount, entry.created_at.isoformat()
    return json.dumps([entry.state, money.minor, money.currency, at, entry.reference])


def _from_text(payment_id: str, text: str) -> Entry:
    state, minor, currency, at, reference = json.loads(text)
    return Entry(
        payment_id,
        ProviderState(state),
        Money(minor, currency),
        datetime.fromisoformat(at),
        reference,
    )
