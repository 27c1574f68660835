"""Any number of processes of each service: started, killed, and restarted while people book."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import column, select, table, update
from typer.testing import CliRunner
from uvicorn.config import STARTUP_FAILURE

from skyhold import cli
from skyhold.booking.models.tables import OUTBOX
from skyhold.cli import asgi, booking_commands, flight_commands
from skyhold.kernel.db import Database
from skyhold.kernel.ids import new_id
from support.balancer import PROBE_PERIOD_S, Balancer, balancer
from support.databases import databases, fresh_database, migrate
from support.fleet import Fleet, ended, stopped
from support.system import Server, System, TwoProcesses, eventually, free_port
from support.traveller import Traveller

BUYERS = 4
LAME_DUCK_S = 5 * PROBE_PERIOD_S
# A connection that is not used while the server says that it is leaving cannot hear it, and is
# closed in the end, perhaps just when a request is sent. So nobody may keep one idle for as long.
IDLE_MAX_S = LAME_DUCK_S / 3


@pytest.fixture
def folder(tmp_path: Path, template: Path) -> Path:
    """A data folder with both schemas and the reference data."""
    return shutil.copytree(template, tmp_path / "data")


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def database(request, tmp_path) -> Iterator[dict[str, str]]:
    """Where the data is, as settings; without any, in files of the folder."""
    if request.param == "sqlite":
        yield {}
        return
    with databases(request.param, tmp_path) as where:
        for url in set(where.values()):
            migrate(url)
        yield where


# --- restarted under load ----------------------------------------------------------------------


@dataclass
class Ledger:
    """How many requests were answered, and what went wrong."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)

    async def note(self, reply: httpx.Response) -> None:
        self.answered += 1
        if reply.status_code >= 400:
            await reply.aread()
            self.failures.append(f"{reply.request.method} {reply.request.url}: {reply.text}")


def client(url: str, ledger: Ledger, *, keep: int) -> httpx.AsyncClient:
    """One that keeps so many connections, and tells the ledger of every answer."""
    limits = httpx.Limits(max_keepalive_connections=keep, keepalive_expiry=IDLE_MAX_S)
    hooks = {"response": [ledger.note]}
    return httpx.AsyncClient(base_url=url, timeout=30, limits=limits, event_hooks=hooks)


async def book_and_cancel(system: System, traveller: Traveller, flight: str) -> None:
    """Everything a traveller does, each time answered by whichever process has the connection."""
    assert (await system.flight(flight))["id"] == flight
    booking = await traveller.book(flight)
    assert booking.status == 201
    assert (await traveller.pay(booking)).status == 201
    assert (await traveller.get(booking))["status"] == "confirmed"
    assert (await traveller.cancel(booking))["status"] == "cancelled"


async def keep_booking(
    to_bookings: httpx.AsyncClient,
    to_flights: httpx.AsyncClient,
    flight: str,
    ledger: Ledger,
    enough: asyncio.Event,
) -> None:
    """One buyer, again and again until there is enough."""
    async with to_bookings, to_flights:
        system = System(to_bookings, to_flights)
        traveller = await system.traveller()
        while not enough.is_set():
            try:
                await book_and_cancel(system, traveller, flight)
            except httpx.TransportError as error:
                ledger.failures.append(f"{error.request.method} {error.request.url}: {error!r}")


async def restart(fleet: Fleet, server: Server, service: str, behind: Balancer) -> Server:
    """Stop a server, and start it again on its port."""
    port = httpx.URL(server.url).port
    assert await stopped(server) == -signal.SIGTERM
    await behind.wait_for(port, ready=False)
    again = fleet.start(service, "serve", port=port)
    await behind.wait_for(port, ready=True)
    return again


async def test_not_one_request_fails_while_every_process_is_restarted(folder, database):
    services = {free_port(): name for name in ("flight", "flight", "booking", "booking")}
    ports = list(services)
    ledger, enough = Ledger(), asyncio.Event()
    async with AsyncExitStack() as stack:
        flights = await stack.enter_async_context(balancer(*ports[:2]))
        bookings = await stack.enter_async_context(balancer(*ports[2:]))
        behind = dict(zip(ports, (flights, flights, bookings, bookings), strict=True))
        fleet = stack.enter_context(
            Fleet(
                folder,
                flight_service=flights.url,
                booking_service=bookings.url,
                lame_duck_s=LAME_DUCK_S,
                provider_timeout_s=8,  # a busy machine is not what this is about
                **database,
            )
        )
        servers = {port: fleet.start(name, "serve", port=port) for port, name in services.items()}
        for port in ports:
            await behind[port].wait_for(port, ready=True)
        async with httpx.AsyncClient(base_url=flights.url, timeout=30) as staff:
            flight = await System(staff, staff).a_flight()

        during: list[int] = []
        async with asyncio.TaskGroup() as buyers:
            for nr in range(BUYERS):
                # Every other one keeps its connections; the others open one for each request.
                keep = nr % 2
                clients = (client(to.url, ledger, keep=keep) for to in (bookings, flights))
                buyers.create_task(keep_booking(*clients, flight, ledger, enough))
            for port, name in services.items():
                before = ledger.answered
                servers[port] = await restart(fleet, servers[port], name, behind[port])
                during.append(ledger.answered - before)
            enough.set()

        assert ledger.failures + bookings.failures + flights.failures == []
        assert min(during) >= 50, during
        for port in ports:
            assert behind[port].connections[port] > 0

        async with httpx.AsyncClient(base_url=flights.url, timeout=30) as reader:

            async def every_seat_is_free():
                return await System(reader, reader).seats_left(flight) == 100

            await eventually(every_seat_is_free)
        for server in servers.values():
            assert '"level": "error"' not in server.log.read_text()


async def says_that_it_stops(server: Server) -> bool:
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        reply = await http.get("/readyz")
    return reply.status_code == 503 and reply.json()["code"] == "not_ready"


async def test_a_server_told_to_stop_says_so_goes_on_serving_and_leaves_nothing_unsent(folder):
    with Fleet(folder, lame_duck_s=60, otel_traces_exporter="console") as fleet:
        server = fleet.start("flight", "serve", port=free_port())
        await fleet.ready(server)
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            assert "connection" not in (await http.get("/livez")).headers
            server.process.terminate()

            await eventually(lambda: says_that_it_stops(server))
            served = await http.get("/api/v1/airports?q=jfk")
            assert (served.status_code, served.headers["connection"]) == (200, "close")
        for _ in range(10):  # and goes on for much longer than a server takes to close
            assert await answers(server)
            await asyncio.sleep(0.05)
        # Asked again, it does not wait any longer.
        assert await stopped(server, within_s=10) == -signal.SIGTERM
        assert '"name": "GET /api/v1/airports"' in _read(server)  # a trace


@pytest.mark.parametrize("workers", [1, 2])
async def test_whoever_has_got_through_to_a_server_that_closes_its_port_is_answered(
    folder, workers
):
    """A new connection for each request, from people who do not look whether it is leaving."""
    with Fleet(folder, lame_duck_s=0.5) as fleet:
        server = fleet.start("flight", "serve", f"--workers={workers}", port=free_port())
        await fleet.ready(server)
        knocking = [asyncio.create_task(knocks(server)) for _ in range(30)]
        await asyncio.sleep(0.5)
        server.process.terminate()
        answered, lost = zip(*await asyncio.wait_for(asyncio.gather(*knocking), 30), strict=True)
        assert await ended(server) in {0, -signal.SIGTERM}
    assert sum(answered) > 100
    # A listener cannot be emptied and closed in one step; where it is not emptied it is many.
    assert sum(lost) <= 1


async def knocks(server: Server) -> tuple[int, int]:
    """Asks over a new connection each time, until the port is closed.

    How often it was answered, and how often it got through and was not.
    """
    host, port = "127.0.0.1", int(server.url.rpartition(":")[2])
    answered = lost = 0
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            return answered, lost
        except ConnectionResetError:
            lost += 1
            continue
        try:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            if (await reader.read()).startswith(b"HTTP/1.1 200"):
                answered += 1
            else:
                lost += 1
        except ConnectionResetError:
            lost += 1
        finally:
            writer.close()


# --- several processes on one port -------------------------------------------------------------


def started(server: Server) -> list[int]:
    """The processes of a server that have begun to serve, by its log."""
    return [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", _read(server))]


async def have_started(server: Server, count: int) -> list[int]:
    async def all_of_them():
        found = started(server)
        return found if len(found) >= count else None

    return await eventually(all_of_them, within_s=30)


async def answers(server: Server) -> bool:
    """Whether somebody answers a new connection."""
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        return (await http.get("/livez")).status_code == 200


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_workers_serve_side_by_side_and_the_dead_are_replaced(folder, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Fleet(folder, lame_duck_s=60, tmpdir=temporary) as fleet:
        server = fleet.start("flight", "serve", "--workers", "2", port=free_port())
        pids = await have_started(server, 2)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            try:  # what answers now is the other one
                assert all([await answers(server) for _ in range(5)])
            finally:
                os.kill(pid, signal.SIGCONT)

        os.kill(pids[0], signal.SIGKILL)
        assert all([await answers(server) for _ in range(5)])
        *_, third = await have_started(server, 3)
        os.kill(pids[1], signal.SIGSTOP)
        try:
            assert await answers(server)
        finally:
            os.kill(pids[1], signal.SIGCONT)

        assert len(list(temporary.iterdir())) == 1  # where their numbers meet
        server.process.terminate()
        await eventually(lambda: says_that_it_stops(server))
        assert await answers(server)
        assert await stopped(server, within_s=20) == 0
        assert not any(map(alive, (*pids, third)))
        assert list(temporary.iterdir()) == []


async def test_no_worker_outlives_its_parent(folder):
    with Fleet(folder) as fleet:
        port = free_port()
        server = fleet.start("flight", "serve", "--workers", "2", port=port)
        pids = await have_started(server, 2)
        try:
            server.process.kill()
            await ended(server)

            async def all_are_gone():
                return not any(map(alive, pids))

            await eventually(all_are_gone)
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


def test_a_worker_that_cannot_start_says_why_and_is_not_tried_again(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JWT_SECRET", "short")
    with pytest.raises(SystemExit) as ending:
        asgi.flight()
    assert ending.value.code == STARTUP_FAILURE
    assert capsys.readouterr().err == "skyhold: JWT_SECRET must have at least 32 bytes.\n"


# --- jobs in processes of their own ------------------------------------------------------------


async def test_what_two_workers_find_to_do_is_done_once(folder):
    ports = [free_port() for _ in range(5)]
    clock = folder / "clock"
    where = {
        "flight_service": f"http://127.0.0.1:{ports[0]}",
        "booking_service": f"http://127.0.0.1:{ports[1]}",
    }
    with Fleet(folder, clock_file=clock, **where) as fleet:
        flights = fleet.start("flight", "serve", "--no-jobs", port=ports[0])
        bookings = fleet.start("booking", "serve", "--no-jobs", "--workers", "2", port=ports[1])
        await fleet.ready(flights, bookings)
        async with (
            httpx.AsyncClient(base_url=bookings.url, timeout=30) as to_bookings,
            httpx.AsyncClient(base_url=flights.url, timeout=30) as to_flights,
        ):
            system = TwoProcesses(to_bookings, to_flights, clock)
            alice = await system.traveller()
            flight = await system.a_flight()

            async def every_seat_is_free():
                return await system.seats_left(flight) == 100

            async def everything_is_told():
                events = await _outbox(folder)
                return all(event.published_at for event in events) and events

            # Nobody works yet. What is due waits for the workers, however much time it has.
            first = {(await alice.book(flight))["id"] for _ in range(3)}
            orphan, wish = new_id(), {"segments": [{"flight_id": flight, "count": 1}], "ttl_s": 60}
            assert (await system.hold("PUT", orphan, wish)).status == 201
            system.advance(minutes=16)
            workers = [fleet.start("booking", "worker", port=port) for port in ports[2:4]]
            sweeper = fleet.start("flight", "worker", port=ports[4])
            await fleet.ready(*workers, sweeper)
            await eventually(every_seat_is_free)

            # Both are there already when these fall due, all at once.
            booked = await asyncio.gather(*(alice.book(flight) for _ in range(40)))
            assert await system.seats_left(flight) == 60
            system.advance(minutes=16)
            await eventually(every_seat_is_free)
            events = await eventually(everything_is_told)
            ids = first | {booking["id"] for booking in booked}
            held = [await system.hold("GET", id_) for id_ in (*ids, orphan)]

        told = Counter((event.type, event.subject) for event in events)
        wanted = ("booking.held", "booking.expired")
        assert told == {(kind, id_): 1 for kind in wanted for id_ in ids}
        assert Counter(hold["status"] for hold in held) == {"released": 43, "expired": 1}
        expired = [_said(worker, "booking.expired") for worker in workers]
        assert sorted(line["booking_id"] for lines in expired for line in lines) == sorted(ids)
        assert sum(line["count"] for line in _said(sweeper, "holds.expired")) == 1
        assert _said(bookings, "booking.expired") == _said(flights, "holds.expired") == []

        async with httpx.AsyncClient(base_url=workers[0].url, timeout=10) as http:
            for path, status in {"/livez": 200, "/metrics": 200, "/api/v1/bookings": 404}.items():
                assert (await http.get(path)).status_code == status
        for worker in (*workers, sweeper):
            assert await stopped(worker, within_s=15) == -signal.SIGTERM
            assert "Application shutdown complete" in _read(worker)
            assert '"level": "error"' not in _read(worker)


async def _outbox(folder: Path):
    db = Database(f"sqlite:///{folder / 'booking.db'}")
    try:
        async with db.read() as tx:
            return await tx.rows(select(OUTBOX))
    finally:
        await db.close()


def _said(server: Server, event: str) -> list[dict[str, Any]]:
    """What a process has logged under this name."""
    lines = [json.loads(line) for line in _read(server).splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def _read(server: Server) -> str:
    return server.log.read_text()


# --- started against the wrong schema ----------------------------------------------------------


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Run a command up to the point where it would listen; what it said, and its status."""
    monkeypatch.chdir(tmp_path)
    for commands in (booking_commands, flight_commands):
        monkeypatch.setattr(commands, "listen", lambda *_, **__: None)

    def run(*command: str, **environment: str):
        port = () if command[1] in {"migrate", "import"} else ("--port", str(free_port()))
        done = CliRunner().invoke(cli.app, [*command, *port], env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output.splitlines()[-1]

    return run


@pytest.fixture(params=["mariadb", "postgresql"])
def on_server(request, tmp_path):
    """An empty database on a server, for both services."""
    with fresh_database(request.param, tmp_path) as url:
        yield {"DATABASE_URL": url, "FLIGHT_DATABASE_URL": url}


@pytest.mark.parametrize("service", ["booking", "flight"])
def test_a_server_without_the_schema_is_refused_in_a_sentence(start, on_server, service):
    for command in ("serve", "worker"):
        status, said = start(service, command, **on_server)
        assert status == 2
        assert said == (
            f"skyhold: The {service} database has no schema yet; "
            f"run `skyhold {service} migrate` first, or start with --migrate."
        )
    assert start(service, "worker", "--migrate", **on_server)[0] == 0
    for command in ("serve", "worker"):
        assert start(service, command, **on_server)[0] == 0


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_server_with_an_older_schema_is_refused_in_a_sentence(start, on_server, command):
    assert start("flight", "migrate", **on_server)[0] == 0
    _stamp(on_server["DATABASE_URL"], "flight", "0001")
    status, said = start("flight", command, **on_server)
    assert status == 2
    assert said.startswith("skyhold: The flight database has an older schema than this version; ")


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_a_newer_schema_is_refused_in_a_sentence_wherever_it_is(start, tmp_path, command):
    assert start("booking", "migrate")[0] == 0
    _stamp(f"sqlite:///{tmp_path / 'data' / 'booking.db'}", "booking", "9999")
    status, said = start("booking", command)
    assert status == 2
    assert said == (
        "skyhold: The booking database has a newer schema than this version; "
        "run the version that migrated it, or a later one."
    )


@pytest.mark.parametrize("service", ["booking", "flight"])
def test_a_file_of_this_machine_is_migrated_on_the_way(start, service):
    assert start(service, "serve")[0] == 0
    assert start(service, "worker")[0] == 0


def _stamp(url: str, service: str, version: str) -> None:
    """Let the database say that it has this version's schema."""

    async def stamp() -> None:
        db = Database(url)
        versions = table(f"{service}_schema_version", column("version_num"))
        try:
            await db.transact(lambda tx: tx.run(update(versions).values(version_num=version)))
        finally:
            await db.close()

    asyncio.run(stamp())
