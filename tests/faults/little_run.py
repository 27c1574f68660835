"""A little run that nobody ran: a folder as the rig leaves it, of a few bookings that went well.

Tests change one thing in it and see which law says so.

    alice   books 1A, pays, and keeps it
    bob     books 1B and lets it expire; carol books it after him, pays, and cancels
    dan     books 2A, his card is declined, and he gives up
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FLIGHT = "B61-2030-01-01-JFK"
NOON = 1_900_000_000.0  # when it began, in Unix seconds
PRICE = 12_900

TABLES = {
    "bookings": "id user_id idempotency_key status segments total_minor currency"
    " payment_required_by active_payment_id hold_open due_at ver changes",
    "payments": "id booking_id user_id idempotency_key status failure amount_minor currency due_at",
    "booking_outbox": "id type subject sequence data occurred_at published_at",
    "booking_inbox": "consumer event_id",
    "booking_inbox_positions": "consumer subject sequence",
    "flight_changes": "flight_id sequence due_at",
    "booking_flights": "flight_id booking_id change_seen",
    "holds": "id status segments expires_at resolved_at ver",
    "seat_claims": "flight_id seat hold_id",
    "flight_outbox": "id type subject sequence data published_at",
    "flights": "id status departing_at",
    "sandbox_payments": "id state amount_minor currency",
    "sandbox_entries": "seq payment_id kind amount_minor currency",
    "sandbox_calls": "seq payment_id op",
}
FILES = {
    "booking.db": (
        "bookings",
        "payments",
        "booking_outbox",
        "booking_inbox",
        "booking_inbox_positions",
        "flight_changes",
        "booking_flights",
    ),
    "flight.db": ("holds", "seat_claims", "flight_outbox", "flights"),
    "sandbox.db": ("sandbox_payments", "sandbox_entries", "sandbox_calls"),
}
INSTANTS = {
    "payment_required_by",
    "due_at",
    "expires_at",
    "resolved_at",
    "occurred_at",
    "published_at",
    "departing_at",
}


@dataclass
class LittleRun:
    """Rows and journals, to be changed at will and then written."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {table: [] for table in TABLES}
    )
    journals: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {
            name: [] for name in ("history", "faults", "events", "samples", "wire")
        }
    )
    run: dict[str, Any] = field(default_factory=dict)

    # --- finding what to change --------------------------------------------------------------

    def row(self, table: str, **where: Any) -> dict[str, Any]:
        """The one row that is like this."""
        (found,) = [r for r in self.rows[table] if where.items() <= r.items()]
        return found

    def remove(self, table: str, **where: Any) -> None:
        """The rows that are like this."""
        self.rows[table] = [r for r in self.rows[table] if not where.items() <= r.items()]

    def line(self, name: str, **where: Any) -> dict[str, Any]:
        """The one line of a journal that is like this."""
        (found,) = [line for line in self.journals[name] if where.items() <= line.items()]
        return found

    # --- telling a story ---------------------------------------------------------------------

    def op(self, f: str, type: str = "ok", *, at: float, **facts: Any) -> None:  # noqa: A002
        """A request that took a tenth of a second."""
        result = {name: facts.pop(name, None) for name in ("status", "code", "body")}
        duplicated = {"duplicated": True} if facts.pop("duplicated", False) else {}
        line = {"op": len(self.journals["history"]) + 1, "f": f, "buyer": "alice", **facts}
        self.journals["history"] += [
            line | {"type": "invoke", "t": at, "at": NOON + at},
            line | result | duplicated | {"type": type, "t": at + 0.1, "at": NOON + at + 0.1},
        ]

    def booking(self, id_: str, status: str, *seats: str, **more: Any) -> None:
        """A booking with its hold, as both are at the end."""
        segments = [{"flight_id": FLIGHT, "seats": list(seats)}]
        hold = {"expired": "expired", "confirmed": "confirmed", "cancelled": "cancelled"}[status]
        self.rows["bookings"].append(
            {
                "id": id_,
                "user_id": "user",
                "idempotency_key": f"key-{id_}",
                "status": status,
                "segments": segments,
                "total_minor": PRICE * len(seats),
                "currency": "USD",
                "payment_required_by": NOON + 10,
                "hold_open": status == "confirmed",
                "ver": 9,
            }
            | more
        )
        self.rows["booking_flights"].append(
            {"flight_id": FLIGHT, "booking_id": id_, "change_seen": 1}
        )
        self.rows["holds"].append(
            {
                "id": id_,
                "status": hold,
                "segments": segments,
                "expires_at": NOON + 12,
                "resolved_at": NOON + (13 if hold == "expired" else 5),
                "ver": 2,
            }
        )
        if hold == "confirmed":
            for seat in seats:
                claim = {"flight_id": FLIGHT, "seat": seat, "hold_id": id_}
                self.rows["seat_claims"].append(claim)
        self.tell(id_, "booking.held", "held")

    def payment(self, id_: str, booking_id: str, status: str, *entries: str, **more: Any) -> None:
        """An attempt to pay, with what the provider did for it."""
        money = {"amount_minor": PRICE, "currency": "USD"}
        self.rows["payments"].append(
            {
                "id": id_,
                "booking_id": booking_id,
                "user_id": "user",
                "idempotency_key": f"key-{id_}",
                "status": status,
                **money,
            }
            | more
        )
        self.rows["sandbox_payments"].append({"id": id_, "state": entries[-1], **money})
        for kind in entries:
            seq = len(self.rows["sandbox_entries"]) + 1
            entry = {"seq": seq, "payment_id": id_, "kind": kind, **money}
            self.rows["sandbox_entries"].append(entry)
            self.rows["sandbox_calls"].append({"seq": seq, "payment_id": id_, "op": kind})

    def tell(self, subject: str, kind: str, status: str, *, at: float = NOON + 11) -> None:
        """An event: written, published, delivered, and acted upon."""
        told = sum(row["subject"] == subject for row in self.rows["booking_outbox"])
        event = {
            "id": f"{subject}.{kind}",
            "type": kind,
            "subject": subject,
            "sequence": 2 * told + 1,  # what happens in between is told to nobody
            "data": {"status": status},
        }
        self.rows["booking_outbox"].append(event | {"occurred_at": at, "published_at": NOON + 30})
        self.journals["events"].append(event)
        consumer = f"letters.{kind}"
        self.rows["booking_inbox"].append({"consumer": consumer, "event_id": event["id"]})
        place = {"consumer": consumer, "subject": subject, "sequence": event["sequence"]}
        self.rows["booking_inbox_positions"].append(place)

    def cancel_flight(self) -> None:
        """The staff cancels it, and every booking has heard of that."""
        self.row("flights", id=FLIGHT)["status"] = "cancelled"
        event = {"id": "f1", "type": "flight.cancelled", "subject": FLIGHT, "sequence": 2}
        event["data"] = {"status": "cancelled"}
        self.rows["flight_outbox"].append(event | {"published_at": NOON + 30})
        self.journals["events"].append(event)
        self.rows["flight_changes"].append({"flight_id": FLIGHT, "sequence": 2})
        for row in self.rows["booking_flights"]:
            row["change_seen"] = 2

    def sample(self, law: str, what: str) -> None:
        """What the sampler found."""
        self.journals["samples"].append({"law": law, "ids": ["x"], "violation": what})

    # --- writing it down ---------------------------------------------------------------------

    def write(self, folder: Path) -> Path:
        """The folder of the run."""
        run = {
            "began_at": NOON,
            "healed_at": NOON + 60,
            "quiet_at": NOON + 100,
            "payment_window_s": 10,
            "hold_grace_s": 2,
            "give_up_after_s": 3,
            "amqp_url": "amqp://there.is.one",
            "sandbox_db": str(folder / "sandbox.db"),
            "booking_db_url": f"sqlite:///{folder / 'booking.db'}",
            "flight_db_url": f"sqlite:///{folder / 'flight.db'}",
        }
        (folder / "run.json").write_text(json.dumps(run | self.run))
        for name, found in self.journals.items():
            text = "".join(json.dumps(line) + "\n" for line in found)
            (folder / f"{name}.jsonl").write_text(text)
        self._write_tables(folder)
        return folder

    def _write_tables(self, folder: Path) -> None:
        for file, tables in FILES.items():
            with closing(sqlite3.connect(folder / file)) as db, db:
                for table in tables:
                    names = TABLES[table].split()
                    db.execute(f"CREATE TABLE {table} ({', '.join(names)})")
                    db.executemany(
                        f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})",  # noqa: S608
                        [[_kept(row, name) for name in names] for row in self.rows[table]],
                    )


def _kept(row: Mapping[str, Any], name: str) -> Any:
    value = row.get(name)
    if name in INSTANTS and value is not None:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return json.dumps(value) if isinstance(value, list | dict) else value


def shown(id_: str, status: str, *seats: str) -> dict[str, Any]:
    """A booking as an answer shows it."""
    segments = [{"flight_id": FLIGHT, "seats": list(seats)}] if seats else []
    return {"id": id_, "status": status, "segments": segments}


def paid(payment_id: str, id_: str) -> dict[str, Any]:
    """A payment as an answer shows it."""
    return {"id": payment_id, "status": "captured", "booking": shown(id_, "confirmed")}


def little_run() -> LittleRun:
    """Nothing is wrong with it."""
    run = LittleRun()
    run.rows["flights"].append({"id": FLIGHT, "status": "scheduled", "departing_at": NOON + 9e6})

    run.op("flight_add", at=0, status=201, body={"id": FLIGHT, "status": "scheduled"})
    run.booking("a", "confirmed", "1A")
    run.payment("pa", "a", "captured", "authorized", "captured")
    run.tell("a", "booking.confirmed", "confirmed")
    told = {"status": 201, "body": shown("a", "held", "1A")}
    run.op("book", "unknown", at=1, key="key-a", seats=["1A"])
    run.op("book", at=2, key="key-a", seats=["1A"], **told)
    told = {"status": 201, "body": paid("pa", "a")}
    run.op("pay", at=3, key="key-pa", booking_id="a", token="tok_visa", **told)
    told = {"status": 200, "body": shown("a", "confirmed")}
    run.op("read", at=4, booking_id="a", **told)
    run.op("list", at=5, status=200, body={"data": [shown("a", "confirmed")]})
    told = {"status": 409, "code": "seat_unavailable"}
    run.op("book", "fail", at=6, key="key-z", seats=["1A"], **told)

    run.booking("b", "expired", "1B")
    run.tell("b", "booking.expired", "expired")
    run.op("book", at=1, key="key-b", status=201, body=shown("b", "held", "1B"))
    run.op("read", at=20, booking_id="b", status=200, body=shown("b", "expired"))

    run.booking("c", "cancelled", "1B")
    run.payment("pc", "c", "refunded", "authorized", "captured", "refunded")
    run.tell("c", "booking.confirmed", "confirmed")
    run.tell("c", "booking.cancelled", "cancelled")
    run.tell("c", "payment.refunded", "cancelled")
    run.op("book", at=21, key="key-c", status=201, body=shown("c", "held", "1B"))
    run.op("pay", at=22, key="key-pc", booking_id="c", status=201, body=paid("pc", "c"))
    run.op("cancel", at=24, booking_id="c", status=200, body=shown("c", "cancelled"))

    run.booking("d", "expired", "2A")
    run.payment("pd", "d", "voided", "declined", "cancelled", failure="declined")
    run.tell("d", "payment.declined", "held")
    run.tell("d", "booking.expired", "expired")
    run.op("book", at=1, key="key-d", status=201, body=shown("d", "held", "2A"))
    told = {"status": 402, "code": "payment_declined"}
    run.op("pay", "fail", at=2, key="key-pd", booking_id="d", token="tok_declined", **told)

    run.journals["samples"].append({"samples": 7, "violation": None})
    run.journals["wire"] += [
        {"began": 1, "ended": 2, "method": "PUT", "path": "/api/v1/holds/b", "status": 201},
        {"began": 14, "ended": 15, "method": "DELETE", "path": "/api/v1/holds/b", "status": 200},
        {"began": 16, "ended": 17, "method": "PUT", "path": "/api/v1/holds/b", "status": 410},
    ]
    return run
