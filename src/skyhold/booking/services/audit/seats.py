"""Bookings against holds and claims; and each booking against its own payments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from skyhold.booking.models.facts import BookingFacts, PaymentFacts
from skyhold.contracts.holds import HoldFacts

from .case import Case, Limits
from .kinds import Finding, Repair
from .look import Reader
from .merge import Pages, merged
from .money_rules import judge_money
from .run import Run
from .seat_rules import judge_seats
from .suspects import Suspect, Suspects

Ours = tuple[BookingFacts, Sequence[PaymentFacts]]


@dataclass(frozen=True, slots=True)
class SeatAudit:
    """All of them, whatever their age. `may_cancel` says of a hold that nobody has paid for it."""

    reader: Reader
    run: Run
    may_cancel: Callable[[HoldFacts], bool]

    async def compare(self) -> None:
        """Tell of everything that disagrees. Raises NotCompared."""
        run = self.run
        suspects = Suspects(self._look, run.terms.settle_s, run.sleep)
        async for batch in merged(self._bookings(), self._holds()):
            limits = run.limits()
            for id_, ours, hold in batch:
                booking, payments = ours or (None, ())
                if any(_judge(Case(id_, booking, payments, hold), limits)):
                    await suspects.add(Suspect(id_))
            run.report.bookings += sum(ours is not None for _, ours, _ in batch)
            run.report.holds += sum(hold is not None for _, _, hold in batch)
            run.progress("bookings", run.report.bookings)
            await run.pace(len(batch))
            await suspects.look_again()
        await suspects.finish()
        run.report.moving += suspects.given_up

    async def _look(self, suspects: Sequence[Suspect]) -> Sequence[Suspect]:
        limits = self.run.limits()
        cases = await self.reader.cases([suspect.id for suspect in suspects])
        for case in cases:
            for finding in _judge(case, limits):
                self.run.tell(self._checked(case, finding))
        still = {case.id for case in cases}
        return [suspect for suspect in suspects if suspect.id not in still]

    def _checked(self, case: Case, finding: Finding) -> Finding:
        """A hold without a booking is not cancelled while somebody may have paid for it."""
        if finding.repair is not Repair.CANCEL_HOLD:
            return finding
        assert case.hold is not None, "there is nothing to cancel"
        return finding if self.may_cancel(case.hold) else replace(finding, repair=Repair.PERSON)

    async def _bookings(self) -> Pages[Ours]:
        async for ours in self.reader.bookings(self.run.terms.page_rows):
            yield [
                (id_, (booking, tuple(ours.payments.get(id_, ()))))
                for id_, booking in ours.bookings.items()
            ]

    async def _holds(self) -> Pages[HoldFacts]:
        async for page in self.reader.holds(self.run.terms.page_rows):
            yield [(facts.hold_id, facts) for facts in page]


def _judge(case: Case, limits: Limits) -> Iterator[Finding]:
    return chain(judge_seats(case, limits), judge_money(case, limits))
