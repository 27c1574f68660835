"""What a process and everything below it has used, as the kernel counts it in /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faults.parts import descendants

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")
# The work that a load leaves behind (events, letters, purges) is waited for: until all of it
# together uses less than this share of one CPU, several looks in a row, because the jobs pause for
# up to a second between two rounds; or until so many seconds have passed.
QUIET_SHARE = 0.12
QUIET_LOOK_S, QUIET_LOOKS = 0.25, 5
QUIET_MAX_S = 60.0


@dataclass(frozen=True)
class Used:
    """CPU seconds since it was started, and resident memory in bytes."""

    cpu_s: float
    rss_bytes: int


def used(pid: int) -> Used:
    """By this process, its threads, and all processes below it, those too that have ended."""
    cpu_s, rss = 0.0, 0
    for each in (pid, *descendants(pid)):
        with suppress(OSError):
            one = parse_stat((PROC / str(each) / "stat").read_text())
            cpu_s += one.cpu_s
            rss += one.rss_bytes
    return Used(cpu_s, rss)


def parse_stat(line: str) -> Used:
    """One line of /proc/PID/stat (proc_pid_stat(5)).

    utime and stime are those of all its threads; cutime and cstime those of the children that it
    has waited for, so nothing is lost when one ends.
    """
    # The name, in brackets, may hold anything: fields are counted from behind it, from 3.
    fields = line.rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    return Used(ticks / TICKS_PER_S, int(fields[21]) * PAGE_BYTES)


def cpu_of(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds of each part."""
    return {part: used(pid).cpu_s for part, pid in pids.items()}


def wait_until_quiet(pids: Mapping[str, int]) -> bool:
    """Until what was asked of the system is done, also what it does afterwards; False if never."""
    give_up_at = time.monotonic() + QUIET_MAX_S
    before, looks = sum(cpu_of(pids).values()), 0
    while time.monotonic() < give_up_at and looks < QUIET_LOOKS:
        time.sleep(QUIET_LOOK_S)
        now = sum(cpu_of(pids).values())
        looks = looks + 1 if now - before < QUIET_SHARE * QUIET_LOOK_S else 0
        before = now
    return looks >= QUIET_LOOKS
