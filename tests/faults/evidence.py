"""All that is known of a run, in one place: what the laws are judged by.

What the buyers were told, the provider's ledger, the events a queue got, the final databases, what
the sampler saw, and the wire between the two services.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from . import tables
from .tables import Row

LIVE_HOLDS = frozenset({"held", "confirmed"})
ENDED = frozenset({"expired", "cancelled"})
TERMINAL = frozenset({"confirmed"}) | ENDED


@dataclass(frozen=True)
class Violation:
    """A law that was broken: by which bookings, payments, seats or events, and how."""

    law: str
    ids: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Op:
    """One HTTP request of a buyer. `outcome` is ok, fail (a definite no) or unknown.

    It took effect, if it did, between `began` and `ended`; one that nobody heard the end of has
    none. `certain` is False for a refusal that says nothing of a twin that the wire made of it.
    """

    number: int
    buyer: str
    f: str
    outcome: str
    began: float
    ended: float
    key: str | None
    booking_id: str | None
    status: int | None
    code: str | None
    body: dict[str, Any]
    asked: tuple[Any, ...]
    certain: bool

    @property
    def had_no_effect(self) -> bool:
        """Whether the service said for sure that nothing happened."""
        return self.outcome == "fail" and self.certain


@dataclass
class Evidence:
    """Everything that is known. Rows are plain: instants are Unix seconds, JSON is objects."""

    run: dict[str, Any]
    wall: float | None = None  # what to add to a monotonic instant to get Unix seconds
    ops: list[Op] = field(default_factory=list)
    faults: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    samples: list[Row] = field(default_factory=list)
    wire: list[Row] = field(default_factory=list)
    bookings: dict[str, Row] = field(default_factory=dict)
    payments: dict[str, Row] = field(default_factory=dict)
    outbox: list[Row] = field(default_factory=list)
    flight_outbox: list[Row] = field(default_factory=list)
    taken: set[tuple[str, str]] = field(default_factory=set)
    positions: dict[tuple[str, str], int] = field(default_factory=dict)
    flight_changes: dict[str, Row] = field(default_factory=dict)
    change_seen: dict[tuple[str, str], int] = field(default_factory=dict)
    holds: dict[str, Row] = field(default_factory=dict)
    claims: list[Row] = field(default_factory=list)
    flights: dict[str, Row] = field(default_factory=dict)
    ledger: dict[str, Row] = field(default_factory=dict)
    entries: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)

    @property
    def quiet_at(self) -> float:
        """When the run was over."""
        return float(self.run.get("quiet_at") or self.run.get("healed_at") or self.run["began_at"])

    @cached_property
    def clocks_jumped(self) -> bool:
        """Whether any process was told another time than the others."""
        return any("clock" in fault["kind"] for fault in self.faults)

    @cached_property
    def by_booking(self) -> dict[str, list[Row]]:
        """The attempts to pay for each booking."""
        found: dict[str, list[Row]] = defaultdict(list)
        for payment in self.payments.values():
            found[payment["booking_id"]].append(payment)
        return found

    @cached_property
    def told(self) -> dict[str, list[Row]]:
        """What the outbox says of each booking, in its sequence."""
        found: dict[str, list[Row]] = defaultdict(list)
        for event in sorted(self.outbox, key=lambda event: event["sequence"]):
            found[event["subject"]].append(event)
        return found

    @cached_property
    def entries_of(self) -> dict[str, list[str]]:
        """What the provider did for each payment, in its order."""
        found: dict[str, list[str]] = defaultdict(list)
        for entry in sorted(self.entries, key=lambda entry: entry["seq"]):
            found[entry["payment_id"]].append(entry["kind"])
        return found

    def captured(self, payment_id: str) -> bool:
        """Whether the provider ever collected this payment."""
        return "captured" in self.entries_of[payment_id]

    def on_cancelled_flight(self, row: Row) -> bool:
        """Whether any flight of a booking or hold is cancelled."""
        return any(
            self.flights.get(segment["flight_id"], {}).get("status") == "cancelled"
            for segment in row["segments"]
        )


def seats_of(row: Row) -> list[tuple[str, str]]:
    """The seats of a booking or hold, each with its flight."""
    return [
        (segment["flight_id"], seat) for segment in row["segments"] for seat in segment["seats"]
    ]


# --- reading a run folder --------------------------------------------------------------------


def read(folder: Path) -> Evidence:
    """All of a run folder. For a thread without an event loop of its own."""
    run = json.loads((folder / "run.json").read_text())
    evidence = Evidence(
        run=run,
        wall=next((at["at"] - at["t"] for at in lines(folder / "history.jsonl")), None),
        ops=list(_ops(folder / "history.jsonl")),
        faults=list(lines(folder / "faults.jsonl")),
        events=list(lines(folder / "events.jsonl")),
        samples=list(lines(folder / "samples.jsonl")),
        wire=list(lines(folder / "wire.jsonl")),
    )
    # Without a ledger nobody has paid.
    paid = Path(run["sandbox_db"]).exists()
    asyncio.run(_read_databases(evidence, paid=paid))
    return evidence


def lines(path: Path) -> Iterator[Row]:
    """The objects of a journal; a last line that was cut off is none."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _ops(path: Path) -> Iterator[Op]:
    """Each request with its end; one without is unknown for ever."""
    invoked: dict[int, Row] = {}
    ended: dict[int, Row] = {}
    for line in lines(path):
        (invoked if line["type"] == "invoke" else ended)[line["op"]] = line
    for number, invoke in invoked.items():
        result = ended.get(number, {})
        yield Op(
            number=number,
            buyer=invoke["buyer"],
            f=invoke["f"],
            outcome=result.get("type", "unknown"),
            began=invoke["t"],
            ended=result.get("t", float("inf")),
            key=invoke.get("key"),
            booking_id=invoke.get("booking_id") or result.get("booking_id"),
            status=result.get("status"),
            code=result.get("code"),
            body=result.get("body") or {},
            asked=tuple(
                json.dumps(invoke.get(name))
                for name in ("f", "flight_id", "seats", "party", "token", "booking_id")
            ),
            certain=not result.get("duplicated", False),
        )


async def _read_databases(evidence: Evidence, *, paid: bool) -> None:
    await _read_booking(evidence)
    await _read_flight(evidence)
    if paid:
        await _read_ledger(evidence)


async def _read_booking(evidence: Evidence) -> None:
    engine = tables.reader(evidence.run["booking_db_url"])
    async with tables.snapshot(engine) as db:
        bookings = await tables.rows(db, "SELECT * FROM bookings")
        payments = await tables.rows(db, "SELECT * FROM payments")
        evidence.outbox = await tables.rows(db, "SELECT * FROM booking_outbox")
        taken = await tables.rows(db, "SELECT * FROM booking_inbox")
        positions = await tables.rows(db, "SELECT * FROM booking_inbox_positions")
        changes = await tables.rows(db, "SELECT * FROM flight_changes")
        seen = await tables.rows(db, "SELECT * FROM booking_flights")
    await engine.dispose()
    evidence.bookings = {row["id"]: row for row in bookings}
    evidence.payments = {row["id"]: row for row in payments}
    evidence.taken = {(row["consumer"], row["event_id"]) for row in taken}
    evidence.positions = {(row["consumer"], row["subject"]): row["sequence"] for row in positions}
    evidence.flight_changes = {row["flight_id"]: row for row in changes}
    evidence.change_seen = {
        (row["flight_id"], row["booking_id"]): row["change_seen"] for row in seen
    }


async def _read_flight(evidence: Evidence) -> None:
    engine = tables.reader(evidence.run["flight_db_url"])
    async with tables.snapshot(engine) as db:
        holds = await tables.rows(db, "SELECT * FROM holds")
        evidence.claims = await tables.rows(db, "SELECT * FROM seat_claims")
        evidence.flight_outbox = await tables.rows(db, "SELECT * FROM flight_outbox")
        flights = await tables.rows(db, "SELECT id, status, departing_at FROM flights")
    await engine.dispose()
    evidence.holds = {row["id"]: row for row in holds}
    evidence.flights = {row["id"]: row for row in flights}


async def _read_ledger(evidence: Evidence) -> None:
    engine = tables.reader(f"sqlite:///{evidence.run['sandbox_db']}")
    async with tables.snapshot(engine) as db:
        payments = await tables.rows(db, "SELECT * FROM sandbox_payments")
        evidence.entries = await tables.rows(db, "SELECT * FROM sandbox_entries")
        evidence.calls = await tables.rows(db, "SELECT * FROM sandbox_calls")
    await engine.dispose()
    evidence.ledger = {row["id"]: row for row in payments}
