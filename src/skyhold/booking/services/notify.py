"""Telling travellers what happened to their bookings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from skyhold.booking import metrics
from skyhold.booking.clients.mailer import Mailer, MailRefused
from skyhold.booking.metrics import MailOutcome
from skyhold.booking.repositories import bookings, payments, users
from skyhold.contracts.queues import NOTIFICATIONS
from skyhold.kernel.client import Unknown
from skyhold.kernel.db import Database, ReadTx, Tx
from skyhold.kernel.failpoints import reach
from skyhold.kernel.inbox import Inbox
from skyhold.kernel.logging import get_logger
from skyhold.kernel.messaging import Event
from skyhold.kernel.metrics import consumed

from .letters import KINDS, Letters, Unaddressable
from .news import News

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Notifier:
    """Writes to travellers: each event once, and in rare cases twice, but never not at all.

    A letter is sent first and noted in the inbox after that. Dying between the two sends it again,
    under the same Message-ID.
    """

    db: Database
    inbox: Inbox
    mailer: Mailer
    letters: Letters

    async def notify(self, event: Event) -> None:
        """Send the letter that this event calls for, if any.

        Raises Unknown, so that the event comes again, when the mail server did not take it just
        now. What was refused for good is logged, and done with.
        """
        if event.type not in KINDS:
            metrics.email(MailOutcome.SKIPPED)
            log.info("mail.skipped", booking_id=event.subject, type=event.type, why="no letter")
            return
        async with self.db.read() as tx:
            if await self.inbox.seen(tx, _consumer(event), event):
                consumed(NOTIFICATIONS.queue, "repeated")
                return
            news = await _news(tx, event)
        if news is None or not news.is_current:
            why = "deleted" if news is None else "outdated"
            metrics.email(MailOutcome.SKIPPED)
            log.info("mail.skipped", booking_id=event.subject, type=event.type, why=why)
            return
        await self._send(news)
        await self._note(event)

    async def _send(self, news: News) -> None:
        what = {"booking_id": news.booking.id, "type": news.event.type}
        try:
            # In a thread: the first letter reads templates and airports.
            letter = await asyncio.to_thread(self.letters.compose, news)
            reach("letter.before_send")
            await self.mailer.send(letter)
            reach("letter.sent")
        except Unknown as error:
            metrics.email(MailOutcome.POSTPONED)
            log.warning("mail.postponed", error=str(error), **what)
            raise
        except (MailRefused, Unaddressable) as error:
            metrics.email(MailOutcome.REFUSED)
            log.error("mail.refused", error=repr(error), **what)  # noqa: TRY400 - it says it all
        else:
            metrics.email(MailOutcome.SENT)
            log.info("mail.sent", **what)

    async def _note(self, event: Event) -> None:
        async def note(tx: Tx) -> None:
            await self.inbox.take(tx, _consumer(event), event)
            reach("letter.in_note")

        await self.db.transact(note)
        reach("letter.noted")


async def _news(tx: ReadTx, event: Event) -> News | None:
    booking = await bookings.by_id(tx, event.subject)
    user = None if booking is None else await users.by_id(tx, booking.user_id)
    if booking is None or user is None:
        return None
    payment = (await payments.latest(tx, [booking.id])).get(booking.id)
    return News(event, booking, user, payment)


def _consumer(event: Event) -> str:
    """Each kind of letter keeps its own place among a booking's events.

    The inbox lets nothing older through once something newer was taken. That is right within a
    kind; but a cancellation that comes after its refund is still to be told, with its calendar.
    """
    return f"letters.{event.type}"
