"""Work beside the requests: it goes on after an error, and it stops without losing anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from skyhold.kernel import jobs
from skyhold.kernel.background import Background
from skyhold.kernel.jobs import Periodic
from support.system import eventually

LONG_S = 3_600.0


async def until(check: Callable[[], bool]) -> None:
    async def checked() -> bool:
        return check()

    await eventually(checked)


@dataclass
class Work:
    """Rounds that do what `todo` says: a number of things, or an exception; then nothing."""

    todo: list[int | Exception]
    started_at: list[float] = field(default_factory=list)

    async def __call__(self) -> int:
        self.started_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        done = self.todo.pop(0) if self.todo else 0
        if isinstance(done, Exception):
            raise done
        return done

    @property
    def rounds(self) -> int:
        return len(self.started_at)

    def pauses(self) -> list[float]:
        return [b - a for a, b in zip(self.started_at, self.started_at[1:], strict=False)]


@pytest.fixture
async def every():
    """Start a job that does this work every so many seconds."""
    started = []

    def start(period_s, work, round_max=3):
        job = Periodic("a job", period_s, work, round_max)
        job.start()
        started.append(job)
        return job

    yield start
    for job in started:
        await job.stop(timeout_s=0.01)


async def test_work_is_done_at_once_and_then_again_and_again(every):
    work = Work([])
    every(0.01, work)
    await until(lambda: work.rounds >= 4)
    assert min(work.pauses()) >= 0.009


async def test_a_full_round_is_followed_by_the_next_one_at_once(every):
    work = Work([3, 3, 5, 2, 3])
    every(LONG_S, work)
    await until(lambda: work.rounds == 4)
    await asyncio.sleep(0.02)
    assert work.rounds == 4  # the fourth was not full: now it waits


async def test_an_error_is_logged_and_the_job_goes_on(every, logged):
    work = Work([ValueError("boom")])
    every(0.001, work)
    await until(lambda: work.rounds >= 3)
    [line] = logged
    assert (line["event"], line["job"], line["exc_info"]) == ("job.failed", "a job", True)


async def test_the_pause_doubles_with_every_error_and_is_the_usual_one_afterwards(every, logged):
    work = Work([ValueError(), ValueError(), ValueError(), 0])
    every(0.02, work)
    await until(lambda: work.rounds >= 8)
    pauses = work.pauses()
    assert pauses[0] >= 0.039
    assert pauses[1] >= 0.079
    assert pauses[2] >= 0.159
    assert min(pauses[3:]) < pauses[2]


async def test_the_pause_doubles_up_to_a_limit(every, logged, monkeypatch):
    assert jobs.PAUSE_MAX_S == 60
    monkeypatch.setattr(jobs, "PAUSE_MAX_S", 0.002)
    work = Work([ValueError()] * 20)
    every(0.001, work)
    await until(lambda: work.rounds > 20)  # unlimited, the last pause would take 17 minutes


async def test_stop_does_not_wait_for_the_next_round(every):
    work = Work([])
    job = every(LONG_S, work)
    await until(lambda: work.rounds == 1)
    async with asyncio.timeout(1):
        await job.stop()
    assert work.rounds == 1


async def test_stop_waits_for_the_round_in_progress_and_no_other_one_begins(every):
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), []

    async def full_round():
        begun.set()
        await may_end.wait()
        ended.append("round")
        return 3

    job = every(0.001, full_round)
    await begun.wait()
    stopping = asyncio.create_task(job.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done()
    may_end.set()
    await stopping
    await asyncio.sleep(0.01)
    assert ended == ["round"]


async def test_a_round_that_takes_too_long_is_cut_off(every):
    begun, cut_off = asyncio.Event(), asyncio.Event()

    async def endless():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()
        return 0

    job = every(LONG_S, endless)
    await begun.wait()
    await job.stop(timeout_s=0.01)
    assert cut_off.is_set()


async def test_to_stop_what_never_started_or_has_stopped_is_no_error():
    job = Periodic("a job", LONG_S, Work([]), 1)
    await job.stop()
    job.start()
    await job.stop()
    await job.stop()


# --- best effort -----------------------------------------------------------------------------


async def test_draining_waits_for_what_is_running():
    background, may_end, done = Background(), asyncio.Event(), []

    async def work(name):
        await may_end.wait()
        done.append(name)

    background.spawn(work("a"), name="a")
    background.spawn(work("b"), name="b")
    asyncio.get_running_loop().call_later(0.01, may_end.set)
    await background.drain(timeout_s=5)
    assert sorted(done) == ["a", "b"]


async def test_what_is_not_done_in_time_is_cancelled():
    background, cancelled = Background(), asyncio.Event()

    async def endless():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    background.spawn(endless(), name="endless")
    async with asyncio.timeout(2):
        await background.drain(timeout_s=0.01)
        await cancelled.wait()


async def test_an_error_in_the_background_is_logged_and_goes_no_further(logged):
    background, done = Background(), []

    async def failing():
        raise ValueError("boom")

    async def working():
        done.append("work")

    background.spawn(failing(), name="failing")
    background.spawn(working(), name="working")
    await background.drain(timeout_s=5)
    assert done == ["work"]
    [line] = logged
    assert (line["event"], line["task"]) == ("background.failed", "failing")


async def test_with_nothing_running_there_is_nothing_to_wait_for():
    background = Background()
    await background.drain(timeout_s=LONG_S)
    background.spawn(asyncio.sleep(0), name="short")
    await background.drain(timeout_s=5)
    await background.drain(timeout_s=LONG_S)
