"""Deciding about holds: pure arithmetic over what the database says and what is asked.

`Ledger` is given the holds, flights and claims that a batch of commands touches, decides the
commands one after the other, each seeing the effects of those before it, and remembers what must
be written. It writes nothing itself; the repository does, guarded, so a decision made on rows that
have moved since is never carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from skyhold.contracts.holds import Cabin, HeldSegment, HoldStatus, SegmentWanted
from skyhold.flight.errors import (
    FlightCancelled,
    FlightDeparted,
    FlightNotFound,
    HoldConfirmed,
    HoldEnded,
    HoldNotFound,
    HoldRequestDiffers,
    SoldOut,
    UnknownCabin,
)
from skyhold.kernel.errors import Problem
from skyhold.kernel.money import WireMoney

from . import seating
from .conditions import check_order, check_total, checked_seats
from .flight import Flight, FlightStatus
from .holds import (
    LIVE,
    NEXT,
    SOMEBODYS,
    Claim,
    Command,
    Confirm,
    Decision,
    Expire,
    HoldRecord,
    Move,
    PutHold,
    Release,
)

# For so many flights and cabins it is kept what is promised of them.
PROMISED_MAX = 10_000


@dataclass
class Ledger:
    """Decides commands and remembers what to write: `inserts`, `moves` and `freed`.

    `claims` maps each flight's taken seats to who has them.
    """

    now: datetime
    holds: dict[str, HoldRecord]
    flights: Mapping[str, Flight]
    claims: Mapping[str, dict[str, Claim]]
    inserts: dict[str, HoldRecord] = field(default_factory=dict)
    moves: dict[str, Move] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)
    _taken: dict[str, set[str]] = field(default_factory=dict)

    def decide(self, command: Command) -> Decision | Problem:
        """Carry out one command. A refusal is answered, not raised.

        It has changed nothing, but that a hold it touched has ended if it had to: its time was up,
        or it was to be confirmed on a flight that is cancelled.
        """
        try:
            match command:
                case PutHold():
                    return self._put(command)
                case Confirm():
                    return self._confirm(command)
                case Release():
                    return self._release(command)
                case Expire():
                    return self._expire(command)
        except Problem as refusal:
            return refusal

    def _put(self, command: PutHold) -> Decision:
        known = self._settled(command.hold_id)
        if known is None:
            return self._create(command)
        if known.client_id != command.client_id:
            raise HoldNotFound
        if known.request_digest not in {None, command.digest}:
            raise HoldRequestDiffers
        if known.status not in LIVE:
            raise HoldEnded(known.status)
        return Decision(known)

    def _confirm(self, command: Confirm) -> Decision:
        hold = self._owned(command)
        if hold.status not in LIVE:
            raise HoldEnded(hold.status)
        if hold.status is HoldStatus.HELD and self._has_cancelled_flight(hold):
            hold = self._move(hold, HoldStatus.RELEASED)
            raise HoldEnded(hold.status)
        if hold.status is HoldStatus.HELD:
            hold = self._move(hold, HoldStatus.CONFIRMED)
        return Decision(hold)

    def _has_cancelled_flight(self, hold: HoldRecord) -> bool:
        flights = (self.flights.get(segment.flight_id) for segment in hold.segments)
        return any(flight and flight.status is FlightStatus.CANCELLED for flight in flights)

    def _release(self, command: Release) -> Decision:
        hold = self._settled(command.hold_id)
        if hold is None:
            return self._bury(command)
        if hold.client_id != command.client_id:
            raise HoldNotFound
        if hold.status is HoldStatus.CONFIRMED and not command.cancel:
            raise HoldConfirmed
        if hold.status is HoldStatus.CONFIRMED:
            hold = self._move(hold, HoldStatus.CANCELLED)
        if hold.status is HoldStatus.HELD:
            hold = self._move(hold, HoldStatus.RELEASED)
        return Decision(hold)

    def _expire(self, command: Expire) -> Decision:
        hold = self._settled(command.hold_id)
        if hold is None:
            raise HoldNotFound
        return Decision(hold)

    def _create(self, command: PutHold) -> Decision:
        """All segments or none: nothing is remembered before the last one has its seats."""
        segments = command.wanted.segments
        check_order(self._bookable(wanted) for wanted in segments)
        hold = HoldRecord(
            id=command.hold_id,
            client_id=command.client_id,
            request_digest=command.digest,
            segments=tuple(self._seat(wanted) for wanted in segments),
            status=HoldStatus.HELD,
            expires_at=self.now + timedelta(seconds=command.wanted.ttl_s),
            created_at=self.now,
        )
        check_total(hold, command.wanted.expected_total)
        self._make_way(hold)
        self._insert(hold)
        return Decision(hold, created=True)

    def _bookable(self, wanted: SegmentWanted) -> Flight:
        flight = self.flights.get(wanted.flight_id)
        if flight is None:
            raise FlightNotFound
        if flight.status is FlightStatus.CANCELLED:
            raise FlightCancelled
        if flight.departing_at <= self.now:
            raise FlightDeparted
        if wanted.cabin not in flight.fares:
            raise UnknownCabin
        return flight

    def _seat(self, wanted: SegmentWanted) -> HeldSegment:
        flight = self.flights[wanted.flight_id]
        taken = self._taken_on(flight.id)
        if wanted.seats is None:
            seats = self._assign(flight, wanted, taken)
        else:
            seats = checked_seats(flight, wanted, wanted.seats, taken)
        return _promised(flight, wanted.cabin).model_copy(update={"seats": seats})

    def _assign(self, flight: Flight, wanted: SegmentWanted, taken: AbstractSet[str]) -> list[str]:
        chosen = seating.assign(flight.layout.by_cabin[wanted.cabin], taken, wanted.party)
        if chosen is None:
            raise SoldOut
        return [seat.number for seat in chosen]

    def _taken_on(self, flight_id: str) -> set[str]:
        """The seats that cannot be had; those of holds whose time is up can."""
        taken = self._taken.get(flight_id)
        if taken is None:
            claims = self.claims.get(flight_id, {})
            taken = {
                seat
                for seat, claim in claims.items()
                if claim is SOMEBODYS or not claim.is_over(self.now)
            }
            self._taken[flight_id] = taken
        return taken

    def _make_way(self, hold: HoldRecord) -> None:
        """End the holds whose time is up and that still claim a seat this one is given."""
        for segment in hold.segments:
            claims = self.claims.get(segment.flight_id, {})
            for seat in segment.seats:
                if seat in claims:
                    self._settled(claims[seat].hold_id)

    def _owned(self, command: Confirm) -> HoldRecord:
        hold = self._settled(command.hold_id)
        if hold is None or hold.client_id != command.client_id:
            raise HoldNotFound
        return hold

    def _settled(self, hold_id: str) -> HoldRecord | None:
        """The hold, expired if its time is up: nobody ever acts on one that only looks alive."""
        hold = self.holds.get(hold_id)
        if hold is not None and hold.is_over(self.now):
            hold = self._move(hold, HoldStatus.EXPIRED)
        return hold

    def _move(self, hold: HoldRecord, new: HoldStatus) -> HoldRecord:
        assert new in NEXT[hold.status], f"{hold.id}: {hold.status} -> {new}"
        moved = replace(hold, status=new)
        self.holds[hold.id] = moved
        if hold.id in self.inserts:
            self.inserts[hold.id] = moved
        else:
            first = self.moves.get(hold.id)
            self.moves[hold.id] = Move(hold.id, first.old if first else hold.status, new)
        if new not in LIVE:
            self._free(hold)
        else:
            self._claim(moved)
        return moved

    def _bury(self, command: Release) -> Decision:
        """A tombstone: whatever PUT comes late finds this id ended."""
        tombstone = HoldRecord(
            id=command.hold_id,
            client_id=command.client_id,
            request_digest=None,
            segments=(),
            status=HoldStatus.RELEASED,
            expires_at=self.now,
            created_at=self.now,
        )
        self._insert(tombstone)
        return Decision(tombstone, created=True)

    def _insert(self, hold: HoldRecord) -> None:
        self.holds[hold.id] = hold
        self.inserts[hold.id] = hold
        self._claim(hold)

    def _claim(self, hold: HoldRecord) -> None:
        claim = Claim(hold.id, hold.status, hold.expires_at)
        for segment in hold.segments:
            self.claims.get(segment.flight_id, {}).update(dict.fromkeys(segment.seats, claim))
            self._taken_on(segment.flight_id).update(segment.seats)

    def _free(self, hold: HoldRecord) -> None:
        self.freed.add(hold.id)
        for segment in hold.segments:
            claims = self.claims.get(segment.flight_id, {})
            for seat in segment.seats:
                claims.pop(seat, None)
            self._taken_on(segment.flight_id).difference_update(segment.seats)


@lru_cache(maxsize=PROMISED_MAX)
def _promised(flight: Flight, cabin: Cabin) -> HeldSegment:
    """What is promised of a flight, in this version of it, to whoever gets a seat; but no seat."""
    return HeldSegment.model_construct(
        flight_id=flight.id,
        flight_number=flight.flight_number,
        origin=flight.origin,
        destination=flight.destination,
        departing_at=flight.departing_local,
        arriving_at=flight.arriving_local,
        cabin=cabin,
        seats=[],
        fare=WireMoney.of(flight.fares[cabin]),
        flight_ver=flight.ver,
    )
