"""The processes' own logs: mistakes that no fault outside can explain.

A dead database or a lost answer has names of its own, and they are expected here. An assertion that
fails, or a constraint that has to refuse what nobody should have tried, is a fault of ours, even
when it did no harm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OURS = re.compile(
    r"^(?:[\w.]*\.)?(?:AssertionError|IntegrityError|KeyError|IndexError|TypeError|AttributeError"
    r"|NameError|ValueError|RecursionError|ProgrammingError|DataError|ValidationError)\b"
)


@dataclass(frozen=True)
class Surprise:
    """One of them: which process said it, about what, and the id by which its story is found."""

    where: str
    event: str
    error: str
    id: str


def surprises(logs: Path) -> Iterator[Surprise]:
    """All of them, process by process."""
    for log in sorted(logs.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            said = _read(line)
            error = _ours(said.get("exception", ""))
            if error is not None:
                id_ = said.get("booking_id") or said.get("request_id") or said.get("timestamp", "")
                yield Surprise(log.stem, said.get("event", ""), error, id_)


def retries(logs: Path) -> int:
    """How often a transaction was run once more."""
    return sum(
        _read(line).get("event") == "db.retry"
        for log in logs.glob("*.log")
        for line in log.read_text(errors="replace").splitlines()
    )


def _read(line: str) -> dict[str, str]:
    if not line.startswith("{"):
        return {}
    try:
        said = json.loads(line)
    except ValueError:  # it was killed in the middle of a line
        return {}
    return said if isinstance(said, dict) else {}


def _ours(exception: str) -> str | None:
    """What the last of its tracebacks ends with, if that is a mistake of ours."""
    _, _, last = exception.rpartition("Traceback (most recent call last):\n")
    ends = next((line for line in last.splitlines() if not line.startswith(" ")), "")
    return ends if OURS.match(ends) else None
