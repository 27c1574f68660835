"""E-mails in a mailbox on the disk, for whoever has no SMTP server."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from time import asctime, monotonic, sleep

from skyhold.kernel.batcher import Batcher
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.settings import make_private_folder

# A letter that finds a mail program at the mailbox for longer is sent again later.
LOCKED_MAX_S = 5.0
LOCKED_PAUSE_S = 0.01
# What looks like the beginning of the next message gets a sign before it.
_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_PARTED = b"\n\n"


class MailboxMailer:
    """Appends every message to a file of its day (mbox, RFC 4155), which mail programs open.

    All that wait are written together and reach the disk by one sync: a file for each letter cost
    more than the letter. A repeat stands there twice, under the same Message-ID, as it would at a
    mail server. Only this account can read folder and files.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._waiting: Batcher[bytes, None] = Batcher(self._write_all, name="mailbox")

    async def send(self, message: EmailMessage) -> None:
        """Write one message; Unknown when the disk does not take it."""
        await self._waiting.submit(_entry(message, self._clock.now()))

    async def close(self) -> None:
        """Let what waits be written."""
        await self._waiting.close()

    async def _write_all(self, entries: Sequence[bytes]) -> Sequence[Exception | None]:
        path = self._folder / f"{self._clock.now():%Y-%m-%d}.mbox"
        try:
            await asyncio.to_thread(_append, path, b"".join(entries))
        except OSError as error:
            return [Unknown(f"the mailbox cannot be written: {error.strerror}")] * len(entries)
        return [None] * len(entries)


def _entry(message: EmailMessage, now: datetime) -> bytes:
    content = message.as_bytes().replace(b"\r\n", b"\n")
    began = f"From MAILER-DAEMON {asctime(now.utctimetuple())}\n".encode()
    return began + _FROM.sub(rb">\1", content).rstrip(b"\n") + _PARTED


def _append(path: Path, entries: bytes) -> None:
    """All of them or none, and on the disk. Other processes, and mail programs, wait meanwhile."""
    make_private_folder(path.parent)
    with _alone_at(path) as file:
        end = os.fstat(file).st_size
        last = os.pread(file, len(_PARTED), max(0, end - len(_PARTED)))
        if end and last != _PARTED:
            entries = _PARTED + entries  # who wrote before was killed in the middle of it
        try:
            _write_whole(file, entries)
            os.fsync(file)
        except OSError:
            os.ftruncate(file, end)
            raise


@contextmanager
def _alone_at(path: Path) -> Iterator[int]:
    """The file, while nobody else is at it. Raises OSError when somebody stays for too long."""
    give_up_at = monotonic() + LOCKED_MAX_S
    while monotonic() < give_up_at:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A mail program that takes letters out may write the rest anew, under the old name.
            if _is_locked(file) and path.stat().st_ino == os.fstat(file).st_ino:
                yield file
                return
        finally:
            os.close(file)
        sleep(LOCKED_PAUSE_S)
    raise OSError(errno.EAGAIN, "somebody else is at it")


def _is_locked(file: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_whole(file: int, content: bytes) -> None:
    """A disk that is nearly full takes a part, and says no to the rest."""
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
