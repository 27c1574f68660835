"""Failpoints: named places where a drill ends this process, as a power cut would.

They stand wherever something outside of the process has just changed, or is about to: before and
after every call to somebody else, in every transaction as its last line, and after its COMMIT.

    SKYHOLD_FAILPOINT=book.held     the process kills itself (SIGKILL) the first time it gets there
    SKYHOLD_FAILPOINT=book.held:2   the second time
    SKYHOLD_FAILPOINT=?             it tells on stderr where it passes, and lives

Never in production: a process that is armed says so, and refuses to start where real money moves.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

from .logging import get_logger
from .settings import SettingsError

log = get_logger(__name__)

VARIABLE = "SKYHOLD_FAILPOINT"
TELL = "?"
_WANTED = re.compile(r"(?P<name>[a-z_]+\.[a-z_]+)(?::(?P<nth>[1-9][0-9]{0,8}))?", re.ASCII)

_armed: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """This point is reached: nothing happens, unless it is the one where this process is to die."""
    if _armed is not None:
        _armed(name)


def arm() -> None:
    """Do from now on what SKYHOLD_FAILPOINT says. Raises SettingsError when that makes no sense."""
    global _armed  # noqa: PLW0603 - one point for the whole process; a look at it has to be cheap
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    if "_live_" in os.environ.get("STRIPE_API_KEY", ""):
        msg = f"{VARIABLE} is set, and STRIPE_API_KEY is a live one: no drills with real money"
        raise SettingsError(msg)
    log.warning("failpoint.armed", point=wanted, hint="a drill, never for production")
    _armed = _tell if wanted == TELL else _death_at(wanted)


def _death_at(wanted: str) -> Callable[[str], None]:
    point = _WANTED.fullmatch(wanted)
    if point is None:
        msg = f"{VARIABLE} should look like book.held or book.held:2, or be {TELL}"
        raise SettingsError(msg)
    left = int(point["nth"] or 1)

    def die(name: str) -> None:
        nonlocal left
        if name != point["name"]:
            return
        left -= 1
        if not left:
            _tell(name)
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def _tell(name: str) -> None:
    # Past every buffer: what is written after this may never be.
    os.write(2, f"skyhold: failpoint {name}\n".encode())
