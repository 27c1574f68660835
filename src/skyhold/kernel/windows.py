"""Counting in fixed windows, in the memory of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

TIDY_EVERY_S = 60.0


@dataclass(slots=True)
class _Window:
    ends_at: float
    counted: int = 0


class Windows:
    """How often each key was counted since its window began.

    The library `limits` would do, but looks at every key a hundred times a second, in a thread of
    its own: with ten thousand users that takes a ninth of a core. Windows that have ended are
    forgotten here now and then, while something is counted.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._open: dict[Hashable, _Window] = {}
        self._tidy_at = now() + TIDY_EVERY_S

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._open)

    def count(self, key: Hashable, length_s: float) -> tuple[int, float]:
        """One more. Answers how many that makes, and in how many seconds the window ends."""
        now = self._now()
        if now >= self._tidy_at:
            self._tidy(now)
        window = self._open.get(key)
        if window is None or window.ends_at <= now:
            window = self._open[key] = _Window(now + length_s)
        window.counted += 1
        return window.counted, window.ends_at - now

    def _tidy(self, now: float) -> None:
        self._tidy_at = now + TIDY_EVERY_S
        self._open = {key: window for key, window in self._open.items() if window.ends_at > now}
