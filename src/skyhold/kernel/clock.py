"""Time, passed in rather than looked up, so that a test can move it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Every instant is aware and in UTC."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """The machine's clock, moved forward by hand.

    It keeps running, so background jobs behave as they do in production; ``advance`` adds to it.
    """

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The present instant of this clock, in UTC."""
        return datetime.now(UTC) + self._ahead

    def advance(self, *, minutes: float = 0, seconds: float = 0) -> None:
        """Move this clock forward."""
        self._ahead += timedelta(minutes=minutes, seconds=seconds)


class FrozenClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self._now = at

    def now(self) -> datetime:
        """The instant this clock was last moved to."""
        return self._now

    def advance(self, *, minutes: float = 0, seconds: float = 0) -> None:
        """Move this clock forward."""
        self._now += timedelta(minutes=minutes, seconds=seconds)


class FileClock:
    """The machine's clock plus the number of seconds written in a file.

    It lets a drill move the time of several processes at once (setting ``clock_file``). A missing
    or unreadable file counts as zero. Not for production: whoever writes the file moves deadlines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        """The present instant, moved by the file's seconds, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._ahead_s())

    def _ahead_s(self) -> float:
        try:
            return float(self._path.read_text() or 0)
        except (OSError, ValueError):
            return 0.0


def clock_for(file: Path | None) -> Clock:
    """The system's clock, or one moved by ``file`` when the settings name one."""
    return SystemClock() if file is None else FileClock(file)
