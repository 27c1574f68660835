"""Where e-mails go: to an SMTP server, or (see `mailbox`) onto the disk.

A mailer either has handed the message over when it returns, or says which of two it was: Unknown,
and the same message may be sent again later, or MailRefused, and it will never be taken. A repeat
carries the same Message-ID, so whoever receives it twice can tell.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from email.message import EmailMessage
from typing import Literal, Protocol

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from skyhold.kernel.client import Unknown

CONNECTIONS_MAX = 4
GOODBYE_MAX_S = 1.0
PERMANENT = range(500, 600)
# Nothing is wrong with the message: we were to log in first, with other credentials or over TLS
# (RFC 4954), or spoke out of turn. Somebody mends the settings, and then it goes out.
OUR_FAULT = frozenset({503, 530, 534, 535, 538})
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b", re.ASCII)


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
