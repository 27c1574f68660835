"""A database server of the run's own, in its folder, so that it may be killed and come back."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from support.processes import as_user

DATABASES = ("booking", "flight")
DRIVERS = {"mysql": "mysql+asyncmy", "postgresql": "postgresql+asyncpg"}
PROBE_MAX_S = 2.0


@dataclass(frozen=True)
class ServerKind:
    """How to make and run one; `admin` is the address of a database that is always there."""

    packages: str
    user: str
    admin: str

    def make(self, folder: Path) -> None:
        """Lay out an empty one in this folder."""
        raise NotImplementedError

    def command(self, folder: Path, port: int) -> list[str]:
        """What runs it."""
        raise NotImplementedError

    def url(self, port: int, name: str) -> str:
        """The address of one of its databases, as the services take it."""
        return make_url(self.admin).set(port=port, database=name).render_as_string()

    def admin_url(self, port: int) -> str:
        """The address by which databases are made."""
        return make_url(self.admin).set(port=port).render_as_string()

    def _run(self, command: Sequence[str | Path], folder: Path) -> None:
        done = subprocess.run(
            [*as_user(self.user), *map(str, command)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=_plain_environment(),
        )
        if done.returncode:
            raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _program(self, name: str) -> str:
        newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        places = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, newest_first)]
        found = shutil.which(name, path=os.pathsep.join(places))
        if found is None:
            raise SystemExit(f"no {name}: apt-get install {self.packages}")
        return found


class MariaDb(ServerKind):
    """mariadbd, with every commit on disk before it is answered."""

    def __init__(self) -> None:
        super().__init__("mariadb-server", "mysql", "mysql://root@127.0.0.1/mysql")

    def make(self, folder: Path) -> None:
        command = [
            self._program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={folder / 'mariadb'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        self._run(command, folder)

    def command(self, folder: Path, port: int) -> list[str]:
        return [
            *as_user(self.user),
            self._program("mariadbd"),
            "--no-defaults",
            f"--datadir={folder / 'mariadb'}",
            f"--socket={folder / 'mariadb.sock'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=64M",
            "--max-connections=250",
        ]


class PostgreSql(ServerKind):
    """postgres, with every commit on disk before it is answered."""

    def __init__(self) -> None:
        super().__init__("postgresql", "postgres", "postgresql://postgres@127.0.0.1/postgres")

    def make(self, folder: Path) -> None:
        initdb = [self._program("initdb"), "--pgdata", folder / "postgresql"]
        self._run([*initdb, "--auth=trust", "--username=postgres", "--no-sync"], folder)

    def command(self, folder: Path, port: int) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "max_connections": "250",
            "shared_buffers": "64MB",
            "min_wal_size": "32MB",
            "max_wal_size": "64MB",
        }
        command = [*as_user(self.user), self._program("postgres"), "-D", str(folder / "postgresql")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return [*command, "-p", str(port)]


KINDS = {"mariadb": MariaDb, "postgresql": PostgreSql}


async def answers(url: str) -> bool:
    """Whether a server can be asked something."""
    with suppress(Exception):
        async with asyncio.timeout(PROBE_MAX_S):
            await run_on(url, "SELECT 1")
            return True
    return False


async def run_on(url: str, *statements: str) -> None:
    """Run these, each by itself."""
    target = make_url(url)
    target = target.set(drivername=DRIVERS[target.drivername])
    engine = create_async_engine(target, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await engine.dispose()


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "LC_ALL")
    return {name: os.environ[name] for name in kept if name in os.environ}
