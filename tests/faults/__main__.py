"""`python -m faults`: run the system under faults, and say whether it kept its word."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from .nemesis import ALL_KINDS
from .options import Options
from .rig import run

DATABASES = ("sqlite", "mariadb", "postgresql", "galera")


def main() -> int:
    """0: no law was broken and everything came to rest. 1: otherwise."""
    console = Console(highlight=False)
    options = _options(console)
    console.print(f"seed {options.seed}", style="bold")
    try:
        outcome = asyncio.run(_until_told(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    outcome.show(console)
    if options.keep or not outcome.is_good:
        console.print(f"kept: {outcome.run.folder}", soft_wrap=True)
    return 0 if outcome.is_good else 1


async def _until_told(options: Options):
    """SIGTERM ends it as Ctrl-C does: with nothing left behind."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    loop.set_exception_handler(_tell_unless_cut_off)
    return await run(options)


def _tell_unless_cut_off(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Drivers leave futures behind when the server they talk to is killed, as it is here."""
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


def _options(console: Console) -> Options:
    parser = argparse.ArgumentParser(prog="python -m faults", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long there is trouble")
    parser.add_argument("--db", choices=DATABASES, default="sqlite")
    parser.add_argument("--seed", type=int, help="the same seed plans the same faults")
    parser.add_argument("--src", type=Path, help="run the services from this folder's skyhold")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in; it stays")
    parser.add_argument("--keep", action="store_true", help="keep the folder, whatever comes")
    parser.add_argument("--calm", action="store_true", help="no faults at all")
    parser.add_argument("--whole", action="store_true", help="everything to every part once")
    parser.add_argument("--only", default=",".join(ALL_KINDS), help="its blows, or `blow:part`")
    parser.add_argument("--mutant", help="what was done to the services, for the record")
    parser.add_argument("--buyers", type=int, default=20)
    parser.add_argument("--scale", type=float, default=1.0, help="how often the proxies do harm")
    parser.add_argument("--haproxy", action="store_true", help="services reach galera by it")
    given = parser.parse_args()
    only = tuple(kind for kind in given.only.split(",") if kind)
    if unknown := {kind.partition(":")[0] for kind in only} - set(ALL_KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(ALL_KINDS)}")
    return Options(
        seed=random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed,
        minutes=given.minutes,
        db=given.db,
        src=given.src and given.src.resolve(),
        folder=given.folder and given.folder.resolve(),
        keep=given.keep,
        calm=given.calm,
        whole=given.whole,
        only=only,
        mutant=given.mutant,
        buyers=given.buyers,
        haproxy=given.haproxy,
        scale=given.scale,
        say=lambda text: console.print(text, style="dim", markup=False, soft_wrap=True),
    )


if __name__ == "__main__":
    sys.exit(main())
