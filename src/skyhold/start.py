"""What `skyhold` runs: the command line, brought up without looking for garbage."""

from __future__ import annotations

import gc


def main() -> None:
    """Import everything, then do what the command line asks for.

    Modules, classes and schemas stay until the process ends. The collector would go through all of
    them again and again while they are made, which is a seventh of the time that this takes.
    """
    gc.disable()
    from skyhold.cli import app  # noqa: PLC0415 - what must not be looked through

    gc.freeze()
    gc.enable()
    app()
