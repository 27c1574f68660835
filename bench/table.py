"""What was measured, as tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from .numbers import Spread, total_ms
from .operations import BY_NAME, FLOOR, RAW
from .rounds import Samples
from .samples import Sample
from .system import PARTS
from .world import FOR_SALE

HOT_MAX = 0.15  # how much slower one flight may sell than many


def show(console: Console, database: str, samples: Samples) -> None:
    """One table of one database."""
    table = Table(title=f"{database}: CPU milliseconds an operation, median (min-max)")
    for column in ("operation", "cpu_ms", *PARTS, "per_s", "p50", "p99", "x floor", "target"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    for name in sorted(samples.of, key=lambda it: (it != FLOOR, it != RAW)):
        table.add_row(*_row(name, samples))
    console.print(table)
    for sentence in kept(samples):
        console.print(f"  {sentence}")


def kept(samples: Samples) -> list[str]:
    """What is promised of operations beside one another, and what came of it."""
    if not {"create", "create_hot", "sold_out"} <= samples.of.keys():
        return []
    per_s = {name: Spread.of([it.load.per_s for it in many]) for name, many in samples.of.items()}
    hot, create = per_s["create_hot"].median, per_s["create"].median
    refused = per_s["sold_out"].median
    flat = _met(hot >= (1 - HOT_MAX) * create)
    quick = _met(refused > create)
    return [
        f"one hot flight sells {hot / create:.2f} times as fast as {FOR_SALE} ({flat})",
        f"a sold-out flight refuses {refused / create:.2f} times as fast as it sells ({quick})",
    ]


def _met(is_met: bool) -> str:  # noqa: FBT001 - it is what is said
    return "met" if is_met else "missed"


def _row(name: str, samples: Samples) -> list[str]:
    many = samples.of[name]
    cells = [name, str(Spread.of([total_ms(it.cpu_ms) for it in many]))]
    cells += [_part(many, part) for part in PARTS]
    cells += [f"{Spread.of([it.load.per_s for it in many]).median:,.0f}"]
    cells += [f"{Spread.of([it.load.p50_ms for it in many]).median:.1f}"]
    cells += [f"{Spread.of([it.load.p99_ms for it in many]).median:.1f}"]
    if name in {FLOOR, RAW}:
        return [*cells, "", "floor"]
    ratio = samples.ratio(name)
    target = BY_NAME[name].target
    return [*cells, f"{ratio.median:.1f}", _verdict(ratio.median, target, many)]


def _part(many: list[Sample], part: str) -> str:
    if part not in many[0].cpu_ms:
        return ""
    return f"{Spread.of([it.cpu_ms[part] for it in many]).median:.2f}"


def _verdict(ratio: float, target: float | None, many: list[Sample]) -> str:
    if any(it.problem for it in many):
        return "[red]FAILED"
    if target is None:
        return ""
    return f"{target:g} met" if ratio <= target else f"[yellow]{target:g} missed"
