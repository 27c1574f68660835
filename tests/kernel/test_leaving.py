"""Leaving a broker that confirms nothing: after a pause that grows, and has an end."""

from __future__ import annotations

import pytest

from skyhold.kernel.messaging.leaving import LEAVE_AFTER_S, LEAVE_MAX_S, Leaving


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def leaving(pauses) -> Leaving:
    async def closes_within(pause_s: float) -> bool:
        pauses.append(pause_s)
        return False

    return Leaving(closes_within)


async def leave() -> None:
    pass


async def test_the_pause_doubles_up_to_its_bound_however_long_nothing_is_confirmed(leaving, pauses):
    for _ in range(1_100):  # so many doublings are more than a float can hold
        leaving.begin(leave)
        await leaving.ended()
    assert pauses[:3] == [LEAVE_AFTER_S, 2 * LEAVE_AFTER_S, 4 * LEAVE_AFTER_S]
    assert pauses[-1] == max(pauses) == LEAVE_MAX_S


async def test_what_is_confirmed_ends_the_doubling(leaving, pauses):
    for confirm in (False, True, False):
        if confirm:
            leaving.confirmed()
        leaving.begin(leave)
        await leaving.ended()
    assert pauses == [LEAVE_AFTER_S, LEAVE_AFTER_S, 2 * LEAVE_AFTER_S]
