"""The fault rig on a cluster: every law kept while nodes die, hang and lose each other."""

from __future__ import annotations

import faulthandler
import io

import pytest
from rich.console import Console

from faults.cluster import NODES
from faults.nemesis import ALL_KINDS
from faults.options import Options
from faults.rig import run

MINUTES = 2
# Where clocks jump, laws that compare instants are silent.
BLOWS = tuple(kind for kind in ALL_KINDS if kind != "clock")


@pytest.mark.parametrize(("way", "seed"), [("a list of nodes", 51), ("haproxy", 52)])
async def test_no_law_is_broken_whatever_befalls_the_nodes(folder, way, seed, record_property):
    faulthandler.cancel_dump_traceback_later()  # it takes longer than a test that hangs
    outcome = await run(
        Options(
            seed,
            minutes=MINUTES,
            db="galera",
            buyers=12,
            only=BLOWS,
            haproxy=way == "haproxy",
            folder=folder / "run",
        )
    )
    said = io.StringIO()
    outcome.show(Console(file=said, width=120))
    assert outcome.is_good, said.getvalue()
    assert outcome.counts["acknowledged"] > 50, said.getvalue()
    assert any(where in NODES for _, where in outcome.blows), said.getvalue()
    for figure in ("acknowledged", "unknown"):
        record_property(f"{way}: {figure}", outcome.counts[figure])
    record_property(f"{way}: longest time without a yes", f"{outcome.longest_gap_s:.0f} s")
    record_property(f"{way}: transactions run again", outcome.retries)
