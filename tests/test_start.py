"""What a start imports, and that the collector looks after what comes later."""

from __future__ import annotations

import json
import subprocess
import sys

AFTER_A_START = """
import atexit, gc, json, sys

def tell():
    rabbit = [name for name in ("faststream", "aio_pika") if name in sys.modules]
    print(json.dumps([gc.isenabled(), gc.get_freeze_count(), rabbit]), file=sys.stderr)

atexit.register(tell)
sys.argv = ["skyhold", "--help"]
from skyhold.start import main
main()
"""


def test_a_start_imports_no_more_than_it_needs_and_leaves_the_collector_on():
    done = subprocess.run(
        [sys.executable, "-c", AFTER_A_START],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    collects, set_aside, rabbit = json.loads(done.stderr)
    assert collects
    assert set_aside > 100_000
    assert rabbit == []  # those who have a broker import what speaks to it
