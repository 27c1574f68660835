"""Counting in fixed windows."""

from __future__ import annotations

import pytest

from skyhold.kernel.windows import TIDY_EVERY_S, Windows


@pytest.fixture
def at():
    """The time, to be moved."""
    return [100.0]


@pytest.fixture
def windows(at):
    return Windows(lambda: at[0])


def test_each_key_is_counted_by_itself_until_its_window_ends(windows, at):
    assert windows.count("ada", 10) == (1, 10)
    at[0] += 4
    assert windows.count("ada", 10) == (2, 6)
    assert windows.count("bob", 10) == (1, 10)
    at[0] += 6
    assert windows.count("ada", 10) == (1, 10)
    assert windows.count("bob", 10) == (2, 4)


def test_what_has_ended_is_forgotten_and_what_has_not_is_kept(windows, at):
    for nr in range(1_000):
        windows.count(nr, 10)
    windows.count("long", 3_600)
    at[0] += TIDY_EVERY_S
    windows.count("new", 10)
    assert len(windows) == 2
    assert windows.count("long", 3_600) == (2, 3_600 - TIDY_EVERY_S)
