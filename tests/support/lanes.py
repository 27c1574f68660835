"""`make test` runs two tests at a time: which of them may meet.

Most of the time one of the two waits: for a process that starts, for a disk, for a database. What
kills processes meets nothing of its own kind: at most one such test runs, beside one that does not.
Tests of a file stay together, because they share what is costly to make; those of some folders do
so, too.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# One after the other, all in one process: they start processes, kill them, and wait for them.
ONE_LANE = {"failpoints", "faults", "journeys", "pages"}
# These share running services, and are patient with them.
TOGETHER = {"fuzz", "security"}


class Lanes(LoadScopeScheduling):
    """Hands out lanes, folders and files as a whole; those of the most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


def lane(nodeid: str) -> str:
    """What a test has to be run with, one after the other."""
    file = nodeid.partition("::")[0]
    folder = file.removeprefix("tests/").partition("/")[0]
    if folder in ONE_LANE:
        return "processes"
    return folder if folder in TOGETHER else file
