"""Figures that tests count while they run; they stand at the end of the run, before its summary.

A plugin: where tests run in several processes, those hand their figures to the one that reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

NAME = "figures"
_told = pytest.StashKey[dict[str, Sequence[str]]]()


def tell(config: pytest.Config, title: str, lines: Sequence[str]) -> None:
    """Have these lines written under their title once all tests are over."""
    if hasattr(config, "workeroutput"):  # of a process that reports to another one
        config.workeroutput.setdefault(NAME, {})[title] = list(lines)
    else:
        config.stash.setdefault(_told, {})[title] = lines


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for title, lines in getattr(node, "workeroutput", {}).get(NAME, {}).items():
        tell(node.config, title, lines)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for title, lines in config.stash.get(_told, {}).items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
