"""The letters that the service has written where it has no SMTP server."""

from __future__ import annotations

import mailbox
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path


def letters_in(folder: Path) -> list[EmailMessage]:
    """All of them, of all days, as a mail program reads them."""
    return [letter for file in sorted(folder.glob("*.mbox")) for letter in _read(file)]


def event_of(letter: EmailMessage) -> str:
    """The id of the event that a letter tells of."""
    return letter["Message-ID"].removeprefix("<").partition("@")[0]


def _read(file: Path) -> list[EmailMessage]:
    with closing(mailbox.mbox(file, create=False)) as found:
        return [message_from_bytes(one.as_bytes(), policy=policy.default) for one in found]
