"""The whole system as real processes: two of each service, workers, the provider, the database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.cut import Cut

from .clocks import Clocks
from .cluster import NODES, Nodes
from .http import read_answer
from .parts import Part
from .proxy import Link
from .run import Journal, Run
from .servers import DATABASES, KINDS, answers, run_on

JWT_SECRET = "a-secret-for-the-rig-that-is-long-enough"
WINDOW_S, GRACE_S, GIVE_UP_AFTER_S = 10, 8, 4
FLIGHT_TIMEOUT_S, PROVIDER_TIMEOUT_S, BUYER_PATIENCE_S = 1.5, 1.5, 6.0
PROBE_MAX_S = 1.0
LIMITS: Mapping[str, object] = {
    "payment_window_s": WINDOW_S,
    "hold_grace_s": GRACE_S,
    "give_up_after_s": GIVE_UP_AFTER_S,
    "flight_timeout_s": FLIGHT_TIMEOUT_S,
    "flight_deadline_s": 4,
    "provider_timeout_s": PROVIDER_TIMEOUT_S,
    "sandbox_slow_s": 1.8,  # longer than it is waited for: asked again, it has an answer
    "breaker_pause_s": 1,
    "expiry_period_s": 0.3,
    "relay_period_s": 0.3,
    "relay_lease_s": 2,
    "sweep_period_s": 0.5,
    "publish_timeout_s": 2,
    "db_wait_s": 3,
    "db_statement_s": 4,
    "db_pool_max": 8,
    "db_writers_max": 8,
    "drain_s": 10,
    "bcrypt_cost": 4,
    "access_token_ttl_s": 86_400,
    "cookie_secure": False,
    "unpaid_bookings_max": 10_000,  # its buyers are few, and tireless
    "unpaid_seats_max": 90_000,
    "login_limit": "off",
    "login_address_limit": "off",
    "register_limit": "off",
    "requests_per_address": "off",
    "requests_per_user": "off",
    "jwt_secret": JWT_SECRET,
    "service_secret": "another-secret-for-the-rig-long-enough",
    "password_pepper": "a-pepper-for-the-rig-that-is-long-enough",
}


# A group goes on without one of its nodes after some four seconds, and until then nobody can commit
# anything anywhere. So these are the services' own defaults, or half of them.
LIMITS_ON_A_CLUSTER: Mapping[str, object] = {"db_wait_s": 5, "db_statement_s": 8}


@dataclass
class System:
    """Its parts by their names, and the ways between them."""

    run: Run
    disk: Path
    clocks: Clocks
    src: Path
    cuts: dict[str, Cut]
    faults: Journal
    scale: float
    mix: Mapping[str, Mapping[str, float]]
    nodes: Nodes | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wire = self.run.journal("wire")

    async def start(self, ports: Mapping[str, int]) -> None:
        """Start all of it, from the bottom up; the links mean no harm yet."""
        if self.run.db in KINDS:
            await self._start_database(ports["database"])
        if self.nodes is not None:
            await self.nodes.start(self.parts, self.cuts, self._part)
            if port := ports.get("haproxy"):
                folder = self.run.folder / "haproxy"
                await self.nodes.start_haproxy(folder, port, self.parts, self.cuts, self._part)
        await self._open_links(ports)
        for service in DATABASES:
            await self._run_once(service, "migrate")
        public = {"sandbox_public_url": f"http://127.0.0.1:{ports['sandbox']}"}
        self._add("sandbox", ["sandbox", "serve"], ports, public | {"data_dir": self.disk})
        for number in "12":
            self._add(f"flight-{number}", ["flight", "serve"], ports)
            self._add(f"booking-{number}", ["booking", "serve", "--no-jobs"], ports)
            self._add(f"worker-{number}", ["booking", "worker"], ports)
        services = [part for part in self.parts.values() if not part.is_up]
        await asyncio.gather(*(part.start() for part in services))

    async def close(self) -> None:
        """End every process, and close the ways between them."""
        if self.nodes is not None:
            await self.nodes.close()
        servers_last = sorted(self.parts.values(), key=lambda part: "database" in part.name)
        for part in servers_last:
            await part.close()
        for link in self.links.values():
            await link.close()
        for cut in self.cuts.values():
            await cut.close()
        self.wire.close()

    def mean_harm(self) -> None:
        """From now on the ways between the parts are not to be trusted."""
        for link in self.links.values():
            link.means_harm = link is not self.staff()

    async def heal(self) -> None:
        """Nobody means harm any more: everything runs, and everything gets through."""
        for link in self.links.values():
            link.means_harm = False
            link.heal()
        for cut in self.cuts.values():
            await cut.heal()
        self.clocks.right()
        for part in self.parts.values():
            part.go_on()
        for part in self.parts.values():
            await part.wait_ready()
        if self.nodes is not None:
            await self.nodes.whole()

    async def down(self) -> int:
        """How many parts are not there, or not ready yet."""
        down = {part.name for part in self.parts.values() if not part.is_up}
        if self.nodes is not None:
            # A node's process may be there all the time that it is in no group.
            return len(down.difference(NODES)) + await self.nodes.not_ready()
        return len(down)

    def staff(self) -> Link:
        """The way to the flight service that is spared: the schedule is not what is tested."""
        return self.links["staff→flight"]

    async def _start_database(self, port: int) -> None:
        """The services reach it by a wire that can be cut, the witnesses straight."""
        database = KINDS[self.run.db]()
        await asyncio.to_thread(database.make, self.disk)
        admin = database.admin_url(port)
        command = database.command(self.disk, port)
        self.parts["database"] = self._part("database", command, self.disk, lambda: answers(admin))
        await self.parts["database"].start()
        await run_on(admin, *(f"CREATE DATABASE {name}" for name in DATABASES))
        self.cuts["database"] = Cut("127.0.0.1", port)
        await self.cuts["database"].start()

    def _part(
        self,
        name: str,
        command: list[str],
        folder: Path,
        is_ready: Callable[[], Awaitable[bool]],
    ) -> Part:
        """What is not of ours."""
        return Part(
            name,
            command,
            environment=_environment(),
            folder=folder,
            logs=self.run.folder / "logs",
            faults=self.faults,
            is_ready=is_ready,
        )

    async def _open_links(self, ports: Mapping[str, int]) -> None:
        flights = [ports["flight-1"], ports["flight-2"]]
        bookings = [ports["booking-1"], ports["booking-2"]]
        for name, targets, patience_s in (
            ("buyers→booking", bookings, BUYER_PATIENCE_S),
            ("booking→flight", flights, FLIGHT_TIMEOUT_S),
            ("booking→provider", [ports["sandbox"]], PROVIDER_TIMEOUT_S),
            ("flight→booking", bookings, FLIGHT_TIMEOUT_S),
            ("staff→flight", flights, BUYER_PATIENCE_S),
        ):
            link = self.links[name] = Link(
                name,
                targets,
                seed=self.run.seed,
                patience_s=patience_s,
                faults=self.faults,
                scale=self.scale,
                mix=self.mix.get(name),
                wire=self.wire if name == "booking→flight" else None,
            )
            await link.start()

    def _add(
        self,
        name: str,
        command: list[str],
        ports: Mapping[str, int],
        more: Mapping[str, object] | None = None,
    ) -> None:
        port = ports[name]
        self.parts[name] = Part(
            name,
            [_skyhold(), *command, "--port", str(port)],
            environment=self._environment(name) | _named(more or {}),
            folder=self.run.folder / "data",
            logs=self.run.folder / "logs",
            faults=self.faults,
            is_ready=lambda: is_ready(port),
        )

    def _environment(self, name: str) -> dict[str, str]:
        settings: dict[str, object] = {
            **LIMITS,
            **(LIMITS_ON_A_CLUSTER if self.nodes is not None else {}),
            "data_dir": self.run.folder / "data",
            "database_url": self._database(name, self.run.booking_db_url),
            "flight_database_url": self._database(name, self.run.flight_db_url),
            "flight_service": self.links["booking→flight"].url,
            "booking_service": self.links["flight→booking"].url,
            "sandbox_url": self.links["booking→provider"].url,
            "amqp_prefix": self.run.amqp_prefix,
        }
        if self.run.amqp_url:
            settings["amqp_url"] = self._by_wire("broker", self.run.amqp_url)
        paths = [str(path) for path in (self.src, self.clocks.python_path) if path]
        python = {"PYTHONPATH": os.pathsep.join(paths)}
        return _environment() | python | _named(settings) | self.clocks.environment(name)

    def _database(self, who: str, url: str) -> str:
        if self.nodes is not None:
            return self.nodes.url_for(who, url.rpartition("/")[2], self.cuts)
        return self._by_wire("database", url)

    def _by_wire(self, name: str, url: str) -> str:
        return self.cuts[name].url(url) if name in self.cuts else url

    async def _run_once(self, *command: str) -> None:
        done = await asyncio.to_thread(
            subprocess.run,
            [_skyhold(), *command],
            env=self._environment("once"),
            cwd=self.run.folder / "data",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"skyhold {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


async def is_ready(port: int) -> bool:
    """Whether /readyz says so."""
    with suppress(Exception):
        async with asyncio.timeout(PROBE_MAX_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: rig\r\nConnection: close\r\n\r\n")
                return (await read_answer(reader)).status == 200
            finally:
                writer.transport.abort()
    return False


def _skyhold() -> Path:
    return Path(sys.executable).with_name("skyhold")


def _environment() -> dict[str, str]:
    """Ours, without what would be settings of the services."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _named(settings: Mapping[str, object]) -> dict[str, str]:
    return {name.upper(): str(value) for name, value in settings.items()}
