"""The databases: servers of the run's own, sized so that the disk's cache decides nothing."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from faults.servers import DATABASES, KINDS, MariaDb, PostgreSql, ServerKind, answers, run_on
from skyhold.booking.models.tables import OUTBOX as BOOKING_OUTBOX
from skyhold.flight.models.tables import OUTBOX as FLIGHT_OUTBOX
from support.system import free_port

from .database import ask
from .processes import Processes

NAMES = ("mariadb", "postgresql", "sqlite")
MEMORY = "512M"


class RoomyMariaDb(MariaDb):
    """Durable commits; no checkpoint falls into a run, and the data is in memory."""

    def command(self, folder: Path, port: int) -> list[str]:
        """As the rig runs it, with room."""
        return [
            *super().command(folder, port),
            "--innodb-log-file-size=256M",
            f"--innodb-buffer-pool-size={MEMORY}",
        ]


class RoomyPostgreSql(PostgreSql):
    """Durable commits; no checkpoint falls into a run, and the data is in memory."""

    def command(self, folder: Path, port: int) -> list[str]:
        """As the rig runs it, with room."""
        more = {"shared_buffers": f"{MEMORY}B", "max_wal_size": "2GB", "min_wal_size": "256MB"}
        settings = [word for name in more for word in ("-c", f"{name}={more[name]}")]
        return [*super().command(folder, port), *settings]


ROOMY: dict[str, type[ServerKind]] = {"mariadb": RoomyMariaDb, "postgresql": RoomyPostgreSql}
assert ROOMY.keys() == KINDS.keys()


@dataclass(frozen=True)
class Database:
    """Where the services keep what they know; `pid` is the server's, None without one."""

    name: str
    pid: int | None
    booking_url: str
    flight_url: str

    def unpublished(self) -> int:
        """How many events are still to be told to others."""
        outboxes = {BOOKING_OUTBOX.name: self.booking_url, FLIGHT_OUTBOX.name: self.flight_url}
        return sum(
            ask(url, f"SELECT COUNT(*) FROM {name} WHERE published_at IS NULL")[0][0]
            for name, url in outboxes.items()
        )


def start_database(name: str, processes: Processes) -> Database:
    """An empty one of this kind, in the processes' folder."""
    folder = processes.folder
    if name == "sqlite":
        return Database(name, None, *(f"sqlite:///{folder / f'{it}.db'}" for it in DATABASES))
    kind = ROOMY[name]()
    data = folder / "disk"
    data.mkdir()
    _give_to(kind.user, data)
    kind.make(data)
    port = free_port()
    admin = kind.admin_url(port)
    pid = processes.start("database", kind.command(data, port))
    processes.wait_until("database", lambda: asyncio.run(answers(admin)))
    asyncio.run(run_on(admin, *(f"CREATE DATABASE {it}" for it in DATABASES)))
    return Database(name, pid, *(kind.url(port, it) for it in DATABASES))


def _give_to(user: str, folder: Path) -> None:
    """As root we run a server as its own user, who has to get to its folder."""
    if folder.owner() != "root":
        return
    shutil.chown(folder, user)
    for above in (folder.parent, *folder.parent.parents):
        if above.owner() == "root" and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
