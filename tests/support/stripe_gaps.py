"""What localstripe leaves out of Stripe's payments, as far as this project relies on it.

Everything here is written from Stripe's documents, not from watching Stripe: what is wrong here is
wrong in the tests too. docs/payments.md lists it.
"""

from __future__ import annotations

import re
from typing import Any

# Tokens of Stripe's test mode that localstripe does not know, as cards that it does.
CARDS = {
    "pm_card_chargeDeclined": "4000000000000341",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_authenticationRequiredChargeDeclined": "4000008400001629",
}
ENDED = {"canceled", "succeeded"}
CANCELLABLE = {
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
}
CONFIRMABLE = {"requires_payment_method", "requires_confirmation", "requires_action"}
NOT_MADE = {"failed", "canceled"}
AMOUNT_MIN = 50
_METADATA = re.compile(r"metadata\['(\w+)'\]:'([^']*)'")


class Refusal(Exception):
    """An error of Stripe's."""

    def __init__(
        self, code: str, *, status: int = 400, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": f"secret words on {code}"}}


def unexpected(status: str) -> Refusal:
    """A PaymentIntent that is not where the request would have it."""
    del status
    return Refusal("payment_intent_unexpected_state")


def tidied(intent: dict[str, Any], expand: list[str], action: dict[str, Any] | None) -> Any:
    """A PaymentIntent as Stripe shows it: references unless expanded, the fields of the day."""
    shown = {name: value for name, value in intent.items() if name != "charges"}
    shown["amount_received"] = intent["amount"] if intent["status"] == "succeeded" else 0
    charge = intent["latest_charge"]
    if charge is not None and "latest_charge.refunds" not in expand:
        shown["latest_charge"] = charge["id"]
    if action is not None and intent["status"] == "requires_action":
        shown["next_action"] = action
    return shown


def refundable(intent: dict[str, Any], refunds: list[dict[str, Any]]) -> int:
    """What is left to be given back. Raises Refusal when that is nothing."""
    if intent["status"] != "succeeded":
        raise Refusal("payment_intent_unexpected_state")
    left: int = intent["amount"] - sum(r["amount"] for r in refunds if r["status"] not in NOT_MADE)
    if left <= 0:
        raise Refusal("charge_already_refunded")
    return left


def page(intents: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """A page of a list: newest first, from where the last one ended."""
    since = int(query.get("created[gte]", 0))
    wanted = [intent for intent in reversed(intents) if intent["created"] >= since]
    if (after := query.get("starting_after")) is not None:
        wanted = wanted[[intent["id"] for intent in wanted].index(after) + 1 :]
    limit = int(query.get("limit", 10))
    return {
        "object": "list",
        "url": "/v1/payment_intents",
        "has_more": len(wanted) > limit,
        "data": wanted[:limit],
    }


def found(intents: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """The answer to a search by one member of the metadata."""
    if not (asked := _METADATA.fullmatch(query)):
        raise Refusal("parameter_invalid")
    name, value = asked.groups()
    return {
        "object": "search_result",
        "url": "/v1/payment_intents/search",
        "has_more": False,
        "data": [intent for intent in intents if intent["metadata"].get(name) == value],
    }


def check_new(params: dict[str, str]) -> dict[str, str]:
    """A new PaymentIntent in localstripe's words. Raises Refusal for what Stripe would not have."""
    if any(name.startswith("payment_method_types") for name in params):
        raise Refusal("payment_method_types_no_longer_supported")
    if int(params["amount"]) < AMOUNT_MIN:
        raise Refusal("amount_too_small")
    return {
        name: value
        for name, value in params.items()
        if not name.startswith("allowed_payment_method_types")
    }
