"""The system under test, in one process or in two, behind one interface."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from skyhold import embedded
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import BookingService
from skyhold.booking.wiring import wire as wire_booking
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import FlightService
from skyhold.flight.wiring import wire as wire_flight
from skyhold.kernel.auth import Tokens, access_kind, service_kind
from skyhold.kernel.clock import VirtualClock
from skyhold.kernel.messaging import MemoryBus

from .traveller import Reply, Traveller

JWT_SECRET = "a-secret-for-tests-that-is-long-enough"
SERVICE_SECRET = "another-secret-for-tests-long-enough"
PASSWORD = "correct horse battery staple"
SETTINGS: dict[str, Any] = {
    "jwt_secret": JWT_SECRET,
    "service_secret": SERVICE_SECRET,
    "access_token_ttl_s": 86_400,  # travellers stay logged in while the clock moves
    "bcrypt_cost": 4,
    "expiry_period_s": 0.05,
    "relay_period_s": 0.05,
    "relay_lease_s": 1,
    "sweep_period_s": 0.05,
    "provider_timeout_s": 4.0,  # a disk may take a second for one write
    "sandbox_slow_s": 0.2,
    "cookie_secure": False,
    "unpaid_bookings_max": 10_000,  # few people book for many
    "unpaid_seats_max": 90_000,
    "login_limit": "off",  # everybody comes from one address, and in a hurry
    "login_address_limit": "off",
    "register_limit": "off",
    "requests_per_address": "off",
    "requests_per_user": "off",
}
# For plain HTTP. Whoever gives httpx none has it read all certificates of the machine, which takes
# longer than a request; this one trusts nobody.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_names = itertools.count(1)


@dataclass
class System:
    """What a journey needs: clients, travellers, flights, and a clock that can be moved."""

    bookings_http: httpx.AsyncClient
    flights_http: httpx.AsyncClient
    _ahead: timedelta = field(default_factory=timedelta, init=False)

    def now(self) -> datetime:
        """The time as the services see it."""
        return datetime.now(UTC) + self._ahead

    def advance(self, *, minutes: float = 0, seconds: float = 0) -> None:
        """Move everybody's clock forward."""
        self._ahead += timedelta(minutes=minutes, seconds=seconds)
        self._move_clock(self._ahead)

    def _move_clock(self, ahead: timedelta) -> None:
        raise NotImplementedError

    async def traveller(self, name: str = "Ada") -> Traveller:
        """Someone new who has registered and logged in."""
        email = f"{name.lower()}-{next(_names)}-{os.getpid()}@example.com"
        who = {"name": name, "email": email, "password": PASSWORD}
        # Several may do this at once, with a client that keeps the cookie for a moment.
        says = {"sec-fetch-site": "none"}
        reply = await self.bookings_http.post("/api/v1/users/register", json=who, headers=says)
        assert reply.status_code == 201, reply.text
        del who["name"]
        reply = await self.bookings_http.post("/api/v1/users/login", json=who, headers=says)
        assert reply.status_code == 200, reply.text
        self.bookings_http.cookies.clear()
        return Traveller(self.bookings_http, reply.json()["access_token"], email)

    def staff(self) -> dict[str, str]:
        """Headers of a member of the staff."""
        tokens = Tokens(JWT_SECRET, access_kind(86_400), _Fixed(self.now()))
        token = tokens.issue("staff-1", role="staff", sid="a-session-of-staff")
        return {"authorization": f"Bearer {token}"}

    def service(
        self, name: str = "booking", *, to: str = "flight", scope: str = "holds"
    ) -> dict[str, str]:
        """Headers of another service."""
        tokens = Tokens(SERVICE_SECRET, service_kind(to), _Fixed(self.now()))
        return {"authorization": f"Bearer {tokens.issue(name, scope=scope)}"}

    async def a_flight(
        self,
        *,
        aircraft: str = "E90",
        origin: str = "JFK",
        destination: str = "LAX",
        departs_in_h: float = 240,
        takes_h: float = 6,
        **fares: str,
    ) -> str:
        """A new flight, by default of 100 economy seats at 129.00 USD; answers its id."""
        departing_at = self.now().replace(second=0, microsecond=0) + timedelta(hours=departs_in_h)
        body = {
            "airline": "B6",
            "number": next(_numbers),
            "origin": origin,
            "destination": destination,
            "departing_at": departing_at.isoformat(),
            "arriving_at": (departing_at + timedelta(hours=takes_h)).isoformat(),
            "aircraft": aircraft,
            "fares": {
                cabin: {"amount": amount, "currency": "USD"}
                for cabin, amount in (fares or {"economy": "129.00"}).items()
            },
        }
        reply = await self.flights_http.post("/api/v1/flights", json=body, headers=self.staff())
        assert reply.status_code == 201, reply.text
        flight_id: str = reply.json()["id"]
        return flight_id

    async def flight(self, flight_id: str) -> dict[str, Any]:
        """One flight."""
        return (await self.flights_http.get(f"/api/v1/flights/{flight_id}")).json()

    async def seats_left(self, flight_id: str, cabin: str = "economy") -> int:
        """How many seats the flight says are free."""
        flight = await self.flight(flight_id)
        return next(c["seats_available"] for c in flight["cabins"] if c["cabin"] == cabin)

    async def seat_states(self, flight_id: str) -> dict[str, str]:
        """Every seat of a flight and its status."""
        seat_map = (await self.flights_http.get(f"/api/v1/flights/{flight_id}/seats")).json()
        return {
            seat["seat"]: seat["status"]
            for cabin in seat_map["cabins"]
            for row in cabin["rows"]
            for seat in row["seats"]
        }

    async def hold(
        self, method: str, path: str, json: Any = None, client: str = "booking"
    ) -> Reply:
        """A call that the booking service would make."""
        reply = await self.flights_http.request(
            method, f"/api/v1/holds/{path}", json=json, headers=self.service(client)
        )
        return Reply.of(reply)


_numbers = itertools.cycle(range(1, 10_000))


@dataclass(frozen=True)
class _Fixed:
    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass
class OneProcess(System):
    """Both services in this process, with a virtual clock; a test may look inside."""

    bookings: BookingService
    flights: FlightService
    clock: VirtualClock

    def _move_clock(self, ahead: timedelta) -> None:
        missing = ahead - (self.clock.now() - datetime.now(UTC))
        self.clock.advance(seconds=missing.total_seconds())


@asynccontextmanager
async def one_process(data_dir: Path, template: Path, *, transport=None, provider=None, **settings):
    """Run both services here. `transport` wraps the way to the flight service."""
    shutil.copytree(template, data_dir, dirs_exist_ok=True)
    wanted = SETTINGS | {"data_dir": data_dir} | settings
    clock = VirtualClock()
    bus = MemoryBus()
    flights = wire_flight(_settings(FlightSettings, wanted), clock, bus=bus)
    booking_settings = _settings(BookingSettings, wanted)
    way = embedded.to_flights(flights, timeout_s=booking_settings.flight_timeout_s)
    bookings = wire_booking(
        booking_settings,
        clock=clock,
        transport=transport(way) if transport else way,
        provider=provider(clock) if provider else None,
        bus=bus,
    )
    app = embedded.create_app((bookings, flights))
    http = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        flights.running(),
        bookings.running(),
        httpx.AsyncClient(transport=http, base_url="http://skyhold.test", timeout=60) as client,
    ):
        yield OneProcess(client, client, bookings, flights, clock)


def _settings(kind: Any, wanted: dict[str, Any]) -> Any:
    return kind(_env_file=None, **{k: v for k, v in wanted.items() if k in kind.model_fields})


@dataclass
class TwoProcesses(System):
    """`skyhold flight serve` and `skyhold booking serve`, talking REST, sharing a clock file."""

    clock_file: Path

    def _move_clock(self, ahead: timedelta) -> None:
        # Put into place at once: in a file that is being written, they would read an earlier time.
        aside = self.clock_file.with_suffix(".aside")
        aside.write_text(str(ahead.total_seconds()))
        aside.replace(self.clock_file)


@dataclass(frozen=True)
class Server:
    """A service in a process of its own."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True)
class Servers:
    """Two running services."""

    booking: Server
    flight: Server
    clock_file: Path

    @asynccontextmanager
    async def system(self):
        """Clients for them, in the running event loop."""
        # A connection is given up before the server does: not closed just when a request is sent.
        limits = httpx.Limits(max_connections=100, keepalive_expiry=2)
        how = {"timeout": 60, "limits": limits, "verify": NO_TLS}
        async with (
            httpx.AsyncClient(base_url=self.booking.url, **how) as bookings,
            httpx.AsyncClient(base_url=self.flight.url, **how) as flights,
        ):
            system = TwoProcesses(bookings, flights, self.clock_file)
            with suppress(OSError):
                system._ahead = timedelta(seconds=float(self.clock_file.read_text() or 0))
            yield system


def start_servers(data_dir: Path, **settings: object) -> Servers:
    """Start both services as separate processes and wait until they are ready.

    Without a `database_url` and a `flight_database_url` they run on SQLite in the data folder.
    """
    ports = free_port(), free_port()
    environment = {name: str(value) for name, value in SETTINGS.items()} | {
        "data_dir": str(data_dir),
        "clock_file": str(data_dir / "clock"),
        "flight_service": f"http://127.0.0.1:{ports[1]}",
        "booking_service": f"http://127.0.0.1:{ports[0]}",
        "log_level": "INFO",
    }
    environment |= {name: str(value) for name, value in settings.items()}
    booking = start("booking", ports[0], data_dir, environment)
    flight = start("flight", ports[1], data_dir, environment)
    for server in (flight, booking):
        wait_until_ready(server)
    return Servers(booking, flight, data_dir / "clock")


def start(service: str, port: int, data_dir: Path, environment: dict[str, str]) -> Server:
    """`skyhold SERVICE serve`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / f"{service}.log"
    skyhold = Path(sys.executable).with_name("skyhold")
    migrate = () if service == "sandbox" else ("--migrate",)  # it looks after its file by itself
    with log.open("ab") as file:
        process = subprocess.Popen(
            [skyhold, service, "serve", *migrate, "--port", str(port)],
            env=os.environ | {name.upper(): value for name, value in environment.items()},
            stdout=file,
            stderr=file,
            cwd=data_dir,
        )
    return Server(service, f"http://127.0.0.1:{port}", process, log)


def wait_until_ready(server: Server, timeout_s: float = 30) -> None:
    """Until /readyz answers 200."""
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        assert server.process.poll() is None, server.log.read_text()
        with suppress(httpx.HTTPError):
            if httpx.get(f"{server.url}/readyz", verify=NO_TLS).status_code == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(server.log.read_text())


def stop(server: Server, timeout_s: float = 30) -> int:
    """SIGTERM, and the exit status."""
    server.process.terminate()
    return server.process.wait(timeout_s)


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def eventually(check, *, within_s: float = 10):
    """What `check` answers, once that is true."""
    give_up_at = time.monotonic() + within_s
    while not (answer := await check()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"still not so after {within_s} s: {check}")
        await asyncio.sleep(0.02)
    return answer
