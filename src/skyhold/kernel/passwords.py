"""Passwords: bcrypt over a keyed digest, in a small thread pool of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import bcrypt

from .batcher import Overloaded

Out = TypeVar("Out")

THREADS = 2
PASSWORD_CHARS_MIN = 8


@dataclass(frozen=True, slots=True)
class Hashed:
    """A password as it is kept: a bcrypt hash, 60 ASCII characters, and which pepper is in it.

    `pepper_id` is None for a hash from before that was kept.
    """

    hash: str
    pepper_id: str | None


class Passwords:
    """Hashes and checks passwords.

    bcrypt reads at most 72 bytes and older versions stop at a NUL, so it is given
    base64(HMAC-SHA384(pepper, password)): 64 characters, whatever the password holds. A hash costs
    a good part of a second of a core by intent; it runs beside the event loop, and with too many
    waiting a further one is refused with Overloaded (503).

    New hashes are made with `pepper`; those of `older` peppers, the oldest first, are still
    recognised.
    """

    def __init__(
        self, pepper: str, *, cost: int, waiting_max: int, older: Sequence[str] = ()
    ) -> None:
        self._peppers = {_pepper_id(known): known.encode() for known in (*older, pepper)}
        self._pepper_id = _pepper_id(pepper)
        self._cost = cost
        self._waiting_max = waiting_max
        self._waiting = 0
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="bcrypt")
        # Nobody's: what a password is compared with where there is no user. Made like theirs, so
        # that the comparison takes as long; its 31 characters are no hash of any password.
        self._decoy = bcrypt.gensalt(cost) + b"." * 31

    async def hash(self, password: str) -> Hashed:
        """Hash it with a fresh salt, at the present cost and with the present pepper."""
        return Hashed(await self._run(lambda: self._hash(password)), self._pepper_id)

    async def matches(self, password: str, hashed: Hashed | None) -> bool:
        """Whether this is the password. With no hash (unknown user) it is False, as slowly."""
        return await self._run(lambda: self._matches(password, hashed))

    def needs_rehash(self, hashed: Hashed) -> bool:
        """Whether it was made with another cost or pepper than is asked for now."""
        return int(hashed.hash.split("$")[2]) != self._cost or hashed.pepper_id != self._pepper_id

    def close(self) -> None:
        """Let running hashes finish and stop the threads."""
        self._pool.shutdown()

    def _hash(self, password: str) -> str:
        digest = _digest(self._peppers[self._pepper_id], password)
        return bcrypt.hashpw(digest, bcrypt.gensalt(self._cost)).decode()

    def _matches(self, password: str, hashed: Hashed | None) -> bool:
        pepper = None if hashed is None else self._pepper_of(hashed)
        if hashed is None or pepper is None:
            bcrypt.checkpw(_digest(self._peppers[self._pepper_id], password), self._decoy)
            return False
        return bcrypt.checkpw(_digest(pepper, password), hashed.hash.encode())

    def _pepper_of(self, hashed: Hashed) -> bytes | None:
        # What does not say so is from before peppers could change: then it was the oldest one.
        return self._peppers.get(hashed.pepper_id or next(iter(self._peppers)))

    async def _run(self, work: Callable[[], Out]) -> Out:
        if self._waiting >= self._waiting_max:
            raise Overloaded
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def is_common(password: str) -> bool:
    """Whether it is among the passwords that attackers try first, whatever its case.

    The list is zxcvbn's: the 30,000 that were found most often in breaches.
    """
    return password.casefold() in _common()


@cache
def _common() -> frozenset[str]:
    # Here, not above: 30 ms and a few megabytes that only a process which registers people needs.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # noqa: PLC0415

    return frozenset(
        word for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_CHARS_MIN
    )


def _digest(pepper: bytes, password: str) -> bytes:
    keyed = hmac.new(pepper, password.encode(), hashlib.sha384).digest()
    return base64.b64encode(keyed)


def _pepper_id(pepper: str) -> str:
    """A name for a pepper that tells nothing of it: 8 hex digits of a keyed digest."""
    return hmac.new(pepper.encode(), b"which pepper is this?", hashlib.sha256).hexdigest()[:8]
