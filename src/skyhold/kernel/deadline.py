"""How long the one who asked still waits.

Whoever serves a request that says so sets it, and whoever calls on others meanwhile looks at it:
there is no point in an answer that nobody is there to read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_over_at: ContextVar[float | None] = ContextVar("over_at", default=None)


def remaining_s() -> float | None:
    """The seconds left, 0 when the time is over; None when nobody waits for a limited time."""
    over_at = _over_at.get()
    return None if over_at is None else max(0.0, over_at - time.monotonic())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done inside is waited for so long; never longer than around it."""
    left_s = remaining_s()
    token = _over_at.set(time.monotonic() + (seconds if left_s is None else min(seconds, left_s)))
    try:
        yield
    finally:
        _over_at.reset(token)


@contextmanager
def lifted() -> Iterator[None]:
    """Nobody waits for what is done inside: it has been left to itself."""
    token = _over_at.set(None)
    try:
        yield
    finally:
        _over_at.reset(token)
