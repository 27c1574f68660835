"""Where e-mails go: to an SMTP server, or into a folder.

A mailer either has handed the message over when it returns, or says which of two it was: Unknown,
and the same message may be sent again later, or MailRefused, and it will never be taken. A repeat
carries the same Message-ID, so whoever receives it twice can tell.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import ssl
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from skyhold.kernel.batcher import Batcher
from skyhold.kernel.client import Unknown
from skyhold.kernel.ids import digest
from skyhold.kernel.settings import make_private_folder

CONNECTIONS_MAX = 4
GOODBYE_MAX_S = 1.0
PERMANENT = range(500, 600)
# Nothing is wrong with the message: we were to log in first, with other credentials or over TLS
# (RFC 4954), or spoke out of turn. Somebody mends the settings, and then it goes out.
OUR_FAULT = frozenset({503, 530, 534, 535, 538})
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b", re.ASCII)
_FILE_NAME = re.compile(r"<([A-Za-z0-9][A-Za-z0-9._-]{0,99})@[^<>@]*>", re.ASCII)


class MailRefused(Exception):
    """The message, or its recipient, was refused for good; sending it again would change nothing.

    Neither this nor Unknown repeats what the server said: that often holds the address.
    """


class Mailer(Protocol):
    """Hands messages over."""

    async def send(self, message: EmailMessage) -> None:
        """Hand one message over. Raises Unknown (try again later) or MailRefused (never)."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class SmtpMailer:
    """Hands messages to an SMTP server, each over a connection of its own, a few at a time.

    `starttls` insists on it: a server that does not offer it gets neither password nor message.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        user: str | None = None,
        password: str | None = None,
        security: Literal["starttls", "tls", "none"] = "starttls",
        timeout_s: float = 10.0,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._user = user
        self._password = password
        self._security = security
        self._timeout_s = timeout_s
        self._tls_context = tls_context
        self._connections = asyncio.Semaphore(CONNECTIONS_MAX)

    async def send(self, message: EmailMessage) -> None:
        """Hand one message over, within the time-out once a connection is free."""
        async with self._connections:
            client = self._client()
            try:
                failure = await self._failure(client, message)
                if failure is None:
                    # The server has it; whatever becomes of the goodbye.
                    with suppress(SMTPException, OSError, TimeoutError):
                        await client.quit(timeout=GOODBYE_MAX_S)
            finally:
                client.close()
        if failure is not None:
            # Raised out here, so that the library's own error, which names the recipient, is not
            # logged as its cause.
            raise failure

    async def close(self) -> None:
        """Nothing is kept open between messages."""

    def _client(self) -> SMTP:
        return SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            timeout=self._timeout_s,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._tls_context,
        )

    async def _failure(self, client: SMTP, message: EmailMessage) -> Exception | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await client.connect()
                await client.send_message(message)
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            return _meaning(error, connected=client.is_connected)
        return None


class _File(NamedTuple):
    name: str
    content: bytes


class FolderMailer:
    """Writes every message into a folder as an .eml file, for whoever has no SMTP server.

    A repeat overwrites the file of the first time. Only this account can read folder and files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: Batcher[_File, None] = Batcher(self._write_all, name="mail_folder")

    async def send(self, message: EmailMessage) -> None:
        """Write one message; Unknown when the disk does not take it."""
        await self._waiting.submit(_File(_file_name(message), message.as_bytes()))

    async def close(self) -> None:
        """Let what waits be written."""
        await self._waiting.close()

    async def _write_all(self, files: Sequence[_File]) -> Sequence[Exception | None]:
        return await asyncio.to_thread(lambda: [self._written(file) for file in files])

    def _written(self, file: _File) -> Exception | None:
        try:
            self._write(file)
        except OSError as error:
            return Unknown(f"the mail folder cannot be written: {error.strerror}")
        return None

    def _write(self, file: _File) -> None:
        make_private_folder(self._folder)
        aside = self._folder / f".{file.name}.{secrets.token_hex(4)}"
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as to:
                to.write(file.content)
                to.flush()
                os.fsync(to.fileno())
            aside.replace(self._folder / file.name)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _meaning(error: Exception, *, connected: bool) -> Exception:
    """What an error says about the message, if anything."""
    if isinstance(error, SMTPRecipientsRefused):
        error = error.recipients[0]  # there is one
    if isinstance(error, SMTPRecipientRefused | SMTPDataError):
        # 5.7.x to a recipient: the server would not relay for us (RFC 3463), whoever it is.
        no_relay = isinstance(error, SMTPRecipientRefused) and " 5.7." in _said(error)
        for_good = error.code in PERMANENT and error.code not in OUR_FAULT and not no_relay
        return (MailRefused if for_good else Unknown)(_said(error))
    if isinstance(error, SMTPResponseException):
        return Unknown(_said(error))  # to our greeting, login or sender: for the settings to mend
    if isinstance(error, SMTPNotSupported):
        return MailRefused("the mail server takes no international addresses")
    if isinstance(error, ValueError) and connected:
        return MailRefused("the message has an address that cannot be written")
    return Unknown(f"the mail server is out of reach: {type(error).__name__}")


def _said(error: SMTPResponseException) -> str:
    """The codes of an answer (RFC 5321, RFC 3463) without its words."""
    enhanced = _ENHANCED.match(error.message)
    return f"the mail server answered {error.code}" + (f" {enhanced[1]}" if enhanced else "")


def _file_name(message: EmailMessage) -> str:
    """From the Message-ID, which comes from an event: it names a file here and nothing else."""
    # As it was given: the library would parse it, which takes longer than to write the file.
    message_id = str(dict(message.raw_items()).get("Message-ID"))
    plain = _FILE_NAME.fullmatch(message_id)
    return f"{plain[1] if plain else digest(message_id)}.eml"
