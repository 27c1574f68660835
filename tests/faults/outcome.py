"""What a run has shown."""

from __future__ import annotations

import itertools
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from .checker import Report
from .evidence import Violation
from .logs import Surprise, retries, surprises
from .quiet import Quiet
from .run import Run
from .system import System

SHOWN_MAX = 20
DEEDS = frozenset({"book", "pay", "cancel"})


@dataclass(frozen=True)
class Outcome:
    """What a run has shown."""

    run: Run
    violations: Sequence[Violation]
    surprises: Sequence[Surprise]
    counts: Mapping[str, int]
    faults: Counter[str]
    blows: Counter[tuple[str, str]]
    recoveries_s: Sequence[float]
    next_yes_s: Sequence[float]
    longest_gap_s: float | None
    retries: int
    terminal_after_s: float | None
    quiet_after_s: float | None
    left: Mapping[str, int]
    left_out: Sequence[str]

    @property
    def is_good(self) -> bool:
        """No law was broken, everything came to rest, and no log tells of a mistake."""
        return not self.violations and not self.left and not self.surprises

    def show(self, console: Console) -> None:
        """Print it: lines on a terminal, plain columns elsewhere."""
        table = Table(
            title=f"{self.run.minutes:g} minutes on {self.run.db}, seed {self.run.seed}",
            box=box.ROUNDED if console.is_terminal else None,
            show_header=False,
            title_justify="left",
        )
        for name, value in self._lines():
            table.add_row(name, value)
        console.print(table)
        for violation in self.violations[:SHOWN_MAX]:
            ids = " ".join(violation.ids)
            console.print(
                f"{violation.law}: {violation.text}\n    {ids}", markup=False, soft_wrap=True
            )
        if len(self.violations) > SHOWN_MAX:
            console.print(f"… and {len(self.violations) - SHOWN_MAX} more")
        for it in self.surprises[:SHOWN_MAX]:
            said = f"{it.where}: {it.event}: {it.error}\n    {it.id}"
            console.print(said, markup=False, soft_wrap=True)

    def _lines(self) -> Iterator[tuple[str, str]]:
        count = self.counts
        yield "operations", f"{count.get('operations', 0):,}"
        yield "  acknowledged", f"{count.get('acknowledged', 0):,}"
        yield "  refused", f"{count.get('refused', 0):,}"
        yield "  unknown", f"{count.get('unknown', 0):,}"
        yield "faults", f"{self.faults.total():,}"
        for kind, number in sorted(self.faults.items()):
            yield f"  {kind}", f"{number:,}"
        if self.left_out:
            yield "  left out", "; ".join(self.left_out)
        for name in ("confirmed", "captured", "refunded"):
            yield name, f"{count.get(name, 0):,}"
        yield "duplicates: provider calls", f"{count.get('provider_duplicates', 0):,}"
        duplicates, events = count.get("event_duplicates", 0), count.get("events", 0)
        yield "duplicates: events", f"{duplicates:,} of {events:,}"
        yield "samples of the seats", f"{count.get('samples', 0):,}"
        yield "time to recover: ready again", _spread(self.recoveries_s)
        yield "time to recover: next yes", _spread(self.next_yes_s)
        yield "longest time without a yes", _seconds(self.longest_gap_s)
        yield "transactions run again", f"{self.retries:,}"
        yield "time to terminal, once healed", _seconds(self.terminal_after_s)
        yield "time to quiet, once healed", _seconds(self.quiet_after_s)
        if self.left:
            yield "NOT AT REST", "; ".join(f"{n} {what}" for what, n in self.left.items())
        yield "mistakes in the logs", f"{len(self.surprises)}"
        yield "violations", f"{len(self.violations)}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.median(values):.1f} s median, {max(values):.1f} s longest"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def judged(
    run: Run, system: System, quiet: Quiet, report: Report, left_out: Sequence[str]
) -> Outcome:
    """Everything together."""
    assert run.healed_at is not None
    assert run.quiet_at is not None
    struck = [line for line in run.lines("faults") if line["kind"] != "recovered"]
    terminal_at = quiet.all_terminal_at
    return Outcome(
        run=run,
        violations=report.violations,
        surprises=list(surprises(run.folder / "logs")),
        counts=report.counts,
        faults=Counter(line["kind"] for line in struck),
        blows=Counter((line["kind"], line["where"]) for line in struck),
        recoveries_s=[s for part in system.parts.values() for s in part.recoveries_s],
        next_yes_s=_next_yes(run, [line["at"] for line in struck if line["kind"] == "kill"]),
        longest_gap_s=_longest_gap(run),
        retries=retries(run.folder / "logs"),
        terminal_after_s=terminal_at and terminal_at - run.healed_at,
        quiet_after_s=None if quiet.left else run.quiet_at - run.healed_at,
        left=quiet.left,
        left_out=left_out,
    )


def _yes(run: Run) -> list[float]:
    return [
        line["at"] for line in run.lines("history") if line["type"] == "ok" and line["f"] in DEEDS
    ]


def _longest_gap(run: Run) -> float | None:
    """How long it was that nobody got anything done, while they tried."""
    yes = _yes(run)
    gaps = [after - before for before, after in itertools.pairwise(yes)]
    return max(gaps, default=None)


def _next_yes(run: Run, kills: Sequence[float]) -> list[float]:
    """After each kill, how long it took until a buyer was told yes again."""
    yes = _yes(run)
    after = [(killed_at, bisect_right(yes, killed_at)) for killed_at in kills]
    return [yes[place] - killed_at for killed_at, place in after if place < len(yes)]
