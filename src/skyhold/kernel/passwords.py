"""Passwords: bcrypt over a keyed digest, in a small thread pool of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from .batcher import Overloaded

Out = TypeVar("Out")

THREADS = 2


class Passwords:
    """Hashes and checks passwords.

    bcrypt reads at most 72 bytes and older versions stop at a NUL, so it is given
    base64(HMAC-SHA384(pepper, password)): 64 characters, whatever the password holds. A hash costs
    a good part of a second of a core by intent; it runs beside the event loop, and with too many
    waiting a further one is refused with Overloaded (503).
    """

    def __init__(self, pepper: str, *, cost: int, waiting_max: int) -> None:
        self._pepper = pepper.encode()
        self._cost = cost
        self._waiting_max = waiting_max
        self._waiting = 0
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="bcrypt")
        self._decoy: bytes | None = None

    async def hash(self, password: str) -> str:
        """A bcrypt hash, 60 ASCII characters, with a fresh salt."""
        return await self._run(lambda: self._hash(password).decode())

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether this is the password. With no hash (unknown user) it is False, as slowly."""
        return await self._run(lambda: self._matches(password, hashed))

    def needs_rehash(self, hashed: str) -> bool:
        """Whether the hash was made with another cost than is asked for now."""
        return int(hashed.split("$")[2]) != self._cost

    def close(self) -> None:
        """Let running hashes finish and stop the threads."""
        self._pool.shutdown()

    def _hash(self, password: str) -> bytes:
        return bcrypt.hashpw(self._digest(password), bcrypt.gensalt(self._cost))

    def _matches(self, password: str, hashed: str | None) -> bool:
        if hashed is None:
            if self._decoy is None:
                self._decoy = self._hash("nobody's password")
            bcrypt.checkpw(self._digest(password), self._decoy)
            return False
        return bcrypt.checkpw(self._digest(password), hashed.encode())

    def _digest(self, password: str) -> bytes:
        keyed = hmac.new(self._pepper, password.encode(), hashlib.sha384).digest()
        return base64.b64encode(keyed)

    async def _run(self, work: Callable[[], Out]) -> Out:
        if self._waiting >= self._waiting_max:
            raise Overloaded
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
