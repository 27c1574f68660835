"""Limits that hold for all processes together: counted in the database, or in Redis."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from operator import methodcaller
from typing import TypeVar

from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter

from .clock import Clock
from .errors import TooManyRequests
from .logging import get_logger
from .metrics import limit_refused
from .quotas import Quota

log = get_logger(__name__)

Out = TypeVar("Out")

REDIS_PREFIX = "skyhold"
WARN_EVERY_S = 60.0


class TooManyAttempts(TooManyRequests):
    """That was tried too often; please wait a little, then try again."""

    code = "too_many_attempts"


@dataclass(slots=True)
class Limiter:
    """Counts what is done, and refuses what is done too often.

    `now` is the clock by which the windows of `storage` end. With `timeout_s` the storage is
    somebody else's: when that does not answer, this process counts by itself for a while, rather
    than letting everybody in, or nobody.
    """

    storage: Storage
    now: Callable[[], float]
    timeout_s: float | None = None
    _own: Storage = field(default_factory=MemoryStorage, init=False)
    _warned_at: float = field(default=-WARN_EVERY_S, init=False)

    @classmethod
    def by_redis(cls, url: str, timeout_s: float) -> Limiter:
        """Counting in Redis (`redis://…`, `rediss://…`)."""
        storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix=REDIS_PREFIX,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        return cls(storage, time.time, timeout_s)

    @classmethod
    def by_storage(cls, storage: Storage, clock: Clock) -> Limiter:
        """Counting in a storage that ends its windows by our clock."""
        return cls(storage, lambda: clock.now().timestamp())

    async def admit(self, quota: Quota, *who: str) -> None:
        """Count one attempt. Raises TooManyAttempts, with how long to wait.

        It is counted before it is known how it ends, so of many at once no more get through.
        """
        for window in quota.windows:
            limiter, admitted = await self._asked(methodcaller("hit", window, quota.name, *who))
            if not admitted:
                limit_refused(quota.name)
                stats = await limiter.get_window_stats(window, quota.name, *who)
                now = time.time() if limiter.storage is self._own else self.now()
                raise TooManyAttempts(retry_after_s=max(1, math.ceil(stats.reset_time - now)))

    async def forget(self, quota: Quota, *who: str) -> None:
        """It went well in the end: begin counting anew."""
        for window in quota.windows:
            await self._asked(methodcaller("clear", window, quota.name, *who))

    async def close(self) -> None:
        """Close the connections to Redis, where there are any."""
        if isinstance(self.storage, RedisStorage):
            client = self.storage.bridge.storage  # type: ignore[attr-defined]  # redis-py's own
            await client.aclose()

    async def _asked(
        self, question: Callable[[FixedWindowRateLimiter], Awaitable[Out]]
    ) -> tuple[FixedWindowRateLimiter, Out]:
        limiter = FixedWindowRateLimiter(self.storage)
        if self.timeout_s is None:
            return limiter, await question(limiter)
        try:
            async with asyncio.timeout(self.timeout_s):
                return limiter, await question(limiter)
        except Exception as error:  # noqa: BLE001 - of whatever kind: it does not count for us now
            self._warn(error)
            own = FixedWindowRateLimiter(self._own)
            return own, await question(own)

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at >= WARN_EVERY_S:
            self._warned_at = time.monotonic()
            log.warning("limits.alone", error=repr(error))
