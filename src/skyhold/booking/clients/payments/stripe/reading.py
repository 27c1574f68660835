"""What Stripe's objects say, in the words of the port."""

from __future__ import annotations

import stripe

from skyhold.booking.clients.payments.port import Answer, NextAction, ProviderState
from skyhold.kernel.client import Unknown

# Asked for with every PaymentIntent: whether what was captured has been given back.
EXPAND = ["latest_charge.refunds"]
UNDER_WAY = frozenset({"pending", "requires_action"})  # refunds
FAILED = frozenset({"failed", "canceled"})

_STATES = {
    "requires_confirmation": ProviderState.PENDING,
    "processing": ProviderState.PENDING,
    "requires_action": ProviderState.REQUIRES_ACTION,
    "requires_capture": ProviderState.AUTHORIZED,
    "canceled": ProviderState.CANCELLED,
}


def answer_of(intent: stripe.PaymentIntent) -> Answer:
    """Where a payment stands. Unknown for a state that this program has never heard of."""
    state = _state(intent)
    action = _next_action(intent) if state is ProviderState.REQUIRES_ACTION else None
    return Answer(state, intent.id, action)


def is_unconfirmed(intent: stripe.PaymentIntent) -> bool:
    """Whether nobody has tried to pay with it yet."""
    waiting = intent.status in {"requires_payment_method", "requires_confirmation"}
    return waiting and intent.last_payment_error is None


def was_replayed(intent: stripe.PaymentIntent) -> bool:
    """Whether this is the kept answer to an earlier request with the same key.

    It says how things stood then. Header: https://docs.stripe.com/error-low-level#idempotency
    """
    response = intent.last_response
    return response is not None and response.headers.get("idempotent-replayed") == "true"


def _state(intent: stripe.PaymentIntent) -> ProviderState:
    if intent.status == "succeeded":
        return ProviderState.REFUNDED if _given_back(intent) else ProviderState.CAPTURED
    if intent.status == "requires_payment_method":
        # The same words for one that nobody has tried to pay yet and for one that was declined.
        return ProviderState.PENDING if is_unconfirmed(intent) else ProviderState.DECLINED
    try:
        return _STATES[intent.status]
    except KeyError:
        msg = f"Stripe calls a payment {intent.status}"
        raise Unknown(msg) from None


def _given_back(intent: stripe.PaymentIntent) -> bool:
    """Whether all of it is back with the payer; a refund that is pending may still fail."""
    charge = intent.latest_charge
    if charge is None or isinstance(charge, str) or charge.refunds is None:
        msg = "Stripe does not say which refunds there are"
        raise Unknown(msg)
    refunds = charge.refunds.data
    return sum(r.amount for r in refunds if r.status == "succeeded") >= intent.amount_received


def _next_action(intent: stripe.PaymentIntent) -> NextAction:
    action = intent.next_action
    redirect = None if action is None else getattr(action, "redirect_to_url", None)
    if redirect is not None and redirect.url:
        return NextAction("redirect", redirect.url, None)
    # Whatever it is, Stripe's library in the browser knows what to do about it.
    return NextAction("use_sdk", None, intent.client_secret)
