"""Clocks that jump: each process has one of its own, by libfaketime where it is installed.

Only the time of day jumps. The monotonic clock, by which pauses are measured, stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LIBRARY = "libfaketimeMT.so.1"  # the one for programs with threads
PLACES = ("lib/*/faketime", "lib/faketime", "local/lib/faketime")
RIGHT = "+0s"


class Clocks:
    """A file for each process says how far its clock is ahead."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = _library()
        folder.mkdir()

    @property
    def can_jump(self) -> bool:
        """Whether libfaketime is there."""
        return self._library is not None

    @property
    def python_path(self) -> Path | None:
        """Where the remedy for libfaketime's own trouble is (see repair/sitecustomize.py)."""
        return Path(__file__).parent / "repair" if self.can_jump else None

    def environment(self, name: str) -> Mapping[str, str]:
        """What a process needs to have a clock of this name."""
        if self._library is None:
            return {}
        (self._folder / name).write_text(RIGHT)
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / name),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its remedy for a fault that glibc no longer has would turn every wait for the
            # interpreter's lock into a busy one: four times the time to start, ten times the load.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, name: str, ahead_s: int) -> None:
        """From now on this process's clock is so far ahead, or behind."""
        aside = self._folder / f".{name}"
        aside.write_text(f"{ahead_s:+d}s")
        aside.replace(self._folder / name)  # never half a number

    def right(self) -> None:
        """All clocks are right again."""
        for file in self._folder.glob("[!.]*"):
            self.jump(file.name, 0)


def forget(pid: int) -> None:
    """Remove what libfaketime leaves of a process that was killed."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        Path("/dev/shm", name).unlink(missing_ok=True)  # noqa: S108 - its place, not our choice


def _library() -> Path | None:
    for place in PLACES:
        for found in Path("/usr").glob(f"{place}/{LIBRARY}"):
            return found
    return None
