"""One run of schemathesis against one service's document, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.system import Servers

HERE = Path(__file__).parent
CONFIG = HERE / "schemathesis.toml"


@dataclass(frozen=True)
class Outcome:
    """What was asked and answered, and what schemathesis had to say."""

    service: str
    seed: int
    answers: Counter[tuple[str, int]]
    status: int
    report: str

    @property
    def requests(self) -> int:
        return sum(self.answers.values())

    @property
    def operations(self) -> set[str]:
        return {label for label, _ in self.answers}

    @property
    def server_errors(self) -> Counter[tuple[str, int]]:
        return Counter({key: times for key, times in self.answers.items() if key[1] >= 500})

    @property
    def is_fine(self) -> bool:
        return self.status == 0 and not self.server_errors

    def summary(self) -> str:
        """One line."""
        classes = ", ".join(f"{times:,} of {name}" for name, times in self.by_class.items())
        told = "as documented" if self.is_fine else "NOT as documented"
        return (
            f"{self.service}, seed {self.seed}: {len(self.operations)} operations, "
            f"{self.requests:,} requests, {classes or 'no answers'}: {told}"
        )

    @property
    def by_class(self) -> dict[str, int]:
        """How many answers of 2xx, 4xx and so on."""
        found: Counter[str] = Counter()
        for (_, status), times in self.answers.items():
            found[f"{status // 100}xx"] += times
        return dict(sorted(found.items()))


def run(servers: Servers, service: str, folder: Path, *, seed: int, limits: list[str]) -> Outcome:
    """Hold the service against its document; `limits` are schemathesis's own options."""
    server = servers.booking if service == "booking" else servers.flight
    tally = folder / f"{service}.json"
    command = [
        Path(sys.executable).with_name("schemathesis"),
        f"--config-file={CONFIG}",
        "run",
        f"{server.url}/openapi.json",
        f"--seed={seed}",
        "--no-color",
        *limits,
    ]
    environment = os.environ | {
        "FUZZ_BOOKING_URL": servers.booking.url,
        "FUZZ_TALLY": str(tally),
        "PYTHONPATH": str(HERE.parent),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    report = done.stdout + done.stderr
    rows = json.loads(tally.read_text(encoding="utf-8")) if tally.exists() else []
    answers = Counter({(label, status): times for label, status, times in rows})
    return Outcome(service, seed, answers, done.returncode, report)
