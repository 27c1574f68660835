"""Asks the vulnerability database about every locked package: requirements/*.lock.

.venv/bin/python scripts/audit.py [what pip-audit understands]

Exits with 0 when none is known to be vulnerable, with 1 when one is, and with 3 when the database
could not be asked: then nothing is known, and nothing is said to be in order.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VULNERABLE, UNKNOWN = 1, 3
COMMAND = (
    Path(sys.executable).with_name("pip-audit"),
    "--require-hashes",  # the lock files say all there is: nothing is resolved or installed
    "--disable-pip",
    "--vulnerability-service=osv",
    "--format=json",
    "--progress-spinner=off",
)


def main() -> int:
    """Ask, and say what came of it."""
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    asked = [f"--requirement={lock}" for lock in locks]
    done = subprocess.run(
        (*COMMAND, *asked, *sys.argv[1:]), check=False, capture_output=True, text=True
    )
    answers = _answers(done.stdout)
    if answers is None:
        why = (done.stderr.strip().splitlines() or ["no answer"])[-1].partition(":")[0]
        print(f"The vulnerability database could not be asked, so nothing is known: {why}")
        return UNKNOWN
    vulnerable = [answer for answer in answers if answer.get("vulns")]
    for answer in vulnerable:
        for found in answer["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "none yet"
            print(f"{answer['name']} {answer['version']}: {found['id']}, fixed in: {fixed}")
    print(f"{len(answers)} packages asked about, {len(vulnerable)} with known vulnerabilities")
    return VULNERABLE if vulnerable else 0


def _answers(said: str) -> list[dict[str, Any]] | None:
    """What the database said of each package, None when it said nothing."""
    try:
        return json.loads(said)["dependencies"] or None
    except (ValueError, KeyError):
        return None


if __name__ == "__main__":
    sys.exit(main())
