"""`python -m faults.mutants`: plant each bug in turn, run the rig, and see which law reports it."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from faults.__main__ import DATABASES
from faults.options import Options
from faults.rig import run

from . import Mutant, of_booking, of_events, of_paying, of_seats

# Nothing planted: what is reported then would be reported of anything.
CONTROL = Mutant("none", "nothing: the same run of the code as it is", frozenset(), [])
MUTANTS = (
    CONTROL,
    *of_booking.MUTANTS,
    *of_seats.MUTANTS,
    *of_paying.MUTANTS,
    *of_events.MUTANTS,
)
# A rare moment may not have come: then there is another seed, and after that one more.
SEEDS_MAX = 3
BASE = {"minutes": 0.4, "buyers": 10, "quiet_within_s": 45.0}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the rig said of a mutant: how often each law, out of how much, and after how long."""

    mutant: Mutant
    seed: int
    laws: Mapping[str, int]
    operations: int
    took_s: float

    @property
    def is_right(self) -> bool:
        """Reported by a law that it should break; by none, if it is no bug."""
        if not self.mutant.laws:
            return not self.laws
        return bool(self.mutant.laws & self.laws.keys())


def main() -> int:
    """0: every bug was reported by a law that it should break, and the control by none."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 250)
    given = _arguments()
    try:
        verdicts = [_judge(mutant, given, console) for mutant in _chosen(given.only)]
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    console.print(_table(verdicts, is_terminal=console.is_terminal))
    missed = [verdict.mutant.name for verdict in verdicts if not verdict.is_right]
    if missed:
        console.print(f"not as it should be: {', '.join(missed)}")
    return 1 if missed else 0


def _judge(mutant: Mutant, given: argparse.Namespace, console: Console) -> Verdict:
    """Run it, if need be with more than one seed. What is no bug has one try to look like one."""
    first = mutant.seed if given.seed is None else given.seed
    tries = SEEDS_MAX if mutant.laws and given.seed is None else 1
    console.print(f"{mutant.name}: {mutant.plants}", markup=False, soft_wrap=True)
    for seed in range(first, first + tries):
        verdict = asyncio.run(_try(mutant, seed, given, console))
        console.print(_line(verdict), markup=False, soft_wrap=True)
        if verdict.is_right:
            break
    return verdict


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults.mutants", description=main.__doc__)
    parser.add_argument("--only", action="append", help="the name of a mutant; may be repeated")
    parser.add_argument("--db", default="sqlite", choices=DATABASES)
    parser.add_argument("--seed", type=int, help="instead of each mutant's own")
    parser.add_argument("--minutes", type=float, help="instead of each mutant's own")
    parser.add_argument("--keep", type=Path, help="keep the folders of the runs in this one")
    return parser.parse_args()


def _chosen(names: Sequence[str] | None) -> Sequence[Mutant]:
    if not names:
        return MUTANTS
    known = {mutant.name: mutant for mutant in MUTANTS}
    if unknown := set(names) - known.keys():
        there = ", ".join(known)
        raise SystemExit(f"no mutant is called {', '.join(sorted(unknown))}; there are {there}")
    return [known[name] for name in names]


async def _try(mutant: Mutant, seed: int, given: argparse.Namespace, console: Console) -> Verdict:
    options = Options(
        seed=seed,
        db=given.db,
        mutant=mutant.name,
        say=lambda text: console.print(f"  {text}", style="dim", markup=False, soft_wrap=True),
    )
    options = dataclasses.replace(options, **BASE | dict(mutant.options))
    if given.minutes is not None:
        options = dataclasses.replace(options, minutes=given.minutes)
    task = asyncio.current_task()
    assert task is not None
    # SIGTERM ends it as Ctrl-C does: with nothing left behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="skyhold-mutant-") as scratch:
        _open_to_all(Path(scratch))
        # The rig wants the folder of its run for itself.
        src = mutant.plant(Path(scratch) / "src")
        folder = Path(given.keep or scratch) / f"{mutant.name}-{given.db}-{seed}"
        outcome = await run(dataclasses.replace(options, src=src, folder=folder))
    return Verdict(
        mutant,
        seed,
        Counter(found.law for found in outcome.violations),
        outcome.counts.get("operations", 0),
        time.monotonic() - began,
    )


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)  # the database servers are other users


def _line(verdict: Verdict) -> str:
    laws = ", ".join(f"{law} x{times}" for law, times in verdict.laws.items())
    said = "as it should be" if verdict.is_right else "NOT AS IT SHOULD BE"
    return f"  {verdict.took_s:.0f} s, {verdict.operations} operations: {said}: {laws or 'nothing'}"


def _table(verdicts: Sequence[Verdict], *, is_terminal: bool) -> Table:
    table = Table(box=box.ROUNDED if is_terminal else box.MARKDOWN)
    for title in ("mutant", "what is planted", "reported by", "operations", "seconds", "seed"):
        table.add_column(title)
    for verdict in verdicts:
        laws = sorted(verdict.laws, key=lambda law: (law not in verdict.mutant.laws, law))
        table.add_row(
            verdict.mutant.name,
            verdict.mutant.plants,
            ", ".join(laws) or "nothing",
            str(verdict.operations),
            f"{verdict.took_s:.0f}",
            str(verdict.seed),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
