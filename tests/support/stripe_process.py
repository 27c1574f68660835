"""The stand-in for Stripe as a test sees it: a process to start, and levers to pull."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from stripe import WebhookSignature

from .system import free_port

API_KEY = "sk_test_stand_in"
WEBHOOK_SECRET = "whsec_stand_in"
VISA = "pm_card_visa"
DECLINED = "pm_card_chargeDeclined"
CHALLENGED = "pm_card_authenticationRequired"
CHALLENGED_THEN_DECLINED = "pm_card_authenticationRequiredChargeDeclined"


@dataclass(frozen=True)
class StandIn:
    """A running one."""

    url: str
    http: httpx.Client

    def fault(self, op: str, fault: str, times: int = 1, *, skip: int = 0) -> None:
        """The next requests of this kind go wrong, apart from the first `skip`; -1: all."""
        self._control("fault", {"op": op, "fault": fault, "times": times, "skip": skip})

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._control("mend")

    def refunds_become(self, status: str, times: int = 1) -> None:
        """The next refunds do not succeed at once."""
        self.fault("refund_fate", status, times)

    def calm(self) -> None:
        """Nothing goes wrong any more, and everything that was is forgotten."""
        self._control("calm")

    def forget_keys(self) -> None:
        """As Stripe does after a day."""
        self._control("forget_keys")

    def requests(self, *ops: str) -> list[dict[str, Any]]:
        """What was asked, in order."""
        asked = self.http.post("/_stand_in/requests").json()
        return [request for request in asked if not ops or request["op"] in ops]

    def intents(self, payment_id: str) -> list[dict[str, Any]]:
        """Every PaymentIntent there is for a payment: never more than one, one hopes."""
        every = self.all_intents()
        return [i for i in every if i["metadata"].get("skyhold_payment_id") == payment_id]

    def all_intents(self) -> list[dict[str, Any]]:
        """The newest PaymentIntents."""
        found = self._get("/v1/payment_intents", limit="100", **_EXPANDED_LIST)
        intents: list[dict[str, Any]] = found["data"]
        return intents

    def refunds(self, intent_id: str) -> list[dict[str, Any]]:
        """The refunds of a PaymentIntent, newest first."""
        refunds: list[dict[str, Any]] = self._get("/v1/refunds", payment_intent=intent_id)["data"]
        return refunds

    def refund_becomes(self, refund_id: str, status: str) -> None:
        """A refund that was there already is settled, or fails after all."""
        assert self._inner(f"/v1/refunds/{refund_id}", status=status) == 200

    def answer(self, intent: dict[str, Any], *, approve: bool) -> int:
        """The payer approves or refuses, with Stripe's library in the browser; the status."""
        return self._inner(
            f"/v1/payment_intents/{intent['id']}/_authenticate",
            client_secret=intent["client_secret"],
            success=str(approve).lower(),
            key="pk_test_stand_in",
        )

    def sends_webhooks_to(self, url: str) -> None:
        """localstripe's own: signed by itself, a second after a payment succeeded or failed."""
        body = {"url": url, "secret": WEBHOOK_SECRET}
        self.http.post("/_config/webhooks/skyhold", json=body).raise_for_status()

    def sends_webhooks_nowhere(self) -> None:
        """It has no way to forget an address, so it gets one where nobody is."""
        self.sends_webhooks_to(self.url + "/nowhere")

    def _get(self, path: str, **query: str) -> Any:
        return self.http.get(path, params=query).raise_for_status().json()

    def _inner(self, path: str, **params: str) -> int:
        return self.http.post("/_stand_in/inner", json={"path": path, "params": params}).status_code

    def _control(self, what: str, body: dict[str, Any] | None = None) -> None:
        self.http.post(f"/_stand_in/{what}", json=body or {}).raise_for_status()


_EXPANDED_LIST = {"expand[0]": "data.latest_charge.refunds"}


@contextmanager
def running(folder: Path) -> Iterator[StandIn]:
    """Start one on a free port, and end it."""
    port = free_port()
    with (folder / "stripe.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "support.stripe_stand_in", str(port)],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        assert ready == b"ready\n", (folder / "stripe.log").read_text()
        url = f"http://127.0.0.1:{port}"
        headers = {"authorization": f"Bearer {API_KEY}", "x-test": "yes"}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as http:
            yield StandIn(url, http)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def webhook(kind: str, about: dict[str, Any], *, id_: str) -> bytes:
    """The body of a webhook."""
    event = {"id": id_, "object": "event", "type": kind, "data": {"object": about}}
    return json.dumps(event).encode()


def signature(body: bytes, *, secret: str = WEBHOOK_SECRET, at: int | None = None) -> str:
    """What Stripe puts into the header Stripe-Signature."""
    return WebhookSignature.generate_signature_header(body.decode(), secret, at)
