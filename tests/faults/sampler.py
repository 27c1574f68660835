"""The sampler: looks at both databases again and again while everything else goes wrong.

The flight database is read in one snapshot, so what must hold at every moment can be said of it.
The booking database is another one, and no snapshot spans both; so it is read before and after:

    bookings  ->  flight  ->  bookings

A booking that is in the same version before and after was so in between, too. Whatever is said of
both databases below is true of any two moments in this order, however far apart.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from . import tables
from .evidence import seats_of
from .run import Run
from .tables import Row

PERIOD_S = 0.2
SAMPLE_MAX_S = 10.0
SUMMARY_EVERY_S = 5.0
# What a hold may have become since it was last seen alive.
NEXT = {
    "held": frozenset({"confirmed", "released", "expired", "cancelled"}),
    "confirmed": frozenset({"cancelled"}),
}

BOOKINGS = "SELECT id, status, ver FROM bookings WHERE status IN ('held', 'confirmed')"
UNPAID = (
    "SELECT b.id AS id, b.status AS status, p.status AS payment FROM bookings b"
    " LEFT JOIN payments p ON p.id = b.active_payment_id WHERE b.status IN ('held', 'paying')"
)
HOLDS = "SELECT id, status, segments FROM holds WHERE status IN ('held', 'confirmed')"
CLAIMS = "SELECT flight_id, seat, hold_id FROM seat_claims"


class Sampler:
    """Samples until it is stopped, and writes every violation once."""

    def __init__(self, run: Run) -> None:
        self._booking = tables.reader(run.booking_db_url)
        self._flight = tables.reader(run.flight_db_url)
        self._journal = run.journal("samples")
        self._task: asyncio.Task[None] | None = None
        self._told: set[tuple[str, ...]] = set()
        self._alive: dict[str, str] = {}
        self._dead: set[str] = set()
        self._size: dict[str, int] = {}
        self.samples = 0
        self.failed = 0

    async def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._run(), name="sampler")

    async def stop(self) -> None:
        """One last sample, and the end."""
        assert self._task is not None, "it was never started"
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._try()
        self._summary()
        await self.close()

    async def close(self) -> None:
        """Look no more."""
        self._journal.close()
        await self._booking.dispose()
        await self._flight.dispose()

    async def _run(self) -> None:
        told_at = 0.0
        while True:
            began = time.monotonic()
            await self._try()
            took = time.monotonic() - began
            if time.monotonic() - told_at > SUMMARY_EVERY_S:
                told_at = time.monotonic()
                self._summary()
            # It shares the machine with what it looks at: at most a third of the time.
            await asyncio.sleep(max(PERIOD_S, 2 * took))

    async def _try(self) -> None:
        try:
            async with asyncio.timeout(SAMPLE_MAX_S):
                await self.sample()
        except Exception:  # noqa: BLE001 - a database that is down says nothing, and comes back
            self.failed += 1
        else:
            self.samples += 1

    def _summary(self) -> None:
        self._journal.write(
            {
                "at": time.time(),
                "samples": self.samples,
                "failed": self.failed,
                **self._size,
                "violation": None,
            }
        )

    async def sample(self) -> None:
        """One look at everything."""
        async with tables.snapshot(self._booking) as db:
            before = {row["id"]: row for row in await tables.rows(db, BOOKINGS)}
        async with tables.snapshot(self._flight) as db:
            holds = {row["id"]: row for row in await tables.rows(db, HOLDS)}
            claims = await tables.rows(db, CLAIMS)
            lost = {
                id_
                for id_, row in before.items()
                if id_ not in holds or holds[id_]["status"] != row["status"]
            }
            now = await _statuses(db, "holds", lost | (self._alive.keys() - holds.keys()))
        async with tables.snapshot(self._booking) as db:
            after = await _statuses(db, "bookings", lost)
            unpaid = await tables.rows(db, UNPAID)
        self._size = {"claims": len(claims), "holds": len(holds)}
        self._compare(holds, claims)
        self._follow(holds, now)
        for id_ in lost:
            if id_ in after and after[id_]["ver"] == before[id_]["ver"]:
                self._judge(before[id_], now.get(id_, {}).get("status", "not there"))
        self._steps(holds, unpaid)

    def _compare(self, holds: dict[str, Row], claims: list[Row]) -> None:
        """Claimed seats are the seats of live holds."""
        wanted = Counter((*seat, id_) for id_, hold in holds.items() for seat in seats_of(hold))
        found = Counter((row["flight_id"], row["seat"], row["hold_id"]) for row in claims)
        for flight, seat, id_ in wanted - found:
            status = holds[id_]["status"]
            what = f"{seat} of {flight} belongs to a hold that is {status}, and is not claimed"
            self._tell("claims_match", (id_,), what)
        for flight, seat, id_ in found - wanted:
            what = f"{seat} of {flight} is claimed for a hold that is not live"
            self._tell("claims_match", (id_,), what)
        owners = Counter(seat for hold in holds.values() for seat in seats_of(hold))
        for (flight, seat), times in owners.items():
            if times > 1:
                ids = tuple(id_ for id_, hold in holds.items() if (flight, seat) in seats_of(hold))
                self._tell("one_owner", ids, f"{seat} of {flight} is in {times} live holds at once")

    def _follow(self, holds: dict[str, Row], now: dict[str, Row]) -> None:
        """A hold goes from state to state as it may, and what has ended never lives again."""
        for id_, old in self._alive.items():
            new = holds.get(id_, now.get(id_, {})).get("status", "not there")
            if new != old and new not in NEXT[old]:
                self._tell("steps_in_order", (id_,), f"a hold went from {old} to {new}")
        for id_ in self._dead & holds.keys():
            self._tell("steps_in_order", (id_,), "a hold that had ended is live again")
        self._dead |= self._alive.keys() - holds.keys()
        self._alive = {id_: hold["status"] for id_, hold in holds.items()}

    def _judge(self, booking: Row, hold: str) -> None:
        """A booking that did not change meanwhile, and its hold in between.

        Held, it may be late in noticing that its time is up; only a release takes something away.
        """
        gone = {"released", "cancelled", "not there"}
        if booking["status"] == "confirmed" or hold in gone:
            what = f"a booking is {booking['status']} while its hold is {hold}"
            self._tell("seat_kept", (booking["id"],), what)

    def _steps(self, holds: dict[str, Row], unpaid: list[Row]) -> None:
        """Seats are made final only once an authorisation is written down, and for good."""
        for row in unpaid:
            if holds.get(row["id"], {}).get("status") != "confirmed":
                continue
            if row["status"] == "held" or row["payment"] == "created":
                what = f"a hold was confirmed, and its booking is {row['status']} afterwards"
                if row["payment"]:
                    what += f" with a payment that is {row['payment']}"
                self._tell("steps_in_order", (row["id"],), what)

    def _tell(self, law: str, ids: tuple[str, ...], what: str) -> None:
        if (law, *ids, what) not in self._told:
            self._told.add((law, *ids, what))
            line: dict[str, Any] = {"at": time.time(), "law": law, "ids": list(ids)}
            self._journal.write(line | {"violation": what})


async def _statuses(db: AsyncConnection, table: str, ids: Collection[str]) -> dict[str, Row]:
    """How these rows stand in this snapshot."""
    if not ids:
        return {}
    statement = text(f"SELECT id, status, ver FROM {table} WHERE id IN :ids")  # noqa: S608 - ours
    found = await db.execute(statement.bindparams(bindparam("ids", sorted(ids), expanding=True)))
    return {row["id"]: tables.plain(row) for row in found.mappings()}
