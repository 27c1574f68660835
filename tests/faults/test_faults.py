"""The short run: real processes, real faults, and every law kept. `make faults` is the long one."""

from __future__ import annotations

import faulthandler
import io

import pytest
from rich.console import Console

from .mischief import MIX
from .nemesis import KINDS
from .options import Options
from .rig import PARTS, run

# By this one the first 52 requests to the flight service meet every kind of harm; so few get there
# on any machine.
SEED = 314
# A blackout costs a slow machine half a minute; the long run has it.
BLOWS = tuple(kind for kind in KINDS if kind != "blackout")
LEFT_TO_DO_MAX_S = 400


@pytest.fixture
async def outcome(tmp_path):
    """A minute of trouble on SQLite, or longer: until everything was done to every part once."""
    faulthandler.cancel_dump_traceback_later()  # it takes longer than a test that hangs
    return await run(
        Options(
            SEED,
            minutes=1,
            whole=True,
            strike_every_s=2,
            only=BLOWS,
            folder=tmp_path / "run",
            quiet_within_s=LEFT_TO_DO_MAX_S,
        )
    )


async def test_no_law_is_broken_whatever_befalls_the_processes(outcome):
    told = _told(outcome)
    assert not outcome.violations, told
    assert not outcome.left, told
    assert not outcome.surprises, told

    # And it was no holiday: every fault that this machine can have happened, to every part, and
    # buyers bought all the same.
    possible = {kind for kind in BLOWS if not _cannot(kind, outcome)}
    assert outcome.faults.keys() >= possible | MIX.keys(), told
    for part in PARTS:
        assert part == "database" or outcome.blows["kill", part], told
    assert outcome.counts["acknowledged"] > 50, told
    assert outcome.counts["unknown"] > 10, told
    assert outcome.counts["confirmed"] > 0, told
    assert outcome.counts["samples"] > 0, told


def _cannot(kind, outcome):
    lacking = {"clock": "clock jumps", "full_disk": "full disk", "cable": "RabbitMQ"}
    return any(lacking.get(kind, "-") in what for what in outcome.left_out)


def _told(outcome):
    said = io.StringIO()
    outcome.show(Console(file=said, width=120))
    return f"{said.getvalue()}\nsee {outcome.run.folder}"
