"""A small airline desk whose three sets of books a test can spoil."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from skyhold.booking.auditing import terms_of
from skyhold.booking.services.audit.kinds import Finding, Kind, Repair
from skyhold.booking.services.audit.repairs import Outcome
from skyhold.booking.services.audit.report import Report
from support.system import OneProcess, one_process
from support.traveller import Traveller, seats_of

# Jobs that do not come unless a test runs them, and an audit that does not wait.
IDLE = {"expiry_period_s": 3600, "relay_period_s": 3600, "sweep_period_s": 3600}
IMPATIENT = {"audit_settle_s": 0}
BOOKS = ("booking", "flight", "sandbox")
TABLES = {
    "booking": (
        *("booking_log", "payments", "passengers", "booking_flights", "bookings"),
        *("booking_outbox", "booking_inbox", "booking_inbox_positions", "booking_leases"),
    ),
    "flight": ("seat_claims", "holds", "flight_outbox", "flight_leases"),
    "sandbox": ("sandbox_payments",),
}
FAR = "2099-01-01 00:00:00.000000"
NOBODYS = "018f0000-0000-7000-8000-000000000000"


@dataclass
class Audit:
    """What an audit told."""

    report: Report
    findings: list[Finding] = field(default_factory=list)

    @property
    def kinds(self) -> list[Kind]:
        return sorted(finding.kind for finding in self.findings)

    def only(self, kind: Kind) -> Finding:
        (finding,) = [finding for finding in self.findings if finding.kind is kind]
        return finding


@dataclass
class Desk:
    """Both services, a traveller, a flight, and the way into every file."""

    system: OneProcess
    folder: Path
    alice: Traveller
    flight: str

    # --- what people do ---------------------------------------------------------------------

    async def held(self, *, by: Traveller | None = None, **more: Any):
        reply = await (by or self.alice).book(self.flight, **more)
        assert reply.status == 201, reply.body
        return reply

    async def confirmed(self, **more: Any):
        booking = await self.held(**more)
        assert (await self.alice.pay(booking)).status == 201
        return booking

    async def cancelled(self, **more: Any):
        """Confirmed before, and refunded."""
        booking = await self.confirmed(**more)
        assert (await self.alice.cancel(booking)).status == 200
        return booking

    async def declined(self, **more: Any):
        """Held still."""
        booking = await self.held(**more)
        assert (await self.alice.pay(booking, "tok_declined")).status == 402
        return booking

    async def works(self) -> None:
        """Driver, sweeper and relay do whatever there is to be done."""
        for _ in range(20):
            moved = await self.system.bookings.drive.run_once()
            moved += await self.system.flights.holds.sweep()
            if not moved:
                break
        for service in (self.system.bookings, self.system.flights):
            (relay,) = [job for job in service.jobs if job.name == "relay"]
            await relay.work()

    # --- what should not happen -------------------------------------------------------------

    def sql(self, books: str, statement: str, *values: object) -> None:
        """Change a file behind everybody's back, constraints or not."""
        with closing(sqlite3.connect(self.folder / f"{books}.db", timeout=10)) as file, file:
            file.execute("PRAGMA ignore_check_constraints = ON")
            file.execute(statement, values)

    def rows(self, books: str, statement: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.folder / f"{books}.db", timeout=10)) as file:
            return file.execute(statement, values).fetchall()

    def lose_hold(self, booking: Any, *, claims: bool = True) -> None:
        self.sql("flight", "DELETE FROM holds WHERE id = ?", booking["id"])
        if claims:
            self.lose_claims(booking)

    def lose_claims(self, booking: Any) -> None:
        self.sql("flight", "DELETE FROM seat_claims WHERE hold_id = ?", booking["id"])

    def hold(self, booking: Any, status: str) -> None:
        self.sql("flight", "UPDATE holds SET status = ? WHERE id = ?", status, booking["id"])

    def claim(self, hold_id: str, *seats: str) -> None:
        for seat in seats:
            self.sql(
                "flight",
                "INSERT INTO seat_claims (flight_id, seat, cabin, hold_id) VALUES (?, ?, ?, ?)",
                *(self.flight, seat, "economy", hold_id),
            )

    def claims(self, hold_id: str) -> list[str]:
        rows = self.rows(
            "flight", "SELECT seat FROM seat_claims WHERE hold_id = ? ORDER BY seat", hold_id
        )
        return [seat for (seat,) in rows]

    def lose_booking(self, booking: Any) -> None:
        for table in ("booking_log", "payments", "passengers", "booking_flights"):
            self.sql("booking", f"DELETE FROM {table} WHERE booking_id = ?", booking["id"])  # noqa: S608 - a name from here
        self.sql("booking", "DELETE FROM bookings WHERE id = ?", booking["id"])

    def booking(self, booking: Any, **values: object) -> None:
        self._set("booking", "bookings", booking["id"], values)

    def payment(self, payment_id: str, **values: object) -> None:
        self._set("booking", "payments", payment_id, values)

    def there(self, payment_id: str, **values: object) -> None:
        """At the provider's."""
        self._set("sandbox", "sandbox_payments", payment_id, values)

    def lose_there(self, payment_id: str) -> None:
        self.sql("sandbox", "DELETE FROM sandbox_payments WHERE id = ?", payment_id)

    def copy_payment(self, payment_id: str, new_id: str = NOBODYS, *, here: bool = True) -> None:
        """The same payment a second time, here and at the provider's."""
        tables = [("sandbox", "sandbox_payments")] + [("booking", "payments")] * here
        for books, table in tables:
            names = [name for _, name, *_ in self.rows(books, f"PRAGMA table_info({table})")]
            values = ", ".join("?" if name == "id" else name for name in names)
            copy = f"INSERT INTO {table} SELECT {values} FROM {table} WHERE id = ?"  # noqa: S608 - names of columns
            self.sql(books, copy, new_id, payment_id)

    def _set(self, books: str, table: str, id: str, values: dict[str, object]) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        change = f"UPDATE {table} SET {columns} WHERE id = ?"  # noqa: S608 - names from here
        self.sql(books, change, *values.values(), id)

    def payments_of(self, booking: Any) -> list[str]:
        rows = self.rows(
            "booking",
            "SELECT id FROM payments WHERE booking_id = ? ORDER BY created_at",
            booking["id"],
        )
        return [id for (id,) in rows]

    def wipe(self) -> None:
        """Nobody has ever booked."""
        for books, tables in TABLES.items():
            for table in tables:
                self.sql(books, f"DELETE FROM {table}")  # noqa: S608 - a name from here

    def dump(self) -> dict[str, list[str]]:
        """Every row of every file but the lease of the relay."""
        found = {}
        for books in BOOKS:
            with closing(sqlite3.connect(self.folder / f"{books}.db", timeout=10)) as file:
                found[books] = [line for line in file.iterdump() if "_leases" not in line]
        return found

    # --- the audit --------------------------------------------------------------------------

    async def audit(self, *, since_h: float | None = 24, **terms: Any) -> Audit:
        settings = self.system.bookings.settings
        audit = Audit(Report(None))
        since = None if since_h is None else self.system.now() - timedelta(hours=since_h)
        wanted = terms_of(settings, **{"page_rows": 3} | terms)
        auditor = self.system.bookings.auditing.auditor
        audit.report = await auditor.audit(wanted, since, audit.findings.append)
        assert audit.report.found.total() == len(audit.findings)
        return audit

    async def repair(self, finding: Finding) -> tuple[Outcome, str]:
        return await self.system.bookings.auditing.repairer.repair(finding)


@asynccontextmanager
async def a_desk(folder: Path, template: Path, **settings: Any):
    """Open the desk on a data folder."""
    async with one_process(folder, template, **IDLE | IMPATIENT | settings) as system:
        async for _ in system.bookings.provider.ledger(None):
            pass  # there is a ledger from now on, whoever dumps it
        yield Desk(system, folder, await system.traveller("Alice"), await system.a_flight())


def seat(booking: Any) -> str:
    return seats_of(booking)[0]


__all__ = [
    "FAR",
    "NOBODYS",
    "Audit",
    "Desk",
    "Finding",
    "Kind",
    "Outcome",
    "Repair",
    "a_desk",
    "seat",
]
