"""One service in several processes that share a port."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from multiprocessing import connection
from pathlib import Path
from socket import socket

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from skyhold.kernel import observatory
from skyhold.kernel.http.protocol import bounded
from skyhold.kernel.logging import get_logger
from skyhold.kernel.settings import KernelSettings

from .leaving import Closing

log = get_logger(__name__)

# Stopping the jobs and closing the connections, once requests are finished.
CLOSES_WITHIN_S = 30.0


class Member(Process):
    """One of them; it closes the port as a single process does."""

    @property
    def server(self) -> Server:
        """The server that runs in it."""
        if self._server is None:
            self._server = Closing(config=self.config)
        return self._server


class Crew(Multiprocess):
    """uvicorn's supervisor, which starts the processes and replaces those that die.

    Ours tells the metrics of the dead, hands a second signal on, and waits for nobody for ever.
    """

    def __init__(self, config: Config, sockets: list[socket], *, ends_within_s: float) -> None:
        super().__init__(config, sockets)
        self._ends_within_s = ends_within_s
        self._pids: set[int] = set()
        self.failed = False

    def init_processes(self) -> None:
        """Start all of them."""
        for _ in range(self.processes_num):
            process = Member(self.config, self.sockets)
            process.start()
            self.processes.append(process)

    def terminate_all(self) -> None:
        """Tell all of them to leave; with our own copy open the port would seem to answer still."""
        super().terminate_all()
        for each in self.sockets:
            each.close()

    def keep_subprocess_alive(self) -> None:
        """Replace whoever has died. One that cannot even start ends it all: so would the next."""
        # uvicorn's own asks each of them for a sign of life, and waits for that: seconds, in which
        # nobody else is replaced and no signal heard, when one dies between the question and the
        # answer. A thread would answer, so it says little more than whether the process is there.
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set() or process.process.is_alive():
                continue
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                log.error("worker.cannot_start", pid=process.pid)
                self.failed = True
                self.should_exit.set()
                return
            log.error("worker.died", pid=process.pid, status=process.exitcode)
            self.processes[place] = Member(self.config, self.sockets)
            self.processes[place].start()
        self._forget_the_dead()

    def join_all(self) -> None:
        """Wait for all of them to finish what they have begun."""
        give_up_at = time.monotonic() + self._ends_within_s
        while time.monotonic() < give_up_at:
            alive = [each.process for each in self.processes if each.process.is_alive()]
            if not alive:
                break
            heard = {self.signal_queue.pop() for _ in range(len(self.signal_queue))}
            if heard & {signal.SIGINT, signal.SIGTERM}:
                for process in alive:
                    process.terminate()
            connection.wait([process.sentinel for process in alive], timeout=0.2)
        for late in self.processes:
            if late.process.is_alive():
                late.kill()
        super().join_all()

    def _forget_the_dead(self) -> None:
        pids = {process.pid for process in self.processes if process.pid is not None}
        for dead in self._pids - pids:
            observatory.forget_process(dead)
        self._pids = pids


def listen_together(
    factory: str, host: str, port: int, settings: KernelSettings, *, workers: int
) -> None:
    """Serve from `workers` processes until SIGTERM or SIGINT; all then finish what they do.

    `factory` names a function that builds the application, as "package.module:function"; each
    process calls it by itself.
    """
    config = Config(
        factory,
        factory=True,
        workers=workers,
        host=host,
        port=port,
        http=bounded(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s,
    )
    with tempfile.TemporaryDirectory(prefix="skyhold-metrics-") as folder:
        observatory.share(Path(folder))  # so that /metrics of any of them is that of all
        ends_within_s = settings.lame_duck_s + settings.drain_s + CLOSES_WITHIN_S
        crew = Crew(config, [config.bind_socket()], ends_within_s=ends_within_s)
        crew.run()
    if crew.failed:
        sys.exit(STARTUP_FAILURE)
