"""A MariaDB Galera cluster of three nodes on this machine, in a folder of its own.

    cluster = Cluster(folder)
    await cluster.start()
    cluster.nodes[0].url("booking")    # mysql://root@127.0.0.1:23456/booking
    cluster.nodes[1].kill()
    await cluster.nodes[1].start()
    await cluster.close()

A node is always started by the same command, `node.command()`, whatever happened to it before: who
keeps the processes may be somebody else (the fault rig's supervisor is). Like the unit of Debian's
package that command first asks InnoDB how far the node had come (`--wsrep-recover`), since one
that was killed has not written it down; without it every restart would copy all the data anew.

All three killed at once mostly come back by themselves when all three are started: each has kept
the last view of the group (pc.recovery, gvwstate.dat). Not when they died in the middle of a change
of that view, or one of them had left before: then Galera waits for a person, and that person is
`Cluster.look_after`. It bootstraps the one that is ahead, once all three say that they are in no
group: never before, as a group that is only slow would be two afterwards.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncmy

from .ports import free_ports
from .processes import as_user, descendants

USER = "mysql"
PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
PACKAGES = "mariadb-server galera-4 rsync"
NODES = 3
PROBE_MAX_S = 2.0
READY_MAX_S = 120.0
LOOK_EVERY_S = 0.1
LOOK_AFTER_EVERY_S = 1.0
ALONE_MAX_S = 8.0  # how long they may take to find each other by themselves

# A node that was killed is out of the group after some three seconds, one that hangs as well.
# Shorter than the defaults (5 s and 15 s), as on one machine no network is slow.
TIMES = (
    "evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.5S;evs.suspect_timeout=PT3S;"
    "evs.inactive_timeout=PT6S;evs.install_timeout=PT6S;gmcast.peer_timeout=PT2S"
)
CONFIGURATION = """
[mariadbd]
datadir = {folder}/data
socket = {folder}/socket
pid_file = {folder}/pid
bind_address = 127.0.0.1
port = {port}
skip_name_resolve = ON
max_connections = 250
innodb_buffer_pool_size = 64M
innodb_log_file_size = 16M
innodb_flush_log_at_trx_commit = 1
innodb_autoinc_lock_mode = 2
binlog_format = ROW
default_storage_engine = InnoDB
wsrep_on = ON
wsrep_provider = {provider}
wsrep_cluster_name = {cluster}
wsrep_cluster_address = gcomm://{members}
wsrep_node_name = {name}
wsrep_node_address = 127.0.0.1
wsrep_slave_threads = 4
wsrep_sst_method = rsync
wsrep_sst_receive_address = 127.0.0.1:{sst}
wsrep_provider_options = "base_host=127.0.0.1;base_port={group};\
gmcast.listen_addr=tcp://127.0.0.1:{group};ist.recv_addr=127.0.0.1:{ist};\
gcache.size=32M;gcache.recover=yes;pc.recovery=yes;{times}"
"""
RUN = """#!/bin/sh
# A file `bootstrap` beside this one says, once, that this node is the first of its group.
cd {folder} || exit 1
rm -f recovered.log
echo $$ > runs
if [ -e data/sst_in_progress ]; then
    # Killed in the middle of a copy of somebody else's data: it is neither the old nor the new.
    find data -mindepth 1 -delete
fi
if [ -e data/ibdata1 ]; then
    {mariadbd} --defaults-file={folder}/my.cnf \\
        --wsrep-recover --log-error={folder}/recovering.log || exit 1
    mv recovering.log recovered.log
    position=$(sed -n 's/.*WSREP: Recovered position: *//p' recovered.log | tail -n 1)
    set -- ${{position:+--wsrep-start-position=$position}}
fi
if [ -e bootstrap ]; then
    rm -f bootstrap data/gvwstate.dat
    [ ! -e data/grastate.dat ] || sed -i '/safe_to_bootstrap/s/0/1/' data/grastate.dat
    set -- "$@" --wsrep-new-cluster
fi
exec {mariadbd} --defaults-file={folder}/my.cnf "$@"
"""


@dataclass
class Node:
    """One of them: how it is run and reached, and a process while it is `start`ed here."""

    name: str
    folder: Path
    port: int
    group: int
    ist: int
    sst: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def lay_out(self, cluster: str, members: str) -> None:
        """Its folder, with what configures it and what runs it. Its data come from the first."""
        (self.folder / "data").mkdir(parents=True)
        configuration = CONFIGURATION.format(
            cluster=cluster,
            folder=self.folder,
            group=self.group,
            ist=self.ist,
            members=members,
            name=self.name,
            port=self.port,
            provider=PROVIDER,
            sst=self.sst,
            times=TIMES,
        )
        (self.folder / "my.cnf").write_text(configuration)
        script = RUN.format(folder=self.folder, mariadbd=program("mariadbd"))
        (self.folder / "run").write_text(script)
        self._belongs_to_the_server()

    def make_first(self) -> None:
        """The tables of the server itself; the first start of this node begins the group."""
        command = [
            program("mariadb-install-db"),
            f"--defaults-file={self.folder / 'my.cnf'}",
            "--wsrep-on=OFF",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        _run(command, self.folder)
        self.bootstrap_next()

    def bootstrap_next(self) -> None:
        """The next start, and only that, makes it the first of a new group."""
        (self.folder / "bootstrap").touch()
        self._belongs_to_the_server()

    def command(self) -> list[str]:
        """What runs it: the first time, and after whatever ended it."""
        return [*as_user(USER), "sh", str(self.folder / "run")]

    def url(self, database: str) -> str:
        """The address of a database, as the services take it."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    async def is_ready(self) -> bool:
        """Whether it is in the group that decides, has all of its data, and takes questions."""
        wanted = {"ready": "ON", "cluster_status": "Primary", "local_state_comment": "Synced"}
        return wanted.items() <= (await self.status()).items()

    async def status(self) -> dict[str, str]:
        """What it says of itself, by names without `wsrep_`; nothing when it does not answer."""
        with suppress(Exception):
            async with asyncio.timeout(PROBE_MAX_S):
                rows = await self.ask("SHOW GLOBAL STATUS LIKE 'wsrep\\_%'")
                return {str(name).removeprefix("wsrep_"): str(value) for name, value in rows}
        return {}

    async def ask(self, *statements: str) -> list[tuple[object, ...]]:
        """Run these, each by itself; the rows of the last one."""
        # SQLAlchemy would begin with questions that a node without a group refuses.
        connection = await asyncmy.connect(
            host="127.0.0.1", port=self.port, user="root", autocommit=True
        )
        try:
            async with connection.cursor() as cursor:
                for statement in statements:
                    await cursor.execute(statement)
                return list(await cursor.fetchall())
        finally:
            connection.close()

    def begin(self) -> None:
        """Start it, and do not wait."""
        assert not self.is_running, f"{self.name} is running"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is ours to hear, not theirs
            )

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.begin()
        await self.ready()

    async def ready(self, within_s: float = READY_MAX_S) -> None:
        """Until it is."""
        give_up_at = time.monotonic() + within_s
        while not await self.is_ready():
            if not self.is_running or time.monotonic() > give_up_at:
                raise TimeoutError(f"{self.name} is not ready:\n{self.said()[-3_000:]}")
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def is_running(self) -> bool:
        """Whether its process is there, ready or not."""
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """Its log."""
        return (self.folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL, for it and whatever copies its data."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)

    def pause(self) -> None:
        """SIGSTOP: it hears and says nothing, and keeps all it holds."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def position(self) -> int | None:
        """How far it has come, when it runs and is in no group; None when it may be in one.

        A server that recovers takes no connections before it has found its group.
        """
        if status := await self.status():
            is_out = status["cluster_status"] != "Primary"
            return int(status["last_committed"]) if is_out else None
        told = self.folder / "recovered.log"
        if not self._runs() or await self._listens() or not told.exists():
            return None
        found = re.findall(r"Recovered position: *\S+:(-?\d+)", told.read_text())
        return int(found[-1]) if found else None

    def _runs(self) -> bool:
        """Whether the server of the last start is there, whoever started it."""
        with suppress(OSError):
            of = Path("/proc", (self.folder / "runs").read_text().strip(), "cmdline")
            return str(self.folder).encode() in of.read_bytes()
        return False

    async def _listens(self) -> bool:
        """Whether somebody takes connections, be it one who is stopped."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    def _signal(self, which: signal.Signals) -> None:
        if self._process is None or not self.is_running:
            return
        for pid in (self._process.pid, *descendants(self._process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, which)

    def _belongs_to_the_server(self) -> None:
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, USER, USER)


class Cluster:
    """Three nodes, which are one database. The folder must be open to the server's user."""

    def __init__(self, folder: Path) -> None:
        ports = iter(free_ports(4 * NODES))
        self.nodes = [
            Node(
                f"node-{number}",
                folder / f"node-{number}",
                next(ports),
                next(ports),
                next(ports),
                next(ports),
            )
            for number in range(1, NODES + 1)
        ]
        self._name = f"skyhold-{os.getpid()}-{self.nodes[0].group}"

    def lay_out(self) -> None:
        """Everything that is on disk before the first start; the first node is to begin."""
        if lack := missing():
            raise SystemExit(lack)
        members = ",".join(f"127.0.0.1:{node.group}" for node in self.nodes)
        for node in self.nodes:
            node.lay_out(self._name, members)
        self.nodes[0].make_first()

    async def start(self) -> None:
        """Lay it out, begin with the first, and let the others join."""
        await asyncio.to_thread(self.lay_out)
        for node in self.nodes:  # one after the other: each copies its data from one who has them
            await node.start()

    async def start_again(self) -> None:
        """All of those that do not run, at once."""
        for node in self.nodes:
            if not node.is_running:
                node.begin()
        await self.ready()

    async def ready(self, within_s: float = READY_MAX_S) -> None:
        """Until every node is, and all are in one group."""
        await asyncio.gather(*(node.ready(within_s) for node in self.nodes))
        async with asyncio.timeout(within_s):
            while await self._sizes() != [str(NODES)] * NODES:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(LOOK_EVERY_S)

    async def look_after(self, restart: Callable[[Node], Awaitable[None]]) -> None:
        """For ever: when all of them run and none finds a group, restart the one that is ahead.

        `restart` ends a node that its keeper starts again.
        """
        alone_since, waits_for = time.monotonic(), None
        while True:
            await asyncio.sleep(LOOK_AFTER_EVERY_S)
            ahead = await self._ahead()
            if ahead is None or ahead is not waits_for:
                alone_since, waits_for = time.monotonic(), ahead
            elif time.monotonic() - alone_since > ALONE_MAX_S:
                ahead.bootstrap_next()
                await restart(ahead)
                alone_since, waits_for = time.monotonic(), None

    async def _ahead(self) -> Node | None:
        """Who has come farthest, when no node is in a group; None when one may be."""
        positions = await asyncio.gather(*(node.position() for node in self.nodes))
        known = {node.name: at for node, at in zip(self.nodes, positions, strict=True)}
        if any(at is None for at in known.values()):
            return None
        return max(self.nodes, key=lambda node: known[node.name])

    async def _sizes(self) -> list[str | None]:
        said = await asyncio.gather(*(node.status() for node in self.nodes))
        return [status.get("cluster_size") for status in said]

    async def close(self) -> None:
        """End every process."""
        for node in self.nodes:
            node.go_on()
            await asyncio.to_thread(node.kill)


def missing() -> str:
    """What this machine lacks for a cluster, and how to get it; empty when it lacks nothing."""
    tools = ("mariadbd", "mariadb-install-db", "rsync")
    lacks = [name for name in tools if _find(name) is None]
    if not PROVIDER.exists():
        lacks.append(str(PROVIDER))
    return f"no {', '.join(lacks)}: apt-get install {PACKAGES}" if lacks else ""


def program(name: str) -> str:
    """Where a program of the server's is."""
    found = _find(name)
    if found is None:
        raise SystemExit(missing())
    return found


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        [*as_user(USER), *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "LC_ALL")
    return {name: os.environ[name] for name in kept if name in os.environ}
