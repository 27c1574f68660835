"""Which sessions have ended: here at once, elsewhere after two seconds at most."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from skyhold.kernel import ended_sessions
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.ended_sessions import (
    LAG_MAX_S,
    OVERLAP,
    REFRESH_AFTER_S,
    Ended,
    EndedSessions,
)
from skyhold.kernel.errors import Unavailable

TTL_S = 600


class Elsewhere:
    """The other processes: which sessions ended there, and how often we asked."""

    def __init__(self) -> None:
        self.ended: list[Ended] = []
        self.asked: list[Ended] = []
        self.trouble: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, after: Ended) -> list[Ended]:
        self.asked.append(after)
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        return sorted(one for one in self.ended if one > after)[: ended_sessions.PAGE_MAX]


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def passing(monkeypatch):
    """Let so many seconds pass on the clock that only goes forward."""
    now = [1_000.0]
    monkeypatch.setattr(ended_sessions.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


@pytest.fixture
def sessions(elsewhere, clock, passing) -> EndedSessions:
    return EndedSessions(elsewhere, ttl_s=TTL_S, clock=clock)


async def has_ended(sessions, session_id):
    try:
        await sessions.check(session_id)
    except InvalidToken:
        return True
    return False


async def test_what_ended_here_has_ended_at_once(sessions):
    assert not await has_ended(sessions, "ours")
    sessions.note("ours")
    assert await has_ended(sessions, "ours")
    assert not await has_ended(sessions, "another")


async def test_what_ended_elsewhere_is_known_after_two_seconds_at_most(
    sessions, elsewhere, clock, passing
):
    assert not await has_ended(sessions, "theirs")
    elsewhere.ended.append(Ended(clock.now(), "theirs"))
    passing(LAG_MAX_S)
    assert await has_ended(sessions, "theirs")


async def test_nobody_is_asked_again_within_a_second(sessions, elsewhere, passing):
    for _ in range(100):
        await sessions.check("any")
    passing(REFRESH_AFTER_S - 0.01)
    await sessions.check("any")
    assert len(elsewhere.asked) == 1


async def test_between_one_second_and_two_nobody_waits_for_the_answer(
    sessions, elsewhere, clock, passing
):
    await sessions.check("theirs")
    elsewhere.ended.append(Ended(clock.now(), "theirs"))
    passing(REFRESH_AFTER_S)
    elsewhere.gate.clear()
    await asyncio.wait_for(sessions.check("theirs"), 1)  # decided by what was known
    elsewhere.gate.set()
    await sessions.close()
    assert await has_ended(sessions, "theirs")


async def test_of_many_who_wait_one_asks(sessions, elsewhere, passing):
    elsewhere.gate.clear()
    checks = [asyncio.create_task(sessions.check("any")) for _ in range(50)]
    await asyncio.sleep(0)
    elsewhere.gate.set()
    await asyncio.gather(*checks)
    assert len(elsewhere.asked) == 1


async def test_when_nobody_answers_nothing_is_decided(sessions, elsewhere, passing):
    elsewhere.trouble = Unavailable()
    with pytest.raises(Unavailable):
        await sessions.check("any")
    elsewhere.trouble = None
    await sessions.check("any")


async def test_what_is_known_outlives_a_time_without_answers(sessions, elsewhere, clock, passing):
    elsewhere.ended.append(Ended(clock.now(), "theirs"))
    assert await has_ended(sessions, "theirs")
    elsewhere.trouble = Unavailable()
    passing(60)
    assert await has_ended(sessions, "theirs")  # 401, not 503


async def test_an_end_that_is_committed_late_is_not_missed(sessions, elsewhere, clock, passing):
    clock.advance(seconds=30)
    elsewhere.ended.append(Ended(clock.now(), "early"))
    await has_ended(sessions, "early")
    elsewhere.ended.append(Ended(clock.now() - OVERLAP + timedelta(seconds=1), "late"))
    passing(LAG_MAX_S)
    assert await has_ended(sessions, "late")


async def test_more_than_a_page_is_read_to_its_end(sessions, elsewhere, clock, monkeypatch):
    monkeypatch.setattr(ended_sessions, "PAGE_MAX", 3)
    elsewhere.ended = [Ended(clock.now(), f"s{number}") for number in range(7)]
    for number in range(7):
        assert await has_ended(sessions, f"s{number}")
    assert len(elsewhere.asked) == 3


async def test_a_session_is_forgotten_once_its_last_token_has_expired(
    sessions, elsewhere, clock, passing
):
    sessions.note("ours")
    elsewhere.ended.append(Ended(clock.now(), "theirs"))
    await sessions.check("any")
    clock.advance(seconds=TTL_S)
    passing(LAG_MAX_S)
    assert await has_ended(sessions, "theirs")
    clock.advance(seconds=OVERLAP.total_seconds() + 60)
    elsewhere.ended.clear()
    passing(LAG_MAX_S)
    await sessions.check("any")
    assert not sessions._known
    assert not sessions._by_age


async def test_a_process_that_starts_knows_what_ended_while_tokens_still_live(
    elsewhere, clock, passing
):
    elsewhere.ended.append(Ended(clock.now() - timedelta(seconds=TTL_S), "before"))
    assert await has_ended(EndedSessions(elsewhere, ttl_s=TTL_S, clock=clock), "before")
