"""Bugs in how seats are held, confirmed and given back."""

from __future__ import annotations

from . import CALM, Mutant, edit

HOLDS = "flight/services/holds.py"
ALLOCATION = "flight/models/allocation.py"
REPOSITORY = "flight/repositories/holds.py"

# What comes to its seats late, or twice, finds them with somebody else.
LATE_DELETES = {
    "mix": {"booking→flight": {"duplicate": 15, "reorder": 15, "delay": 10}},
    "only": ("partition",),
}

# A flight service whose clock is ahead ends holds that are wanted still.
HOLDS_END = {"only": ("clock",), "strike_every_s": 0.7}

# No bug: some holds take longer than anybody waits for them.
SLOW_HOLDS = (
    edit(
        HOLDS,
        """
        |        decision = await self._commands.submit(_put(
        """,
        """
        |        if hold_id[-1] in "0123":
        |            await __import__("asyncio").sleep(6)
        |        decision = await self._commands.submit(_put(
        """,
    ),
    edit(
        HOLDS,
        """
        |        asked = [_command(command, client_id) for command in commands]
        """,
        """
        |        if any(one.do == "hold" and one.hold_id[-1] in "01" for one in commands):
        |            await __import__("asyncio").sleep(6)
        |        asked = [_command(command, client_id) for command in commands]
        """,
    ),
)

MUTANTS = (
    Mutant(
        "none-but-slow-holds",
        "nothing: every fourth hold is made only after it has been given up",
        frozenset(),
        [*SLOW_HOLDS],
        options=CALM,
    ),
    Mutant(
        "release-unfenced",
        "a release frees the seats that a hold once had, whoever has them now",
        frozenset({"claims_match", "one_owner"}),
        [
            edit(
                ALLOCATION,
                """
                |        if hold.status is HoldStatus.HELD:
                |            hold = self._move(hold, HoldStatus.RELEASED)
                |        return Decision(hold)
                """,
                """
                |        if hold.status is HoldStatus.HELD:
                |            hold = self._move(hold, HoldStatus.RELEASED)
                |        self.freed.add(hold.id)
                |        return Decision(hold)
                """,
            ),
            edit(
                REPOSITORY,
                """
                |        await tx.run(delete(SeatClaimRow).where(SeatClaimRow.hold_id.in_(
                """,
                """
                |        for hold_id in ledger.freed:
                |            for segment in ledger.holds[hold_id].segments:
                |                await tx.run(
                |                    delete(SeatClaimRow).where(
                |                        SeatClaimRow.flight_id == segment.flight_id,
                |                        SeatClaimRow.seat.in_(segment.seats),
                |                    )
                |                )
                |        await tx.run(delete(SeatClaimRow).where(SeatClaimRow.hold_id.in_(
                """,
            ),
        ],
        options=LATE_DELETES,
    ),
    Mutant(
        "claims-without-key",
        "a seat that is claimed already is claimed by nobody else, and sold all the same",
        frozenset({"claims_match", "one_owner"}),
        [
            edit(
                HOLDS,
                """
                |        async def decide(tx: Tx) -> tuple[Ledger, Sequence[Decision | Exception]]:
                |            ledger = await self._ledger(tx, commands)
                """,
                """
                |        async with self._db.read() as before:
                |            read = await self._ledger(before, commands)  # type: ignore[arg-type]
                |        await __import__("asyncio").sleep(0.3)
                |
                |        async def decide(tx: Tx) -> tuple[Ledger, Sequence[Decision | Exception]]:
                |            ledger = read
                """,
            ),
            edit(
                REPOSITORY,
                """
                |    await tx.run(_NEW_CLAIMS, sorted(_claims(holds), key=_seat_key))
                """,
                """
                |    claims = insert(SeatClaimRow).prefix_with("OR IGNORE", dialect="sqlite")
                |    claims = claims.prefix_with("IGNORE", dialect="mysql")
                |    claims = claims.prefix_with("IGNORE", dialect="mariadb")
                |    await tx.run(claims, sorted(_claims(holds), key=_seat_key))
                """,
            ),
        ],
        options=CALM,
    ),
    Mutant(
        "expired-and-claimed",
        "a hold expires and its seats stay claimed",
        frozenset({"claims_match"}),
        [
            edit(
                ALLOCATION,
                """
                |        if new not in LIVE:
                |            self._free(hold)
                """,
                """
                |        if new is HoldStatus.EXPIRED:
                |            pass
                |        elif new not in LIVE:
                |            self._free(hold)
                """,
            )
        ],
        options=HOLDS_END,
    ),
    Mutant(
        "sweeper-unguarded",
        "the sweeper ends every hold whose time is up, confirmed ones too",
        frozenset({"seat_kept", "steps_in_order"}),
        [
            edit(
                REPOSITORY,
                """
                |        .where(HoldRow.status == HoldStatus.HELD, HoldRow.expires_at <= now)
                """,
                """
                |        .where(HoldRow.status.in_(LIVE), HoldRow.expires_at <= now)
                """,
            ),
            edit(
                ALLOCATION,
                """
                |        if hold is None:
                |            raise HoldNotFound
                |        return Decision(hold)
                """,
                """
                |        if hold is None:
                |            raise HoldNotFound
                |        if hold.status is HoldStatus.CONFIRMED:
                |            hold = self._move(hold, HoldStatus.EXPIRED)
                |        return Decision(hold)
                """,
            ),
            edit(
                ALLOCATION,
                """
                |        assert new in NEXT[hold.status], f"{hold.id}: {hold.status} -> {new}"
                """,
                """
                |        assert NEXT
                """,
            ),
        ],
        options=CALM,
    ),
    Mutant(
        "delete-without-tombstone",
        "a release of a hold that is not there yet is forgotten",
        frozenset({"ended_is_ended"}),
        [
            edit(
                ALLOCATION,
                """
                |        self._insert(tombstone)
                |        return Decision(tombstone, created=True)
                """,
                """
                |        return Decision(tombstone)
                """,
            ),
            *SLOW_HOLDS,
        ],
        options=CALM,
    ),
)
