"""Limits that hold for all: what they refuse, for how long, and what happens without Redis."""

from __future__ import annotations

import asyncio
import os
import uuid

import pytest
from limits.aio.storage import MemoryStorage

from skyhold.kernel.limiter import Limiter, TooManyAttempts
from skyhold.kernel.quotas import Quota
from support.servers import missing
from support.system import free_port

REDIS = os.environ.get("SKYHOLD_TEST_REDIS_URL", "redis://127.0.0.1:6379")
THREE = Quota.of("login", "3/minute; 5/hour")


class Broken(MemoryStorage):
    """A storage that does not answer, or says that it cannot."""

    STORAGE_SCHEME = None

    def __init__(self, trouble=None):
        super().__init__()
        self.trouble, self.asked = trouble, 0

    async def incr(self, key, expiry, amount=1):
        self.asked += 1
        if self.trouble is None:
            await asyncio.Event().wait()
        raise self.trouble


async def tries(limiter, times, *who, quota=THREE):
    """How many of so many attempts are admitted."""
    admitted = 0
    for _ in range(times):
        try:
            await limiter.admit(quota, *who)
        except TooManyAttempts:
            continue
        admitted += 1
    return admitted


@pytest.mark.parametrize("trouble", [ConnectionError("away"), None], ids=["refuses", "is silent"])
async def test_without_an_answer_this_process_counts_by_itself(trouble, logged):
    limiter = Limiter(Broken(trouble), now=lambda: 0.0, timeout_s=0.01)
    assert await tries(limiter, 6, "ada") == 3
    assert await tries(limiter, 2, "bob") == 2
    assert [line["event"] for line in logged] == ["limits.alone"]
    with pytest.raises(TooManyAttempts) as refusal:
        await limiter.admit(THREE, "ada")
    assert 1 <= refusal.value.retry_after_s <= 3600


async def test_without_a_quota_nobody_is_counted():
    storage = Broken(ConnectionError())
    assert await tries(Limiter(storage, now=lambda: 0.0), 9, "ada", quota=Quota.of("x", "off")) == 9
    assert storage.asked == 0


@pytest.fixture
async def two():
    """The limiters of two processes."""
    limiters = [Limiter.by_redis(REDIS, 1.0) for _ in range(2)]
    try:
        await limiters[0].storage.incr(f"probe {uuid.uuid4()}", 1)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not there
        missing(f"no Redis at {REDIS}: redis-server --daemonize yes ({error!r})")
    yield limiters
    for limiter in limiters:
        await limiter.close()


async def test_in_redis_what_one_process_counted_another_knows(two, logged):
    here, there = two
    who = uuid.uuid4().hex
    assert await tries(here, 2, who) + await tries(there, 2, who) == 3
    with pytest.raises(TooManyAttempts) as refusal:
        await there.admit(THREE, who)
    assert 1 <= refusal.value.retry_after_s <= 60
    await here.forget(THREE, who)
    assert await tries(there, 4, who) == 3
    assert logged == []


async def test_a_redis_that_is_not_there_is_no_error(logged):
    limiter = Limiter.by_redis(f"redis://127.0.0.1:{free_port()}", 0.25)
    assert await tries(limiter, 5, "ada") == 3
    assert [line["event"] for line in logged] == ["limits.alone"]
    await limiter.close()
