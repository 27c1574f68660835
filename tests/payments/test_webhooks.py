"""Webhooks of Stripe: believed only with its signature, and then only as a reason to look."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select

from skyhold.booking.metrics import WebhookOutcome
from skyhold.booking.models.tables import INBOX
from skyhold.booking.repositories import bookings, payments
from skyhold.kernel.ids import new_id
from support.prometheus import Since
from support.stripe_process import (
    API_KEY,
    CHALLENGED,
    VISA,
    WEBHOOK_SECRET,
    signature,
    webhook,
)
from support.system import eventually

PATH = "/api/v1/payments/webhooks/stripe"
SETTINGS = {
    "payment_provider": "stripe",
    "stripe_api_key": API_KEY,
    "stripe_webhook_secret": WEBHOOK_SECRET,
    "provider_timeout_s": 10,
    "breaker_failures_max": 1000,
}


@pytest.fixture
def start(start_system, stand_in):
    """Both services, paid through Stripe."""

    @asynccontextmanager
    async def start(**settings):
        given = SETTINGS | {"stripe_api_base": stand_in.url} | settings
        async with start_system(**given) as system:
            yield system

    return start


@pytest.fixture
async def system(start):
    """Both services, whose driver does nothing of its own accord."""
    async with start() as system:
        for job in system.bookings.jobs:
            if job.name == "drive":
                await job.stop()
        yield system


@pytest.fixture
def counted(system):
    """What webhooks have come to since the test began."""
    since = Since()
    names = [str(outcome) for outcome in WebhookOutcome]

    def counted():
        counts = {name: since("skyhold_webhooks_total", outcome=name) for name in names}
        return {name: count for name, count in counts.items() if count}

    return counted


@pytest.fixture
def ring(system):
    """Deliver a webhook as Stripe would."""

    async def ring(kind, about, *, id_=None, **signed):
        body = webhook(kind, about, id_=id_ or f"evt_{new_id()}")
        return await post(system, body, signature(body, **signed))

    return ring


async def post(system, body, signed):
    headers = {"content-type": "application/json; charset=utf-8"}  # as Stripe says it
    if signed is not None:
        headers["stripe-signature"] = signed.encode("latin-1")
    return await system.bookings_http.post(PATH, content=body, headers=headers)


async def a_booking(system):
    """Someone who has booked."""
    ada = await system.traveller()
    return ada, (await ada.book(await system.a_flight())).body


async def waiting_for_payer(system, stand_in):
    """A booking whose payer has to act; and the PaymentIntent."""
    ada, booking = await a_booking(system)
    paid = await ada.pay(booking, CHALLENGED)
    assert paid.status == 202
    (intent,) = stand_in.intents(paid["id"])
    return ada, booking, intent


async def looked_at(system):
    """Let the driver do what is due at this moment, and what follows from it."""
    for _ in range(8):
        await system.bookings.drive.run_once()
        await system.bookings.drive.close(timeout_s=10)


async def notes(system):
    """How many webhooks were noted."""
    async with system.bookings.db.read() as tx:
        return await tx.scalar(
            select(func.count()).select_from(INBOX).where(INBOX.c.consumer == "webhooks")
        )


async def payment_of(system, payment_id):
    async with system.bookings.db.read() as tx:
        return await payments.by_id(tx, payment_id)


async def due_at(system, booking):
    """When the driver will look at a booking."""
    async with system.bookings.db.read() as tx:
        return (await bookings.by_id(tx, booking["id"])).due_at


# --- who is believed -------------------------------------------------------------------------


async def test_a_signed_webhook_wakes_the_payment_it_is_about(system, stand_in, ring):
    ada, booking, intent = await waiting_for_payer(system, stand_in)
    stand_in.answer(intent, approve=True)
    reply = await ring("payment_intent.amount_capturable_updated", intent)
    assert (reply.status_code, reply.json()) == (200, {"received": True})
    await looked_at(system)
    assert (await ada.get(booking))["status"] == "confirmed"


def _broken(body, signed):
    at = int(time.time())
    return {
        "no signature": (body, None),
        "an empty one": (body, ""),
        "nonsense": (body, "t=now,v1=yes"),
        "letters that no digest has": (body, f"t={at},v1=é"),
        "somebody else's secret": (body, signature(body, secret="whsec_of_somebody_else")),
        "six minutes old": (body, signature(body, at=at - 360)),
        "another scheme": (body, signed.replace("v1=", "v0=")),
        "another body": (body.replace(b"evt_", b"evt_x"), signed),
        "a moved time": (body, signed.replace("t=", "t=9", 1)),
        "nothing": (b"", signed),
    }


@pytest.mark.parametrize("what", _broken(b"{}", "t=1,v1=2"))
async def test_whatever_does_not_bear_the_signature_does_nothing(system, stand_in, what):
    ada, booking, intent = await waiting_for_payer(system, stand_in)
    body = webhook("payment_intent.amount_capturable_updated", intent, id_="evt_1")
    before = await due_at(system, booking)
    body, signed = _broken(body, signature(body))[what]
    reply = await post(system, body, signed)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_signature")
    assert reply.headers["content-type"] == "application/problem+json"
    assert await due_at(system, booking) == before, "nobody was woken"
    assert await notes(system) == 0
    assert (await ada.get(booking))["status"] == "paying"


async def test_what_is_no_text_at_all_is_no_json(system):
    reply = await post(system, b"\xff\xfe", signature(b"{}"))
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")
    assert await notes(system) == 0


async def test_within_five_minutes_it_is_believed(system, ring):
    reply = await ring("charge.succeeded", {"id": "ch_1"}, at=int(time.time()) - 240)
    assert reply.status_code == 200


async def test_where_stripe_is_not_the_provider_there_is_no_such_address(inside):
    body = webhook("payment_intent.succeeded", {}, id_="evt_1")
    reply = await post(inside, body, signature(body))
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


# --- what it comes to ------------------------------------------------------------------------


async def test_what_a_webhook_says_of_the_payment_is_not_believed(system, stand_in, ring):
    """Signed, and wrong: an old one, say. The payer has not done anything yet."""
    ada, booking, intent = await waiting_for_payer(system, stand_in)
    await ring("payment_intent.succeeded", intent | {"status": "succeeded"})
    await looked_at(system)
    assert (await ada.get(booking))["status"] == "paying"


async def test_the_same_webhook_twice_wakes_once(system, stand_in, ring, counted):
    _, _, intent = await waiting_for_payer(system, stand_in)
    for _ in range(3):
        reply = await ring("payment_intent.requires_action", intent, id_="evt_same")
        assert reply.status_code == 200
    assert await notes(system) == 1
    assert counted() == {"woken": 1, "repeated": 2}


async def test_webhooks_in_any_order_end_the_same(system, stand_in, ring):
    """Captured is told of before authorised, and a failure that was long before comes last."""
    ada, booking, intent = await waiting_for_payer(system, stand_in)
    stand_in.answer(intent, approve=True)
    for kind in (
        "payment_intent.succeeded",
        "charge.captured",
        "payment_intent.amount_capturable_updated",
        "payment_intent.requires_action",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
    ):
        assert (await ring(kind, intent)).status_code == 200
        await looked_at(system)
    found = await ada.get(booking)
    assert (found["status"], found["payment"]["status"]) == ("confirmed", "captured")
    assert len(stand_in.requests("capture")) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"id": "evt_1", "type": "v2.core.event", "related_object": {"id": "pi_1"}}', 200),
        (b'{"id": "evt_1", "type": "ping", "data": "nothing"}', 200),
        (b'{"type": "ping", "data": {"object": {}}}', 400),
        (b"[]", 400),
        (b"null", 400),
        (b"{", 400),
    ],
    ids=["another kind of event", "without an object", "without an id", "a list", "null", "torn"],
)
async def test_signed_or_not_what_makes_no_sense_is_no_trouble(system, body, status):
    assert (await post(system, body, signature(body))).status_code == status
    assert await notes(system) == 0


async def test_an_event_with_a_long_name_is_noted_too(system, stand_in, ring):
    _, _, intent = await waiting_for_payer(system, stand_in)
    for _ in range(2):
        reply = await ring("payment_intent.requires_action", intent, id_="evt_" + "x" * 250)
        assert reply.status_code == 200
    assert await notes(system) == 1


@pytest.mark.parametrize(
    "about",
    [
        {"id": "pi_1", "metadata": {"skyhold_payment_id": new_id()}},
        {"id": "pi_1", "metadata": {"skyhold_payment_id": "not one of our ids"}},
        {"id": "pi_1", "metadata": {"order": "17"}},
        {"id": "pi_1", "metadata": {}},
        {"id": "re_1", "metadata": None},
        {"id": "po_1"},
    ],
    ids=["a payment nobody knows", "not our kind of id", "an order", "none", "null", "a payout"],
)
async def test_what_is_not_ours_is_heard_and_left_alone(system, stand_in, ring, about, counted):
    reply = await ring("payment_intent.succeeded", about)
    assert reply.status_code == 200, "or Stripe would send it for days"
    assert counted() == {"ignored": 1}
    assert stand_in.requests() == []
    assert await notes(system) == 0


async def test_a_webhook_that_could_not_be_acted_on_is_sent_again(system, stand_in, ring):
    """A payment at rest is compared with Stripe, which does not answer at first."""
    ada, booking = await a_booking(system)
    paid = await ada.pay(booking, "pm_card_chargeDeclined")
    assert paid.status == 402
    await looked_at(system)
    (intent,) = stand_in.all_intents()
    stand_in.fault("retrieve", "500")
    reply = await ring("payment_intent.canceled", intent, id_="evt_1")
    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
    assert await notes(system) == 0
    assert (await ring("payment_intent.canceled", intent, id_="evt_1")).status_code == 200
    assert await notes(system) == 1


# --- late successes, refunds that fail -------------------------------------------------------


async def test_a_success_that_comes_after_all_was_given_up_is_given_back(start, stand_in, capsys):
    """Stripe was silent for a day, the attempt was voided, and only now its success is heard of.

    Without a reference the payment could only be searched for, and the search had not seen it yet.
    """
    async with start() as system:
        ada, booking = await a_booking(system)
        stand_in.fault("confirm", "lose_answer")
        stand_in.fault("create", "500", times=-1, skip=1)
        paid = await ada.pay(booking, VISA)
        assert paid.status == 202
        (intent,) = stand_in.intents(paid["id"])
        assert intent["status"] == "requires_capture"

        stand_in.fault("search", "empty", times=-1)
        system.advance(minutes=17)  # given up

        async def ended():
            return (await ada.get(booking))["status"] == "expired"

        await eventually(ended)
        system.advance(minutes=21 * 60)  # and Stripe may have forgotten the key

        async def voided():
            payment = await payment_of(system, paid["id"])
            return payment.status == "voided"

        await eventually(voided, within_s=20)
        assert stand_in.intents(paid["id"])[0]["status"] == "requires_capture"

        stand_in.mend()
        body = webhook("payment_intent.amount_capturable_updated", intent, id_="evt_late")
        assert (await post(system, body, signature(body))).status_code == 200

        async def dropped():
            (found,) = stand_in.intents(paid["id"])
            return found["status"] == "canceled"

        await eventually(dropped)
        await eventually(voided)
        assert "level='error' event='payment.reopened'" in capsys.readouterr().out


async def a_refund(system, stand_in):
    """A booking that was paid and cancelled, and its refund at Stripe."""
    ada, booking = await a_booking(system)
    paid = await ada.pay(booking, VISA)
    assert paid.status == 201
    await ada.cancel(booking)
    await looked_at(system)
    (intent,) = stand_in.intents(paid["id"])
    (refund, *_) = stand_in.refunds(intent["id"])
    return ada, booking, intent, refund


async def refund_of(ada, booking):
    return (await ada.get(booking))["payment"]["refund"]["status"]


async def test_a_refund_that_fails_is_made_again_as_soon_as_stripe_says_so(system, stand_in, ring):
    stand_in.refunds_become("pending")
    ada, booking, intent, refund = await a_refund(system, stand_in)
    assert await refund_of(ada, booking) == "due"
    stand_in.refund_becomes(refund["id"], "failed")
    assert (await ring("charge.refund.updated", refund)).status_code == 200
    await looked_at(system)
    assert await refund_of(ada, booking) == "succeeded"
    assert [r["status"] for r in stand_in.refunds(intent["id"])].count("succeeded") == 1


async def test_a_refund_that_comes_back_is_made_again(system, stand_in, ring):
    """It had succeeded; days later the card's bank sends it back."""
    ada, booking, intent, refund = await a_refund(system, stand_in)
    assert await refund_of(ada, booking) == "succeeded"
    stand_in.refund_becomes(refund["id"], "failed")
    for _ in range(2):
        assert (await ring("refund.failed", refund)).status_code == 200
        await looked_at(system)
    assert await refund_of(ada, booking) == "succeeded"
    statuses = sorted(r["status"] for r in stand_in.refunds(intent["id"]))
    assert statuses == ["failed", "succeeded"]
