"""Processes that tests start: as which user, and what is below them."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def as_user(name: str) -> list[str]:
    """What stands before a command that has to run as this user, when we are root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SystemExit("as root this needs setpriv (apt-get install util-linux)")
    return [setpriv, "--reuid", name, "--regid", name, "--init-groups", "--pdeathsig", "KILL", "--"]


def dies_with_us() -> list[str]:
    """However we end, by kill -9 too, the process ends with us, where setpriv is there."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def descendants(pid: int) -> list[int]:
    """Every process below this one. PostgreSQL's lead groups of their own: a group is not all."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in brackets, may hold anything; after it come the state and the parent.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
