"""What is written down: every run by its date and commit, and the latest in one small file.

latest.json is `{database: {operation: {cpu_ms, per_s, p50_ms, p99_ms, floor_cpu_ms}}}`; `cpu_ms` is
the CPU of all our processes and the database server together, `floor_cpu_ms` the bare endpoint's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .machine import commit, machine, versions
from .numbers import Spread, total_ms
from .operations import BY_NAME, FLOOR, LATEST, RAW
from .page import PAGE, described_run, put_figures
from .processes import ROOT
from .rounds import Samples
from .system import SETTINGS

RESULTS = Path(__file__).with_name("results")
LATEST_FILE = RESULTS / "latest.json"
FIGURES = ("cpu_ms", "per_s", "p50_ms", "p99_ms", "floor_cpu_ms")
SECRETS = ("secret", "pepper")

Latest = dict[str, dict[str, dict[str, float]]]


def described(samples: Samples, server: str) -> dict[str, Any]:
    """Everything about one database."""
    return {"server": server, "operations": {it: _operation(it, samples) for it in samples.of}}


def save(databases: Mapping[str, Any], given: Mapping[str, Any]) -> Path:
    """Write the run's own file, which it answers; bring latest.json and the page up to date."""
    run: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **about_run(),
        "given": given,
    }
    day = run["at"][:10]
    path = RESULTS / f"{day}-{run['commit']}{'-dirty' if run['dirty'] else ''}.json"
    run |= {"databases": databases}
    write(path, run)
    known: Latest = json.loads(LATEST_FILE.read_text()) if LATEST_FILE.exists() else {}
    latest = merged(known, latest_of(run))
    write(LATEST_FILE, latest)
    PAGE.write_text(put_figures(PAGE.read_text(), latest, described_run(run)))
    return path


def about_run() -> dict[str, Any]:
    """On what, of what, and with which settings."""
    settings = {
        name: value for name, value in SETTINGS.items() if not any(word in name for word in SECRETS)
    }
    return {**commit(), "machine": machine(), "versions": versions(), "settings": settings}


def latest_of(run: Mapping[str, Any]) -> Latest:
    """The short form of a run that was saved; of what failed there is nothing in it."""
    if "databases" not in run:
        return dict(run)  # it is the short form already
    return {
        database: {
            name: {figure: told[figure] for figure in FIGURES}
            for name, told in found["operations"].items()
            if name in LATEST and not told["failed"]
        }
        for database, found in run["databases"].items()
    }


def merged(known: Latest, new: Latest) -> Latest:
    """What is new takes the place of what was known of the same operation."""
    return {
        database: known.get(database, {}) | new.get(database, {})
        for database in sorted(known.keys() | new.keys())
    }


def write(path: Path, told: Mapping[str, Any]) -> None:
    """As JSON, for people too."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")


def shown(path: Path) -> str:
    """Where it is, seen from the project."""
    return str(path.relative_to(ROOT))


def _operation(name: str, samples: Samples) -> dict[str, Any]:
    many = samples.of[name]
    costs = Spread.of([total_ms(it.cpu_ms) for it in many])
    told: dict[str, Any] = {
        "cpu_ms": round(costs.median, 4),
        "cpu_ms_min": round(costs.least, 4),
        "cpu_ms_max": round(costs.most, 4),
        "parts_cpu_ms": {
            part: round(Spread.of([it.cpu_ms[part] for it in many]).median, 4)
            for part in many[0].cpu_ms
        },
        "failed": sorted({it.problem for it in many if it.problem}),
        "rounds_cpu_ms": [round(total_ms(it.cpu_ms), 4) for it in many],
    }
    for figure in ("per_s", "p50_ms", "p99_ms"):
        values = Spread.of([getattr(it.load, figure) for it in many])
        told[figure] = round(values.median, 3)
    if name not in {FLOOR, RAW}:
        told["floor_cpu_ms"] = round(Spread.of(samples.floors[name]).median, 4)
        told["ratio"] = {it: round(value, 2) for it, value in asdict(samples.ratio(name)).items()}
        told["target"] = BY_NAME[name].target
    return told
