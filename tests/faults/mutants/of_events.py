"""Bugs in how events are written, published and taken."""

from __future__ import annotations

from . import CALM, Mutant, edit

ADVANCE = "booking/services/advance.py"
RELAY = "kernel/relay.py"
HANDS = "kernel/messaging/hands.py"
OUTBOX = "kernel/outbox.py"
NOTIFY = "booking/services/notify.py"

# Those who publish, expire and write letters.
WORKERS_DIE = {
    "only": ("kill:worker-1", "kill:worker-2"),
    "strike_every_s": 4.0,
    "minutes": 0.6,
}

MUTANTS = (
    Mutant(
        "published-before-commit",
        "an expiry is told in a transaction of its own, before the one that it tells of",
        frozenset({"true_story"}),
        [
            edit(
                ADVANCE,
                """
                |        async def expire(tx: Tx) -> bool:
                |            moved = await booking_moves.expire(tx, booking.id, now=now)
                |            if moved:
                |                await self._tell_expired(tx, booking.id)
                """,
                """
                |        await self.db.transact(
                |            lambda tx: self._tell_expired(tx, booking.id)
                |        )
                |
                |        async def expire(tx: Tx) -> bool:
                |            moved = await booking_moves.expire(tx, booking.id, now=now)
                """,
            )
        ],
        options=CALM,
    ),
    Mutant(
        "event-forgotten",
        "an expiry is told after its transaction, by whoever survives until then",
        frozenset({"true_story"}),
        [
            edit(
                ADVANCE,
                """
                |            if moved:
                |                await self._tell_expired(tx, booking.id)
                |            reach("expire.in_expire")
                |            return moved
                |
                |        if await self.db.transact(expire):
                """,
                """
                |            return moved
                |
                |        if await self.db.transact(expire):
                |            import asyncio
                |            await asyncio.sleep(3)
                |            await self.db.transact(
                |                lambda tx: self._tell_expired(tx, booking.id)
                |            )
                """,
            )
        ],
        options=WORKERS_DIE,
    ),
    Mutant(
        "marked-before-confirmed",
        "an event counts as published before the broker has confirmed it",
        frozenset({"told_at_least_once"}),
        [
            edit(
                RELAY,
                """
                |        a_round = _Round(self.bus, events)
                |        await a_round.run()
                """,
                """
                |        a_round = _Round(self.bus, events)
                |        if events:
                |            await self._mark([event.id for event in events], self.clock.now())
                |        await a_round.run()
                """,
            )
        ],
        options={"only": ("cable",)},
    ),
    Mutant(
        "taken-before-commit",
        "a message is acknowledged before what it calls for is done",
        frozenset({"heard_and_acted"}),
        [
            edit(
                HANDS,
                """
                |        before = _deliveries_before(message)
                |        try:
                """,
                """
                |        before = _deliveries_before(message)
                |        await _answer(message.ack())
                |        try:
                """,
            ),
            # No bug: a letter takes its time.
            edit(
                NOTIFY,
                """
                |            reach("letter.before_send")
                """,
                """
                |            await asyncio.sleep(0.7)
                """,
            ),
        ],
        options=WORKERS_DIE,
    ),
    Mutant(
        "published-out-of-order",
        "the newest events are published first, also of one booking",
        frozenset({"told_in_order"}),
        [
            edit(
                OUTBOX,
                """
                |lambda event: (place[event.subject], event.sequence)
                """,
                """
                |lambda event: (place[event.subject], -event.sequence)
                """,
            )
        ],
        options=CALM,
    ),
)
