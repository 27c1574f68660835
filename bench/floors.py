"""The floors, measured in the same run: what no service of this kind could be cheaper than."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass

from support.system import free_port

from .operations import FLOOR
from .proc import cpu_of
from .processes import Processes, bench_module, plain_environment
from .samples import Sample, sample_of
from .servers import Database
from .world import World
from .wrk import Load, run_wrk


@dataclass(frozen=True)
class Bare:
    """The endpoint that does nothing, see `bare`."""

    url: str
    pid: int


def start_bare(processes: Processes) -> Bare:
    """Start it, and wait until it listens."""
    port = free_port()
    pid = processes.start(FLOOR, bench_module("bare", port))
    processes.wait_until(FLOOR, lambda: _listens(port))
    return Bare(f"http://127.0.0.1:{port}", pid)


def measure_bare(bare: Bare, world: World, seconds: float) -> Sample:
    """The load that every operation gets, on this endpoint."""
    file = world.write([])
    before = cpu_of({FLOOR: bare.pid})
    load = run_wrk(bare.url, FLOOR, seconds, world=file)
    return sample_of(load, before, cpu_of({FLOOR: bare.pid}), "200")


def measure_raw(database: Database, seconds: float) -> Sample:
    """Durable commits of one row each, see `raw`."""
    pids = {} if database.pid is None else {"database": database.pid}
    before = cpu_of(pids)
    done = subprocess.run(
        bench_module("raw", database.booking_url, seconds),
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the raw driver failed:\n{done.stderr[-1_000:]}")
    told = json.loads(done.stdout)
    client_ms = 1e3 * told.pop("cpu_s") / told["done"]
    load = Load(**told, statuses={"committed": told["done"]}, errors={})
    sample = sample_of(load, before, cpu_of(pids), "committed")
    return Sample(load, {"driver": client_ms} | sample.cpu_ms, sample.problem)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
