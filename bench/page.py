"""The figures in docs/performance.md: written by each run that is saved, between two marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .operations import BY_NAME, LATEST
from .processes import ROOT

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of the figures -->"


def put_figures(page: str, latest: Mapping[str, Any], said: str) -> str:
    """The page with these figures in the place of those before; `said` tells what was run where."""
    return put_between(page, BEGIN, END, f"{said}\n\n" + "\n".join(_lines(latest)))


def put_between(page: str, begin: str, end: str, text: str) -> str:
    """The page with this text between its two marks."""
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    assert rest.count(end) == 1, "the page has lost its marks"
    return f"{before}{begin}\n{text}\n{end}{after}"


def described_run(run: Mapping[str, Any]) -> str:
    """In a sentence: when, which commit, which machine, which servers."""
    machine = run["machine"]
    servers = ", ".join(f"{name} {it['server']}" for name, it in run["databases"].items())
    dirty = " with changes" if run["dirty"] else ""
    return (
        f"Last run: {run['at'][:10]}, commit `{run['commit']}`{dirty}, {machine['cores']} "
        f"cores of {machine['cpu']}, Linux {machine['kernel']}, "
        f"Python {run['versions']['python']}; {servers}; "
        f"{run['given']['rounds']} rounds of {run['given']['seconds']:g} s."
    )


def _lines(latest: Mapping[str, Any]) -> Iterator[str]:
    yield "| database | operation | CPU, ms | floor, ms | x floor | target | per s | p50 | p99 |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|"
    for database, operations in latest.items():
        for name in (it for it in LATEST if it in operations):
            it = operations[name]
            target = f"{BY_NAME[name].target:g}" if database == "mariadb" else ""
            yield (
                f"| {database} | {name} | {it['cpu_ms']:.2f} | {it['floor_cpu_ms']:.3f} "
                f"| {it['cpu_ms'] / it['floor_cpu_ms']:.1f} | {target} | {it['per_s']:,.0f} "
                f"| {it['p50_ms']:.1f} | {it['p99_ms']:.1f} |"
            )
