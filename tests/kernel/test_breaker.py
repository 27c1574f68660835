"""Who does not answer is left alone for a while, and then tried once."""

from __future__ import annotations

import asyncio

import pytest

from skyhold.kernel import breaker as breaker_module
from skyhold.kernel.breaker import Breaker, LeftAlone
from skyhold.kernel.metrics import BREAKER_STATE

PAUSE_S = 30.0


class Failure(Exception):
    pass


@pytest.fixture
def later(monkeypatch):
    """Moves the clock that the library reads."""
    ahead = [0.0]
    real = breaker_module.OpenedState.__init__.__globals__["time"].time
    monkeypatch.setattr(
        breaker_module.OpenedState.__init__.__globals__["time"], "time", lambda: real() + ahead[0]
    )

    def move(seconds):
        ahead[0] += seconds

    return move


@pytest.fixture
def breaker():
    return Breaker("somebody", failures_max=3, pause_s=PAUSE_S)


async def fails(breaker):
    with pytest.raises(Failure):
        async with breaker.guard():
            raise Failure


async def succeeds(breaker):
    async with breaker.guard():
        pass


async def is_refused(breaker):
    with pytest.raises(LeftAlone):
        async with breaker.guard():
            pytest.fail("let through")


def state():
    return BREAKER_STATE.labels("somebody")._value.get()


async def opened(breaker):
    for _ in range(3):
        await fails(breaker)


async def test_after_so_many_failures_in_a_row_nobody_is_let_through(breaker, logged):
    await fails(breaker)
    await fails(breaker)
    await succeeds(breaker)
    for _ in range(3):
        await fails(breaker)
    await is_refused(breaker)
    assert state() == 2
    (line,) = [line for line in logged if line["event"] == "breaker.changed"]
    assert (line["party"], line["state"]) == ("somebody", "opened")


async def test_failures_with_a_success_between_them_do_not_add_up(breaker):
    for _ in range(5):
        await fails(breaker)
        await fails(breaker)
        await succeeds(breaker)
    assert state() == 0


async def test_after_the_pause_one_call_is_let_through_and_its_success_lets_all(breaker, later):
    await opened(breaker)
    later(PAUSE_S - 1)
    await is_refused(breaker)
    later(2)
    inside, go = asyncio.Event(), asyncio.Event()

    async def probe():
        async with breaker.guard():
            inside.set()
            await go.wait()

    probing = asyncio.create_task(probe())
    await inside.wait()
    await is_refused(breaker)
    go.set()
    await probing
    await succeeds(breaker)
    assert state() == 0


async def test_after_the_pause_a_failure_means_another_pause(breaker, later):
    await opened(breaker)
    later(PAUSE_S + 1)
    await fails(breaker)
    await is_refused(breaker)
    later(PAUSE_S + 1)
    await succeeds(breaker)
    await succeeds(breaker)


async def test_a_probe_that_is_cancelled_does_not_close_the_door_for_ever(breaker, later):
    await opened(breaker)
    later(PAUSE_S + 1)

    async def probe():
        async with breaker.guard():
            await asyncio.Event().wait()

    probing = asyncio.create_task(probe())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    later(PAUSE_S + 1)
    await succeeds(breaker)
    assert state() == 0


async def test_being_refused_again_and_again_costs_no_memory(breaker):
    """The library raises one and the same exception, which would gather a trace each time."""
    await opened(breaker)
    for _ in range(100):
        with pytest.raises(LeftAlone) as refused:
            async with breaker.guard():
                pass
        assert len(refused.traceback) < 10
        assert refused.value.__cause__ is None
    inner = (await breaker._library.get_breaker("somebody")).context._state
    assert inner.__traceback__ is None
