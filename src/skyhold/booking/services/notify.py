"""Telling travellers what happened to their bookings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage
from enum import Enum, auto

from skyhold.booking import metrics
from skyhold.booking.clients.mailer import Mailer, MailRefused
from skyhold.booking.metrics import MailOutcome
from skyhold.booking.repositories import bookings, payments, users
from skyhold.contracts.queues import NOTIFICATIONS
from skyhold.kernel.batcher import PATIENCE_S, Batcher
from skyhold.kernel.client import Unknown
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.failpoints import reach
from skyhold.kernel.inbox import Inbox, Taken
from skyhold.kernel.logging import get_logger
from skyhold.kernel.messaging import Event
from skyhold.kernel.metrics import consumed

from .letters import KINDS, Letters, Unaddressable
from .news import News

log = get_logger(__name__)


class Nothing(Enum):
    """Why there is nothing to tell."""

    SEEN = auto()
    DELETED = auto()


class Notifier:
    """Writes to travellers: each event once, and in rare cases twice, but never not at all.

    A letter is sent first and noted in the inbox after that. Dying between the two sends it again,
    under the same Message-ID. Events that come at the same time are looked up, and noted, together.
    """

    def __init__(self, db: Database, inbox: Inbox, mailer: Mailer, letters: Letters) -> None:
        self._db = db
        self._inbox = inbox
        self._mailer = mailer
        self._letters = letters
        self._news: Batcher[Event, News | Nothing] = Batcher(
            self._look_up, name="news", patience_s=PATIENCE_S
        )
        self._notes: Batcher[Event, None] = Batcher(self._note_all, name="letters")

    async def notify(self, event: Event) -> None:
        """Send the letter that this event calls for, if any.

        Raises Unknown, so that the event comes again, when the mail server did not take it just
        now. What was refused for good is logged, and done with.
        """
        if event.type not in KINDS:
            metrics.email(MailOutcome.SKIPPED)
            log.info("mail.skipped", booking_id=event.subject, type=event.type, why="no letter")
            return
        news = await self._news.submit(event)
        if news is Nothing.SEEN:
            consumed(NOTIFICATIONS.queue, "repeated")
            return
        if news is Nothing.DELETED or not news.is_current:
            why = "deleted" if news is Nothing.DELETED else "outdated"
            metrics.email(MailOutcome.SKIPPED)
            log.info("mail.skipped", booking_id=event.subject, type=event.type, why=why)
            return
        await self._send(news)
        await self._notes.submit(event)
        reach("letter.noted")

    async def _send(self, news: News) -> None:
        what = {"booking_id": news.booking.id, "type": news.event.type}
        try:
            letter = await self._compose(news)
            reach("letter.before_send")
            await self._mailer.send(letter)
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

    async def _compose(self, news: News) -> EmailMessage:
        if self._letters.have_read(news):
            return self._letters.compose(news)
        # In a thread: the first letter of a kind reads templates and airports.
        return await asyncio.to_thread(self._letters.compose, news)

    async def _look_up(self, events: Sequence[Event]) -> Sequence[News | Nothing]:
        async with self._db.read() as tx:
            seen = await self._inbox.seen_among(tx, _taken(events))
            found = await bookings.by_ids(tx, {event.subject for event in events})
            owners = await users.by_ids(tx, {booking.user_id for booking in found.values()})
            paid = await payments.latest(tx, found.keys())
        told: list[News | Nothing] = []
        for event in events:
            booking = found.get(event.subject)
            user = None if booking is None else owners.get(booking.user_id)
            if Taken(_consumer(event), event) in seen:
                told.append(Nothing.SEEN)
            elif booking is None or user is None or user.erased_at is not None:
                told.append(Nothing.DELETED)
            else:
                told.append(News(event, booking, user, paid.get(booking.id)))
        return told

    async def _note_all(self, events: Sequence[Event]) -> Sequence[None]:
        async def note(tx: Tx) -> None:
            await self._inbox.take_all(tx, _taken(events))
            reach("letter.in_note")

        await self._db.transact(note)
        return [None] * len(events)


def _taken(events: Sequence[Event]) -> list[Taken]:
    return [Taken(_consumer(event), event) for event in events]


def _consumer(event: Event) -> str:
    """Each kind of letter keeps its own place among a booking's events.

    The inbox lets nothing older through once something newer was taken. That is right within a
    kind; but a cancellation that comes after its refund is still to be told, with its calendar.
    """
    return f"letters.{event.type}"
