"""What a result was measured on, and of what."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import database
from .processes import ROOT
from .system import System

LIBRARIES = (
    "aiosqlite",
    "asyncmy",
    "asyncpg",
    "fastapi",
    "httptools",
    "pydantic",
    "pyjwt",
    "pyreqwest",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
    "uvloop",
)


def machine() -> dict[str, Any]:
    """The processor, how many of it, and the kernel."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def versions() -> dict[str, str]:
    """Of Python, of the libraries that a request passes through, and of wrk."""
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = {"python": platform.python_version(), "wrk": " ".join(wrk.stdout.split()[:2])}
    return found | {name: version(name) for name in LIBRARIES}


def server_version(system: System) -> str:
    """What the database says it is."""
    if system.database.pid is None:
        return f"SQLite {sqlite3.sqlite_version}"
    return str(database.ask(system.database.booking_url, "SELECT version()")[0][0])


def commit() -> dict[str, Any]:
    """What is checked out; `dirty` says that src/ or bench/ is not as it was committed."""
    changed = _git("status", "--porcelain", "--", "src", "bench/*.py", "bench/lua")
    return {"commit": _git("rev-parse", "--short=12", "HEAD"), "dirty": bool(changed)}


def _git(*arguments: str) -> str:
    command = ["git", "-C", ROOT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
