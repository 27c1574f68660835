"""A process that has imported everything, and from which others are forked.

`skyhold serve` imports for two seconds before it does anything. Here that is done once. A child
goes on as the command line would: it reads its environment, and serves.

Orders come in as lines of JSON, answers go out the same way; when the orders end, so do all
children.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from typing import Any, NoReturn

# What the command line imports only when it needs it.
import aiosqlite  # noqa: F401
import alembic.command  # noqa: F401
import asyncmy  # noqa: F401
import uvicorn.lifespan.on
import uvicorn.loops.auto
import uvicorn.protocols.http.auto
import uvicorn.protocols.websockets.auto  # noqa: F401

from skyhold.booking.services.airports import airport
from skyhold.cli import app
from skyhold.flight.services import reference


def main() -> None:
    airport("JFK")  # reads all of them, which takes as long as a start
    gc.freeze()
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "serve" in order:
            pid = os.fork()
            if not pid:
                serve(**order["serve"])
            children.add(pid)
            answer: Any = pid
        else:
            answer = status(order["status"])
            children -= set() if answer is None else {order["status"]}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def serve(folder: str, port: int, environment: dict[str, str], log: str) -> NoReturn:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(written, 1)
    os.dup2(written, 2)
    # The airports are in the database already. To look for each of them there, at every start,
    # would take longer than all the rest of it.
    reference.load = _nothing
    app(["serve", "--port", str(port)])
    sys.exit()


def status(pid: int) -> int | None:
    """The exit status of a child; the negative number of a signal; None while it lives."""
    ended, how = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(how) if ended else None


async def _nothing(_: object) -> None:
    pass


if __name__ == "__main__":
    main()
