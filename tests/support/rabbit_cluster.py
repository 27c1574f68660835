"""A RabbitMQ cluster of some nodes on this machine, in a folder of its own.

    cluster = Cluster(folder, nodes=3)
    await cluster.start()
    cluster.url()                 # amqp://guest:guest@127.0.0.1:21501,127.0.0.1:21502,…/
    cluster.nodes[0].kill()
    await cluster.nodes[0].start()
    cluster.close()

Each node has a name, ports, a cookie and data of its own, so a broker that the machine runs is not
touched. The daemon that knows which node listens where (epmd) is shared with it: names are made up.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from .ports import free_ports
from .processes import as_user
from .servers import _speaks_amqp

USER = "rabbitmq"
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_MAX_S = 120.0
LOOK_EVERY_S = 0.1
# A silent node counts as gone after about so long; one that was killed is missed at once.
TICK_S = 10


@dataclass
class Node:
    """One of them, by its name in the cluster."""

    name: str
    port: int
    distribution_port: int
    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def lay_out(self, members: list[str]) -> None:
        """Its folder, with what configures it."""
        self.folder.mkdir()
        lines = [
            f"listeners.tcp.local = 127.0.0.1:{self.port}",
            f"net_ticktime = {TICK_S}",
            "cluster_formation.peer_discovery_backend = classic_config",
            *(
                f"cluster_formation.classic_config.nodes.{number} = {name}"
                for number, name in enumerate(members, start=1)
            ),
        ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "env").touch()
        (self.folder / "plugins").write_text("[].\n")

    def begin(self) -> None:
        """Start it, and do not wait."""
        assert self._process is None, f"{self.name} is running"
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [*as_user(USER), str(PROGRAM)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is ours to hear, not theirs
            )

    async def start(self) -> None:
        """Start it, and wait until clients can connect."""
        self.begin()
        await self.ready()

    async def ready(self) -> None:
        """Until clients can connect. The port is opened when the node is in its cluster."""
        give_up_at = time.monotonic() + START_MAX_S
        while not _speaks_amqp("127.0.0.1", self.port):
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise TimeoutError(f"{self.name} does not start:\n{self.said()[-3_000:]}")
            await asyncio.sleep(LOOK_EVERY_S)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def said(self) -> str:
        """What it printed."""
        return (self.folder / "out").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder.parent),  # where the cookie is
            # So the script becomes the server, instead of waiting for it: one process to kill.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +S 1:1"
            ),
        }


class Cluster:
    """Nodes that make up one broker."""

    def __init__(self, folder: Path, *, nodes: int) -> None:
        self._folder = folder
        ports = free_ports(2 * nodes)
        run = secrets.token_hex(3)
        self.nodes = [
            Node(f"skyhold{run}n{n}@localhost", ports[2 * n], ports[2 * n + 1], folder / str(n))
            for n in range(nodes)
        ]

    def url(self) -> str:
        """Where it is, as the services take it."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"amqp://guest:guest@{hosts}/"

    async def start(self) -> None:
        """Start all nodes; the first makes the cluster, and the others join it."""
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        for node in self.nodes:
            node.lay_out([it.name for it in self.nodes])
        _give(self._folder)
        first, *others = self.nodes
        await first.start()
        for node in others:
            node.begin()
        for node in others:
            await node.ready()

    def close(self) -> None:
        """End what runs."""
        for node in self.nodes:
            node.kill()


def lacking() -> str | None:
    """What is not there that this needs, and how to get it."""
    return None if PROGRAM.exists() else "RabbitMQ (apt-get install rabbitmq-server)"


def _give(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, USER, USER)
