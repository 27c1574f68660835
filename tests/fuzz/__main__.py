"""`make fuzz`: schemathesis for long, from another seed each time, against fresh servers.

Exits with 1 when a service did anything that its document does not say.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from .campaign import Outcome, run
from .stage import stage

SERVICES = ("booking", "flight")
ROUND_S = 120  # a round repeats what it can until then, and the next one has another seed
MANY = 1_000_000


def main() -> int:
    """Rounds of both services until the time is up, then the figures."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, help="of a run to be repeated")
    wanted = parser.parse_args()
    seed = secrets.randbelow(MANY) if wanted.seed is None else wanted.seed
    print(f"seed {seed}: make fuzz SEED={seed} asks the same again", flush=True)
    outcomes = list(_rounds(seed, wanted.minutes * 60))
    for outcome in outcomes:
        if not outcome.is_fine:
            print(outcome.report)
    for outcome in outcomes:
        print(outcome.summary())
    requests = sum(outcome.requests for outcome in outcomes)
    errors = sum(outcome.server_errors.total() for outcome in outcomes)
    failed = sum(not outcome.is_fine for outcome in outcomes)
    print(f"{requests:,} requests, {errors} answers of 5xx, {failed} runs with failures")
    return 1 if failed else 0


def _rounds(seed: int, seconds: float):
    each_s = max(10, min(ROUND_S, int(seconds / len(SERVICES))))
    for number in range(max(1, round(seconds / each_s / len(SERVICES)))):
        with (
            tempfile.TemporaryDirectory(prefix="skyhold-fuzz-") as folder,
            stage(Path(folder)) as servers,
        ):
            for service in SERVICES:
                yield _one(servers, service, Path(folder), seed + number, each_s)


def _one(servers, service: str, folder: Path, seed: int, seconds: int) -> Outcome:
    limits = [f"--max-time={seconds}", "--max-examples=200"]
    outcome = run(servers, service, folder, seed=seed, limits=limits)
    print(outcome.summary(), flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
