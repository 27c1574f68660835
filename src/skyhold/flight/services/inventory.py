"""Holds and the seats claimed for them, held side by side; and claims put right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from skyhold.contracts.holds import PARTY_MAX, SEGMENTS_MAX, HoldFacts, HoldsPage, HoldStatus, Seats
from skyhold.flight.errors import SeatUnavailable
from skyhold.flight.models.holds import LIVE
from skyhold.flight.repositories import inventory
from skyhold.flight.repositories.inventory import Claimed, Held, Seat
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate, LostRace, Tx
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

# A page reads so many claims at most; a hold by itself never has more than the second number.
CLAIMS_PER_HOLD = 8
CLAIMS_OF_ONE_MAX = PARTY_MAX * SEGMENTS_MAX


@dataclass(frozen=True, slots=True)
class Inventory:
    """For another service that compares its books with ours. Only its own holds are its business.

    Claims of holds that nobody has are everybody's.
    """

    db: Database
    clock: Clock

    async def page(self, client_id: str, after: str | None, limit: int) -> HoldsPage:
        """The next holds in the order of their ids, as they all are at one moment."""
        claims_max = CLAIMS_PER_HOLD * limit + CLAIMS_OF_ONE_MAX
        async with self.db.read() as tx:
            holds = await inventory.page(tx, client_id, after, limit)
            last = holds[-1].id if len(holds) == limit else None
            claims = await inventory.claims(
                tx, client_id, after=after, last=last, limit=claims_max + 1
            )
        if len(claims) > claims_max:
            claims, last = _whole(claims)
            holds = [hold for hold in holds if hold.id <= last]
        return HoldsPage(data=self._facts(holds, claims), next=last)

    async def of(self, client_id: str, ids: Collection[str]) -> HoldsPage:
        """Those of these holds that there are, or that seats are claimed for."""
        async with self.db.read() as tx:
            holds = await inventory.by_ids(tx, client_id, ids)
            claims = await inventory.claims_of(tx, client_id, ids)
        return HoldsPage(data=self._facts(holds, claims), next=None)

    async def mend(self, client_id: str, hold_id: str) -> HoldFacts | None:
        """Let the claims be what the hold says: all its seats while it is live, and none after.

        A hold that nobody has cannot be made after this. One whose time is up is the sweeper's, and
        left alone. Raises SeatUnavailable when another hold has one of its seats.
        """
        mended = await self.db.transact(lambda tx: self._mend(tx, client_id, hold_id))
        if mended:
            log.warning("hold.claims_mended", hold_id=hold_id)
        page = await self.of(client_id, [hold_id])
        return page.data[0] if page.data else None

    async def _mend(self, tx: Tx, client_id: str, hold_id: str) -> bool:
        """Whether there was anything to mend."""
        now = self.clock.now()
        found = await inventory.by_ids(tx, client_id, [hold_id])
        claimed = await self._claimed(tx, client_id, hold_id)
        if found and found[0].status in LIVE:
            return await self._mend_live(tx, found[0], claimed, now)
        if not claimed:
            return False
        if not found:
            await self._bury(tx, hold_id, client_id, now)
        # It will never be live (again), so nobody claims anything for it any more.
        await inventory.free(tx, hold_id, claimed)
        return True

    async def _mend_live(self, tx: Tx, hold: Held, claimed: set[Seat], now: datetime) -> bool:
        if hold.seats.keys() == claimed or not await inventory.keep(tx, hold, now):
            return False
        # From here on nobody else ends it, or mends it: read once more what is claimed.
        claimed = await self._claimed(tx, hold.client_id, hold.id)
        await inventory.free(tx, hold.id, claimed - hold.seats.keys())
        try:
            await inventory.claim(tx, hold, hold.seats.keys() - claimed)
        except Duplicate as error:
            raise SeatUnavailable from error
        return True

    async def _claimed(self, tx: Tx, client_id: str, hold_id: str) -> set[Seat]:
        claims = await inventory.claims_of(tx, client_id, [hold_id])
        return {claim.seat for claim in claims}

    async def _bury(self, tx: Tx, hold_id: str, client_id: str, now: datetime) -> None:
        try:
            await inventory.bury(tx, hold_id, client_id, now)
        except Duplicate as error:  # it has come at last, or another service's has this id
            raise LostRace from error

    def _facts(self, holds: Iterable[Held], claims: Iterable[Claimed]) -> list[HoldFacts]:
        claimed: defaultdict[str, set[Seat]] = defaultdict(set)
        nobodys: set[str] = set()
        for claim in claims:
            claimed[claim.hold_id].add(claim.seat)
            if not claim.known:
                nobodys.add(claim.hold_id)
        now = self.clock.now()
        facts = {hold.id: _facts(hold, claimed[hold.id], now) for hold in holds}
        facts |= {hold_id: _nobodys(hold_id, claimed[hold_id]) for hold_id in nobodys}
        return [facts[hold_id] for hold_id in sorted(facts)]


def _whole(claims: Sequence[Claimed]) -> tuple[Sequence[Claimed], str]:
    """Claims that were cut off somewhere, without those of the last hold; and where they end."""
    last = claims[-1].hold_id
    whole = [claim for claim in claims if claim.hold_id != last]
    # Seats without end that are all claimed for one hold: enough of them have been seen.
    return (whole, whole[-1].hold_id) if whole else (claims, last)


def _facts(hold: Held, claimed: set[Seat], now: datetime) -> HoldFacts:
    live = hold.status in LIVE
    over = hold.status is HoldStatus.HELD and hold.expires_at <= now
    return HoldFacts.model_construct(
        hold_id=hold.id,
        status=hold.status,
        age_s=max(0, int((now - hold.created_at).total_seconds())),
        over_s=int((now - hold.expires_at).total_seconds()) if over else None,
        segments=_seats(hold.seats),
        unclaimed=_seats(hold.seats.keys() - claimed) if live else [],
        surplus=_seats(claimed - hold.seats.keys() if live else claimed),
    )


def _nobodys(hold_id: str, claimed: set[Seat]) -> HoldFacts:
    return HoldFacts.model_construct(
        hold_id=hold_id,
        status=None,
        age_s=None,
        over_s=None,
        segments=[],
        unclaimed=[],
        surplus=_seats(claimed),
    )


def _seats(seats: Iterable[Seat] | Mapping[Seat, str]) -> list[Seats]:
    by_flight: defaultdict[str, list[str]] = defaultdict(list)
    for flight_id, number in sorted(seats):
        by_flight[flight_id].append(number)
    return [
        Seats.model_construct(flight_id=flight_id, seats=numbers)
        for flight_id, numbers in by_flight.items()
    ]
