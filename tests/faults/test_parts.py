"""A part of the system dies, comes back, and is gone with all its children in the end."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from support.processes import descendants

from .clocks import Clocks
from .parts import Part
from .run import Journal

WITH_A_CHILD = "import subprocess, sys; subprocess.run(['sleep', '1000'])"


@pytest.fixture
def faults(tmp_path):
    journal = Journal(tmp_path / "faults.jsonl")
    yield journal
    journal.close()


@pytest.fixture
async def start(tmp_path, faults):
    started = []

    async def start(code, **environment):
        part = Part(
            f"part-{len(started)}",
            [sys.executable, "-c", code],
            environment=dict(os.environ) | environment,
            folder=tmp_path,
            logs=tmp_path,
            faults=faults,
            is_ready=_yes,
        )
        started.append(part)
        await part.start()
        return part

    yield start
    for part in started:
        await part.close()


async def _yes():
    return True


async def test_a_part_that_was_killed_comes_back_and_its_absence_is_measured(start, tmp_path):
    part = await start(WITH_A_CHILD)
    first = part._process.pid
    part.kill(0.1)
    await _until(lambda: part.recoveries_s)
    assert part.is_up
    assert part._process.pid != first
    assert '"recovered"' in (tmp_path / "faults.jsonl").read_text()


async def test_a_part_that_ends_by_itself_is_started_again(start):
    part = await start("pass")
    first = part._process.pid
    await _until(lambda: part._process.pid != first)


async def test_nothing_is_left_of_a_part_that_was_closed(start):
    part = await start(WITH_A_CHILD)
    await _until(lambda: descendants(part._process.pid))
    everybody = [part._process.pid, *descendants(part._process.pid)]
    await part.close()
    await _until(lambda: not any(_runs(pid) for pid in everybody))


async def test_a_clock_jumps_for_one_process_and_the_monotonic_one_does_not(start, tmp_path):
    clocks = Clocks(tmp_path / "clocks")
    if not clocks.can_jump:
        pytest.skip("no libfaketime: apt-get install libfaketime")
    said = tmp_path / "said"
    code = f"""
import time
while True:
    open({str(said)!r}, "a").write(f"{{time.time() - time.monotonic()}}\\n"); time.sleep(0.1)
"""
    python = {"PYTHONPATH": str(clocks.python_path)}
    await start(code, **clocks.environment("one"), **python)
    await _until(lambda: said.exists() and len(said.read_text().splitlines()) > 2)
    right = float(said.read_text().splitlines()[0])
    clocks.jump("one", 60)
    await _until(lambda: abs(_last(said) - right - 60) < 1)
    clocks.right()
    await _until(lambda: abs(_last(said) - right) < 1)


def _last(said):
    return float(said.read_text().rpartition("\n")[0].splitlines()[-1])


def _runs(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def _until(check):
    async with asyncio.timeout(60):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
