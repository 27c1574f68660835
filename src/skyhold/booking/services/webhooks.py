"""Webhooks: a provider says that something has happened, and we look what it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skyhold.booking import metrics
from skyhold.booking.clients.payments.notices import Forged, Notice, Reader
from skyhold.booking.errors import BadSignature
from skyhold.booking.metrics import WebhookOutcome
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.ids import UUID, derived_id
from skyhold.kernel.inbox import Inbox
from skyhold.kernel.logging import get_logger
from skyhold.kernel.messaging import Event

from .wake import Waker

log = get_logger(__name__)

CONSUMER = "webhooks"
_OURS = re.compile(UUID.pattern, re.ASCII)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Wakes payments. `source` is the provider that calls; `read` tells its words from a forger's.

    The same notice again wakes nobody: it is noted, after its effect. Should it come a second time
    before that, or after we died in between, a payment is looked at once more, which changes
    nothing: waking moves no state, and what the provider then says is the truth whenever asked.
    """

    source: str
    read: Reader
    db: Database
    inbox: Inbox
    waker: Waker
    clock: Clock

    async def hear(self, body: bytes, signature: str | None) -> None:
        """Take one in. Raises BadSignature; Unavailable when it had better be sent again."""
        try:
            notice = self.read(body, signature)
        except Forged as error:
            metrics.webhook(WebhookOutcome.REFUSED)
            log.warning("webhook.refused", source=self.source, why=str(error.__cause__ or error))
            raise BadSignature from error
        outcome = await self._act(notice)
        metrics.webhook(outcome)
        log.info("webhook.heard", kind=notice.kind, payment_id=notice.payment_id, outcome=outcome)

    async def _act(self, notice: Notice) -> WebhookOutcome:
        payment_id = notice.payment_id
        # Others may use the same account at the provider; what is theirs is none of our business.
        if payment_id is None or not _OURS.fullmatch(payment_id):
            return WebhookOutcome.IGNORED
        event = Event(
            id=derived_id(self.source, notice.id),  # theirs may be longer than the inbox takes
            type=notice.kind,
            subject=payment_id,
            sequence=0,  # they come in any order, and an older one is as good a reason to look
            data={},
            occurred_at=self.clock.now(),
            source=self.source,
        )
        async with self.db.read() as tx:
            if await self.inbox.seen(tx, CONSUMER, event):
                return WebhookOutcome.REPEATED
        try:
            if not await self.waker.wake(payment_id):
                return WebhookOutcome.IGNORED
        except Unknown as error:
            log.warning("webhook.postponed", payment_id=payment_id, error=repr(error))
            raise Unavailable from error
        await self.db.transact(lambda tx: self.inbox.take(tx, CONSUMER, event))
        return WebhookOutcome.WOKEN
