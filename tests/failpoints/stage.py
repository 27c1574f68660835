"""A stage for stories: one system, which is killed at one point and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import MetaData

from skyhold.booking.models.tables import Base as Bookings
from skyhold.flight.models.tables import Base as Flights
from support.system import SETTINGS, TwoProcesses, free_port
from support.traveller import Reply, Traveller

from .laws import broken_at_any_moment, broken_in_the_end, unfinished, unsettled
from .processes import Nursery, Serving
from .witnesses import Seen, Witnesses

POINT = "SKYHOLD_FAILPOINT"
EVERY_POINT = "?"
REACHED = "skyhold: failpoint "
QUIET_WITHIN_S = 60
PERIOD_S = 0.15
LEASE_S = 1
REFERENCE = {"airports", "airlines", "aircraft"}
# An interrupted payment is looked at again, and a change of a flight is done, after this.
SOON_S = 90
# The window to pay, the grace of the hold, and patience with a silent provider are over.
WINDOW_S = 20 * 60


@dataclass
class Stage:
    """What a story needs. Whatever it asks for, the system may die of it once."""

    nursery: Nursery
    folder: Path
    environment: Mapping[str, str]
    witnesses: Witnesses
    system: TwoProcesses
    point: str
    serving: Serving
    alice: Traveller = field(init=False)
    flight: str = field(init=False)
    deaths: int = field(default=0, init=False)
    at_death: Seen | None = field(default=None, init=False)
    acknowledged: dict[str, str] = field(default_factory=dict, init=False)

    # --- what people do ------------------------------------------------------------------------

    async def insist(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """Ask, and when nobody answers any more ask the same again of who comes after."""
        try:
            return await ask()
        except httpx.TransportError:
            await self.rise()
            return await ask()

    async def once(self, ask: Callable[[], Awaitable[Reply]]) -> Reply | None:
        """Ask, and be content with no answer."""
        try:
            return await ask()
        except httpx.TransportError:
            await self.rise()
            return None

    async def paid(self, token: str = "tok_visa", *, party: int = 1) -> Reply:
        """A booking that is confirmed."""
        booking = await self.alice.book(self.flight, party=party)
        if (await self.alice.pay(booking, token)).status == 202:  # a slow machine
            self.later(SOON_S)
        await self.until(lambda seen: [b.status for b in seen.bookings] == ["confirmed"])
        return booking

    def promised(self, booking: Any, status: str) -> None:
        """We said so to the traveller: from now on it is so, whatever happens."""
        self.acknowledged[booking["id"]] = status

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.system.advance(seconds=seconds)

    async def cancel_flight(self) -> None:
        """The airline does; its bookings may hear of it, and the system die, before it is told."""
        try:
            reply = await self._cancel_flight()
        except httpx.TransportError:
            await self.rise()
            reply = await self._cancel_flight()
        assert reply.status_code == 200, reply.text

    async def _cancel_flight(self) -> httpx.Response:
        return await self.system.flights_http.patch(
            f"/api/v1/flights/{self.flight}",
            json={"status": "cancelled"},
            headers=self.system.staff(),
        )

    async def approve(self, payment_id: str) -> None:
        """The payer does, on the provider's page."""
        page = f"/sandbox/challenges/{payment_id}/approve"
        assert (await self.system.bookings_http.post(page)).status_code == 303

    async def until(self, check: Callable[[Seen], object]) -> Seen:
        """Look until it is so, over the system's death if need be."""
        give_up_at = time.monotonic() + QUIET_WITHIN_S
        while True:
            if not self.serving.is_alive():
                await self.rise()
            seen = await self.witnesses.look()
            if check(seen):
                return seen
            assert time.monotonic() < give_up_at, f"never: {unfinished(seen)}\n{self.log}"
            await asyncio.sleep(PERIOD_S)

    # --- life and death ------------------------------------------------------------------------

    @property
    def log(self) -> str:
        return self.serving.log.read_text()

    @property
    def reached(self) -> Counter[str]:
        """How often each point was passed, by a system that was asked to tell."""
        lines = self.log.splitlines()
        return Counter(line.removeprefix(REACHED) for line in lines if line.startswith(REACHED))

    async def rise(self) -> None:
        """The system has died, of its failpoint and of nothing else; start it again, unarmed."""
        status = await self.serving.ended()
        assert status == -signal.SIGKILL, f"its end is {status}\n{self.log}"
        assert not self.deaths, self.log
        assert self.reached == {self.point.partition(":")[0]: 1}, self.log
        self.deaths += 1
        self.at_death = await self.witnesses.look()
        assert broken_at_any_moment(self.at_death) == []
        # The dead one's lease for publishing runs out meanwhile.
        self.later(LEASE_S + 1)
        await self.start()

    async def start(self) -> None:
        """Another life, with nothing but what the last one wrote down."""
        self.serving = self.nursery.serve(self.folder, self.serving.port, self.environment)
        await self.serving.listens()

    # --- the end -------------------------------------------------------------------------------

    async def come_to_rest(self) -> None:
        """Time passes, the jobs do their work, and then every law holds."""
        self.later(SOON_S)
        await self.until(lambda seen: not unsettled(seen))
        self.later(WINDOW_S)
        seen = await self.until(lambda seen: not unfinished(seen))
        if not self.deaths:  # of the very last thing it did, perhaps
            await self.rise()
            seen = await self.until(lambda seen: not unfinished(seen))
        assert broken_in_the_end(seen) == []
        status = {booking.id: booking.status for booking in seen.bookings}
        for booking_id, promised in self.acknowledged.items():
            # Nobody pays for what is only held: in the end its time is over.
            kept = {"held": {"held", "expired"}}.get(promised, {promised})
            assert status.get(booking_id) in kept, f"{booking_id} was said to be {promised}"
        assert self._letters_too_many() == {}

    def _letters_too_many(self) -> Mapping[tuple[str, str], int]:
        """Each goes out once; or twice, when it was not yet noted in the moment of our death."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        sent = Counter(
            (line["booking_id"], line["type"]) for line in lines if line["event"] == "mail.sent"
        )
        at_death = () if self.at_death is None else self.at_death.events
        doubtful = {(e.subject, e.type) for e in at_death if e.id not in self.at_death.noted}
        return {letter: n for letter, n in sent.items() if n > 1 + (letter in doubtful)}


@asynccontextmanager
async def on_stage(
    nursery: Nursery,
    folder: Path,
    template: Path,
    where: Mapping[str, str],
    point: str,
    **settings: object,
) -> AsyncIterator[Stage]:
    """A new system in `folder`, which dies at `point`; nothing of it is left afterwards."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    clock = folder / "clock"
    wanted = SETTINGS | {
        "data_dir": folder,
        "clock_file": clock,
        "expiry_period_s": PERIOD_S,
        "relay_period_s": PERIOD_S,
        "sweep_period_s": PERIOD_S,
        "relay_lease_s": LEASE_S,
        # A busy machine is not what this is about.
        "provider_timeout_s": 8,
        "flight_timeout_s": 15,
        "flight_deadline_s": 15,
        "db_wait_s": 15,
        "drain_s": 60,
    }
    wanted |= dict(where) | settings
    environment = os.environ | {name.upper(): str(value) for name, value in wanted.items()}
    witnesses = Witnesses.of(
        where.get("database_url", f"sqlite:///{folder / 'booking.db'}"),
        where.get("flight_database_url", f"sqlite:///{folder / 'flight.db'}"),
        folder,
    )
    if where:  # another story was told there
        await witnesses.do(witnesses.booking, *_empty(Bookings.metadata))
        await witnesses.do(witnesses.flight, *_empty(Flights.metadata))
    port = free_port()
    clients = {"base_url": f"http://127.0.0.1:{port}", "timeout": 60, "trust_env": False}
    # Without certificates, which take as long to read as a system takes to start.
    async with httpx.AsyncClient(verify=False, **clients) as http:  # noqa: S501
        serving = nursery.serve(folder, port, environment | {POINT: point})
        system = TwoProcesses(http, http, clock)
        stage = Stage(nursery, folder, environment, witnesses, system, point, serving)
        try:
            await serving.listens()
            stage.alice = await system.traveller()
            stage.flight = await system.a_flight()
            yield stage
        finally:
            await stage.serving.kill()
            await witnesses.close()


def _empty(schema: MetaData) -> list[str]:
    tables = (table.name for table in reversed(schema.sorted_tables))
    return [f"DELETE FROM {table}" for table in tables if table not in REFERENCE]  # noqa: S608
