"""Stripe's webhooks: who sent it, and which payment it is about."""

from __future__ import annotations

import json
from typing import Any

import stripe

from skyhold.booking.clients.payments.notices import Forged, Notice

from .provider import METADATA

TOLERANCE_S = 300


def read_notice(body: bytes, signature: str | None, *, secret: str) -> Notice:
    """The notice in a webhook that Stripe has signed in the last minutes. Raises Forged."""
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_S)
        event = json.loads(body)
        about = _part(_part(event, "data"), "object")
        # A charge has the metadata of its PaymentIntent, and a refund of ours has its own.
        payment_id = _part(about, "metadata").get(METADATA)
        return Notice(str(event["id"]), str(event["type"]), payment_id)
    except (stripe.SignatureVerificationError, ValueError, TypeError, KeyError) as error:
        # Bytes that are no text, signatures of letters that no digest has, events that are none.
        raise Forged from error


def _part(whole: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - whatever was sent
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}
