"""Implements the provider port with Stripe's PaymentIntents, captured by hand.

A PaymentIntent is made first, without a card and under a key that follows from our payment id, and
confirmed with the customer's token afterwards. So whoever asks first, also a cancel that overtakes
the authorisation, makes the same object, and once that is cancelled a late confirmation fails for
good.

Keys. `<payment id>:create` names the object, `<payment id>:confirm` the one attempt to pay with it,
`<payment id>:refund:<n>:<hour>` the refund after n that failed. Capturing and cancelling have none:
Stripe does either at most once to an object, and would answer a repeat under a key with what it
kept, even an error of its own that is long over.

Stripe forgets a key after 24 hours or more, and another object could be made under it then. So the
key is used only for so long; later the object is known by the reference that we have kept, or
looked for by its metadata. See docs/payments.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import stripe

from skyhold.booking.clients.payments.port import Answer, Charge, Entry, ProviderState
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.logging import get_logger

from .amounts import Unchargeable, from_stripe, to_stripe
from .reading import EXPAND, FAILED, UNDER_WAY, answer_of, is_unconfirmed, was_replayed
from .wire import Wire, client, heard, told

log = get_logger(__name__)

KEYS_LAST = timedelta(hours=20)  # Stripe says 24 at least; the rest is for clocks that differ
PAGE = 100
METADATA = "skyhold_payment_id"
REFUSED = (stripe.InvalidRequestError, stripe.IdempotencyError)


class StripeProvider:
    """Implements the provider port over Stripe's API."""

    name = "stripe"

    def __init__(
        self,
        api_key: str,
        wire: Wire,
        clock: Clock,
        *,
        api_base: str | None = None,
        return_url: str | None = None,
    ) -> None:
        self._wire = wire
        self._clock = clock
        self._return_url = return_url
        api = client(api_key, api_base, wire).v1
        self._intents = api.payment_intents
        self._refunds = api.refunds

    async def authorise(self, charge: Charge) -> Answer:
        """Reserve the amount, or say how far an earlier request to do so has come."""
        intent = await self._intent(charge)
        if intent is None:
            return Answer(ProviderState.DECLINED)
        if is_unconfirmed(intent):
            return await self._confirm(intent, charge)
        return answer_of(intent)

    async def capture(self, charge: Charge) -> Answer:
        """Collect the reserved amount."""
        intent_id = await self._id(charge)
        try:
            intent = await heard(self._intents.capture_async(intent_id, {"expand": EXPAND}))
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            answer = answer_of(await self._retrieve(intent_id))
            if answer.state in {ProviderState.AUTHORIZED, ProviderState.DECLINED}:
                log.warning("stripe.capture_refused", payment_id=charge.id, **told(error))
                return Answer(ProviderState.CAPTURE_REFUSED, intent_id)
            return answer
        return answer_of(intent)

    async def cancel(self, charge: Charge) -> Answer:
        """Drop the reservation; one that has not arrived yet finds its object cancelled."""
        intent_id = charge.reference
        if intent_id is None:
            intent = await self._intent(charge)
            if intent is None:  # there is none, and nobody will make one any more
                return Answer(ProviderState.CANCELLED)
            intent_id = intent.id
        try:
            intent = await heard(self._intents.cancel_async(intent_id, {"expand": EXPAND}))
        except stripe.InvalidRequestError:
            # Cancelled or captured before; otherwise whoever asked must ask again.
            intent = await self._retrieve(intent_id)
        return answer_of(intent)

    async def refund(self, charge: Charge) -> Answer:
        """Give back whatever of the captured amount is not back yet."""
        intent = await self._retrieve(await self._id(charge))
        answer = answer_of(intent)
        if answer.state is not ProviderState.CAPTURED:
            return answer
        statuses = [refund.status for refund in await self._refunds_of(intent.id)]
        if UNDER_WAY.intersection(statuses):
            return answer
        failed = sum(status in FAILED for status in statuses)
        return await self._refund(intent.id, charge, failed)

    async def get(self, charge: Charge) -> Answer | None:
        """Where it stands. Without a reference a search, which may lag a minute or more behind."""
        if charge.reference is None:
            found = await self._search(charge)
            return None if found is None else answer_of(found)
        try:
            retrieved = self._intents.retrieve_async(charge.reference, {"expand": EXPAND})
            return answer_of(await heard(retrieved))
        except stripe.InvalidRequestError as error:
            if error.http_status == HTTPStatus.NOT_FOUND:
                return None
            msg = f"Stripe answers {told(error)}"
            raise Unknown(msg) from None

    async def ledger(self, since: datetime | None) -> AsyncIterator[Entry]:
        """Every payment of ours that Stripe has, newest first, a page at a time."""
        params: stripe.params.PaymentIntentListParams = {
            "limit": PAGE,
            "expand": [f"data.{path}" for path in EXPAND],
        }
        if since is not None:
            params["created"] = {"gte": int(since.timestamp())}
        while True:
            page = await heard(self._intents.list_async(params))
            for intent in page.data:
                # Others may use the same account, and we know nothing of what is theirs.
                if payment_id := intent.metadata.to_dict().get(METADATA):
                    yield _entry(payment_id, intent)
            if not page.has_more or not page.data:
                return
            params["starting_after"] = page.data[-1].id

    async def close(self) -> None:
        """Close every connection."""
        await self._wire.close_async()

    async def _confirm(self, intent: stripe.PaymentIntent, charge: Charge) -> Answer:
        """Pay with the customer's token, once."""
        params: stripe.params.PaymentIntentConfirmParams = {
            "payment_method": charge.token,
            "expand": EXPAND,
        }
        if self._return_url:
            params["return_url"] = self._return_url
        else:
            params["use_stripe_sdk"] = True
        key = f"{charge.id}:confirm"
        try:
            confirmed = await heard(
                self._intents.confirm_async(intent.id, params, {"idempotency_key": key})
            )
        except stripe.CardError:
            return Answer(ProviderState.DECLINED, intent.id)
        except REFUSED as error:
            now = await self._retrieve(intent.id)
            if not is_unconfirmed(now):
                return answer_of(now)
            log.warning("stripe.confirm_refused", payment_id=charge.id, **told(error))
            if isinstance(error, stripe.IdempotencyError):
                msg = "it was confirmed in another way before, and nobody knows how that went"
                raise Unknown(msg) from None
            return Answer(ProviderState.DECLINED, intent.id)  # a token that Stripe cannot use
        if was_replayed(confirmed):
            confirmed = await self._retrieve(intent.id)
        return answer_of(confirmed)

    async def _refund(self, intent_id: str, charge: Charge, failed: int) -> Answer:
        params: stripe.params.RefundCreateParams = {
            "payment_intent": intent_id,
            "metadata": {METADATA: charge.id},
        }
        # Within the hour a repeat is the same refund; later Stripe no longer answers with an error
        # that it kept, and more than what was captured it never gives back.
        key = f"{charge.id}:refund:{failed}:{self._clock.now():%Y-%m-%dT%H}"
        try:
            await heard(self._refunds.create_async(params, {"idempotency_key": key}))
        except REFUSED as error:
            # All given back already, or not possible just now: what it is, the object says.
            log.warning("stripe.refund_refused", payment_id=charge.id, **told(error))
        return answer_of(await self._retrieve(intent_id))

    async def _intent(self, charge: Charge) -> stripe.PaymentIntent | None:
        """Stripe's object for this payment, made now if need be; None when there cannot be one."""
        if charge.reference is not None:
            return await self._retrieve(charge.reference)
        if self._clock.now() - charge.created_at < KEYS_LAST:
            return await self._create(charge)
        return await self._search(charge)

    async def _id(self, charge: Charge) -> str:
        """The id of an object that must be there."""
        if charge.reference is not None:
            return charge.reference
        intent = await self._intent(charge)
        if intent is None:
            msg = "Stripe has no such payment; is it the account that it was made with?"
            raise Unknown(msg)
        return intent.id

    async def _create(self, charge: Charge) -> stripe.PaymentIntent | None:
        """The one object under this payment's key. The same words every time, or Stripe objects."""
        try:
            params: stripe.params.PaymentIntentCreateParams = {
                "amount": to_stripe(charge.amount),
                "currency": charge.amount.currency.lower(),
                "capture_method": "manual",
                "allowed_payment_method_types": ["card"],
                "metadata": {METADATA: charge.id},
            }
            key = f"{charge.id}:create"
            intent = await heard(self._intents.create_async(params, {"idempotency_key": key}))
        except Unchargeable as error:
            log.error("stripe.unchargeable", payment_id=charge.id, why=str(error))  # noqa: TRY400
            return None
        except stripe.InvalidRequestError as error:
            log.error("stripe.create_refused", payment_id=charge.id, **told(error))  # noqa: TRY400
            return None
        except stripe.IdempotencyError:
            return await self._made_by_another_version(charge)
        return await self._retrieve(intent.id) if was_replayed(intent) else intent

    async def _made_by_another_version(self, charge: Charge) -> stripe.PaymentIntent:
        found = await self._search(charge)
        if found is None:
            msg = "the payment was made in other words before, and cannot be found yet"
            raise Unknown(msg)
        return found

    async def _retrieve(self, intent_id: str) -> stripe.PaymentIntent:
        try:
            return await heard(self._intents.retrieve_async(intent_id, {"expand": EXPAND}))
        except stripe.InvalidRequestError as error:
            log.error("stripe.lost", reference=intent_id, **told(error))  # noqa: TRY400
            msg = "Stripe does not know its own reference; is it the account it was made with?"
            raise Unknown(msg) from None

    async def _search(self, charge: Charge) -> stripe.PaymentIntent | None:
        query = f"metadata['{METADATA}']:'{charge.id}'"
        try:
            found = await heard(self._intents.search_async({"query": query, "limit": 2}))
        except stripe.InvalidRequestError as error:
            msg = f"Stripe cannot search: {told(error)}"  # nor can anybody in India
            raise Unknown(msg) from None
        assert len(found.data) <= 1, f"two payments at Stripe for {charge.id}"
        return await self._retrieve(found.data[0].id) if found.data else None

    async def _refunds_of(self, intent_id: str) -> list[stripe.Refund]:
        page = await heard(self._refunds.list_async({"payment_intent": intent_id, "limit": PAGE}))
        return page.data


def _entry(payment_id: str, intent: stripe.PaymentIntent) -> Entry:
    try:
        amount = from_stripe(intent.amount, intent.currency)
    except (Unchargeable, ValueError) as error:
        msg = f"{intent.id}: {error}; does another system use this account?"
        raise Unknown(msg) from error
    return Entry(
        payment_id,
        answer_of(intent).state,
        amount,
        datetime.fromtimestamp(intent.created, UTC),
        intent.id,
    )
