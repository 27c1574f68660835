"""The load: wrk, from Debian, with a Lua script for each operation."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .processes import plain_environment, program

LUA = Path(__file__).with_name("lua")
CONNECTIONS = 32
MARK = "BENCH "
ANSWER_MAX_S = 10


@dataclass(frozen=True)
class Load:
    """What wrk saw. `done` counts operations: what the script says, or else requests.

    Latencies are of single requests, in milliseconds.
    """

    done: int
    seconds: float
    p50_ms: float
    p99_ms: float
    statuses: Mapping[str, int]
    errors: Mapping[str, int]
    sample: str = ""

    def unexpected(self, status: str) -> str | None:
        """In words, what was not as it should be; None when every answer was."""
        strange = {it: count for it, count in self.statuses.items() if it != status}
        lost = {it: count for it, count in self.errors.items() if count and it != "status"}
        if not strange and not lost and self.done:
            return None
        return f"{strange} {lost} {self.sample[:300]}"

    @property
    def per_s(self) -> float:
        """Operations a second."""
        return self.done / self.seconds


def run_wrk(
    url: str,
    script: str,
    seconds: float,
    *,
    world: Path,
    connections: int = CONNECTIONS,
    told: Mapping[str, str] | None = None,
) -> Load:
    """Run one script against this server for so long. `world` is the Lua file it reads.

    `told` is what else it finds in its environment.
    """
    command = [
        program("wrk", "wrk"),
        "--threads=1",
        f"--connections={connections}",
        f"--duration={max(1, round(seconds))}s",
        f"--timeout={ANSWER_MAX_S}s",
        f"--script={LUA / script}.lua",
        url,
    ]
    known = {"BENCH_LUA": str(LUA), "BENCH_WORLD": str(world), **(told or {})}
    done = subprocess.run(
        command, env=plain_environment() | known, capture_output=True, text=True, check=False
    )
    return parse(done.stdout + done.stderr)


def parse(output: str) -> Load:
    """What the script's `done` printed. Raises SystemExit when it printed nothing."""
    for line in output.splitlines():
        if line.startswith(MARK):
            return _load(json.loads(line.removeprefix(MARK)))
    raise SystemExit(f"wrk said nothing of use:\n{output[-1_000:]}")


def _load(told: Mapping[str, object]) -> Load:
    errors = told["errors"]
    statuses = told["statuses"]
    assert isinstance(errors, dict)
    # An empty table of Lua's is both a list and an object.
    counted = statuses if isinstance(statuses, dict) else {}
    return Load(
        done=int(str(told["operations"])),
        seconds=float(str(told["duration_us"])) / 1e6,
        p50_ms=float(str(told["p50_us"])) / 1e3,
        p99_ms=float(str(told["p99_us"])) / 1e3,
        statuses={str(it): int(count) for it, count in counted.items()},
        errors={str(it): int(count) for it, count in errors.items()},
        sample=str(told["sample"]),
    )
