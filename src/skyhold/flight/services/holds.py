"""Holds: every command goes through one batcher, and whatever waits is decided together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from structlog.contextvars import bound_contextvars

from skyhold.contracts.holds import (
    ConfirmCommand,
    HoldCommand,
    HoldStatus,
    HoldWanted,
    ReleaseCommand,
    WireCommand,
)
from skyhold.flight import metrics
from skyhold.flight.errors import HoldNotFound
from skyhold.flight.models.allocation import Ledger
from skyhold.flight.models.holds import (
    SOMEBODYS,
    Command,
    Confirm,
    Decision,
    Expire,
    HoldRecord,
    PutHold,
    Release,
)
from skyhold.flight.repositories import holds, schedule
from skyhold.flight.repositories.reference import Reference
from skyhold.kernel.batcher import Batcher
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate, LostRace, Tx
from skyhold.kernel.errors import Problem
from skyhold.kernel.failpoints import reach
from skyhold.kernel.ids import digest
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)


class Holds:
    """Seats for a while, for good, or given back: PROTOCOL §2's table, call by call."""

    def __init__(
        self,
        db: Database,
        known: Reference,
        clock: Clock,
        *,
        batch_max: int,
        waiting_max: int,
        sweep_max: int,
    ) -> None:
        self._db = db
        self._reference = known
        self._clock = clock
        self._sweep_max = sweep_max
        self._commands: Batcher[Command, Decision] = Batcher(
            self._decide, name="holds", batch_max=batch_max, waiting_max=waiting_max
        )

    def now(self) -> datetime:
        """The instant by which this service's holds end."""
        return self._clock.now()

    async def put(self, hold_id: str, client_id: str, wanted: HoldWanted) -> Decision:
        """Hold the seats, or answer for the hold that has this id already.

        Raises SeatUnavailable, SoldOut, PriceChanged and the other refusals of flight/errors.py;
        then nothing is held. HoldEnded when this id is spent, HoldRequestDiffers when it was used
        for another request.
        """
        decision = await self._commands.submit(_put(hold_id, client_id, wanted))
        _note_put(decision)
        return decision

    async def confirm(self, hold_id: str, client_id: str) -> HoldRecord:
        """Make the hold final. Raises HoldNotFound, or HoldEnded when it has ended."""
        decision = await self._commands.submit(Confirm(hold_id, client_id))
        _note_confirmed(decision)
        return decision.hold

    async def release(self, hold_id: str, client_id: str, *, cancel: bool) -> HoldRecord:
        """Give the seats back; with `cancel` even confirmed ones, otherwise HoldConfirmed.

        An unknown id gets a tombstone, so that a PUT which is still on its way finds it ended.
        """
        decision = await self._commands.submit(Release(hold_id, client_id, cancel))
        _note_ended(decision)
        return decision.hold

    async def carry_out(
        self, client_id: str, commands: Sequence[WireCommand]
    ) -> list[Decision | Exception]:
        """Many of the above at once, in this order; each is decided or refused by itself."""
        asked = [_command(command, client_id) for command in commands]
        outcomes = await self._commands.submit_all(asked)
        for command, outcome in zip(commands, outcomes, strict=True):
            with bound_contextvars(request_id=command.request_id):
                _note(command, outcome)
        return outcomes

    async def get(self, hold_id: str, client_id: str) -> HoldRecord:
        """The hold as it stands. Raises HoldNotFound, also for another service's hold."""
        async with self._db.read() as tx:
            hold = (await holds.by_ids(tx, [hold_id])).get(hold_id)
        if hold is None or hold.client_id != client_id:
            raise HoldNotFound
        # The sweeper may not have been there yet; nobody is told that an ended hold is alive.
        return replace(hold, status=HoldStatus.EXPIRED) if hold.is_over(self.now()) else hold

    async def sweep(self) -> int:
        """End holds whose time is up, at most `sweep_max` in one call; answers how many."""
        async with self._db.read() as tx:
            due = await holds.due(tx, self._clock.now(), self._sweep_max)
        if not due:
            return 0
        # Through the batcher, which tries them one by one when one of them fails the others.
        ended = await self._commands.submit_all([Expire(hold_id) for hold_id in due])
        for hold_id, outcome in zip(due, ended, strict=True):
            if isinstance(outcome, Exception):
                log.error("hold.not_expired", hold_id=hold_id, error=repr(outcome))
        expired = sum(
            isinstance(outcome, Decision) and outcome.hold.status is HoldStatus.EXPIRED
            for outcome in ended
        )
        log.info("holds.expired", count=expired)
        return expired

    async def close(self) -> None:
        """Let every waiting command be decided."""
        await self._commands.close()

    async def _decide(self, commands: Sequence[Command]) -> Sequence[Decision | Exception]:
        async def decide(tx: Tx) -> tuple[Ledger, Sequence[Decision | Exception]]:
            ledger = await self._ledger(tx, commands)
            decisions = [ledger.decide(command) for command in commands]
            try:
                await holds.carry_out(tx, ledger)
            except Duplicate as error:
                raise LostRace from error
            reach("flight.in_decide")
            return ledger, decisions

        ledger, decisions = await self._db.transact(decide)
        reach("flight.decided")
        metrics.decided(ledger, decisions)
        return decisions

    async def _ledger(self, tx: Tx, commands: Sequence[Command]) -> Ledger:
        """Everything these commands touch, as the database has it now."""
        now = self._clock.now()
        wanted = {
            segment.flight_id
            for command in commands
            if isinstance(command, PutHold)
            for segment in command.wanted.segments
        }
        flights, claimed = await schedule.with_claims(tx, self._reference, wanted)
        # Whose a seat is, matters only of holds whose time is up.
        claims = {id_: dict.fromkeys(claimed.get(id_, ()), SOMEBODYS) for id_ in wanted}
        asked = {command.hold_id for command in commands}
        for flight_id, seat, claim in await holds.overdue_on(tx, wanted, now):
            claims[flight_id][seat] = claim
            asked.add(claim.hold_id)
        known = await holds.by_ids(tx, asked)
        confirmed = {
            segment.flight_id
            for command in commands
            if isinstance(command, Confirm) and command.hold_id in known
            for segment in known[command.hold_id].segments
        }
        flights |= await schedule.flights(tx, self._reference, confirmed - flights.keys())
        return Ledger(now=now, holds=known, flights=flights, claims=claims)


def _command(command: WireCommand, client_id: str) -> Command:
    match command:
        case HoldCommand():
            return _put(command.hold_id, client_id, command.wanted)
        case ConfirmCommand():
            return Confirm(command.hold_id, client_id)
        case ReleaseCommand():
            return Release(command.hold_id, client_id, command.cancel)


def _put(hold_id: str, client_id: str, wanted: HoldWanted) -> PutHold:
    # How long the seats were asked for is not part of what was asked for.
    asked = digest(wanted.model_dump(mode="json", exclude={"ttl_s"}))
    return PutHold(hold_id, client_id, wanted, asked)


def _note(command: WireCommand, outcome: Decision | Exception) -> None:
    match command, outcome:
        case HoldCommand(), Decision():
            _note_put(outcome)
        case ConfirmCommand(), Decision():
            _note_confirmed(outcome)
        case ReleaseCommand(), Decision():
            _note_ended(outcome)
        case _, Problem():
            pass
        case _, error:
            log.error("hold.failed", hold_id=command.hold_id, error=repr(error))


def _note_put(decision: Decision) -> None:
    if decision.created:
        log.info("hold.held", hold_id=decision.hold.id, seats=_seats(decision.hold))


def _note_confirmed(decision: Decision) -> None:
    log.info("hold.confirmed", hold_id=decision.hold.id)


def _note_ended(decision: Decision) -> None:
    log.info("hold.ended", hold_id=decision.hold.id, status=decision.hold.status)


def _seats(hold: HoldRecord) -> int:
    return sum(len(segment.seats) for segment in hold.segments)
