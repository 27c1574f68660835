"""A run beside another one: is an operation costlier than it was?

Each cost is divided by the floor of its own run first, so a slower machine, or a noisier hour,
makes less of a difference.
"""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .results import Latest, latest_of

COSTLIER, CHEAPER = 1.1, 0.9


def show_against(console: Console, new: Latest, path: Path) -> None:
    """Print every operation that both have; `path` is a file of bench/results."""
    table = Table(title=f"cost against {path.name}, each as a multiple of its floor")
    for column in ("database", "operation", "before", "now", "now/before"):
        table.add_column(column, justify="left" if column in {"database", "operation"} else "right")
    old = latest_of(json.loads(path.read_text()))
    for database, name, before, now in pairs(old, new):
        table.add_row(database, name, f"{before:.2f}", f"{now:.2f}", _coloured(now / before))
    console.print(table)


def pairs(old: Latest, new: Latest) -> list[tuple[str, str, float, float]]:
    """Database, operation, its cost before and its cost now, as multiples of their floors."""
    return [
        (database, name, multiple(old[database][name]), multiple(figures))
        for database, operations in new.items()
        for name, figures in operations.items()
        if name in old.get(database, {})
    ]


def multiple(figures: dict[str, float]) -> float:
    """How many times its floor an operation costs."""
    return figures["cpu_ms"] / figures["floor_cpu_ms"]


def _coloured(ratio: float) -> str:
    if ratio > COSTLIER:
        return f"[red]{ratio:.2f}"
    return f"[green]{ratio:.2f}" if ratio < CHEAPER else f"{ratio:.2f}"
