"""A whole journey with Stripe as the provider: real processes, everything over HTTP.

The webhooks are localstripe's own, signed by it and not by us; those that it does not know are
sent by the test.
"""

from __future__ import annotations

import httpx
import pytest

from support.prometheus import samples
from support.stripe_process import (
    API_KEY,
    CHALLENGED,
    DECLINED,
    VISA,
    WEBHOOK_SECRET,
    signature,
    webhook,
)
from support.system import eventually, start_servers, stop

RETURN_URL = "https://shop.example/paid"
WEBHOOKS = "/api/v1/payments/webhooks/stripe"


@pytest.fixture(scope="module")
def servers(tmp_path_factory, _stand_in):
    _stand_in.calm()
    servers = start_servers(
        tmp_path_factory.mktemp("journey"),
        payment_provider="stripe",
        stripe_api_key=API_KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
        stripe_api_base=_stand_in.url,
        payment_return_url=RETURN_URL,
        provider_timeout_s=10,
    )
    _stand_in.sends_webhooks_to(servers.booking.url + WEBHOOKS)
    yield servers
    _stand_in.sends_webhooks_nowhere()
    for server in (servers.booking, servers.flight):
        stop(server)
    log = servers.booking.log.read_text()
    for secret in (API_KEY, WEBHOOK_SECRET, VISA, CHALLENGED, "_secret_", "secret words"):
        assert secret not in log


@pytest.fixture
async def system(servers):
    async with servers.system() as system:
        yield system


async def test_paid_confirmed_cancelled_and_refunded(system, stand_in):
    ada = await system.traveller()
    booking = (await ada.book(await system.a_flight(), party=2)).body
    paid = await ada.pay(booking, VISA)
    assert (paid.status, paid["booking"]["status"]) == (201, "confirmed")
    (intent,) = stand_in.intents(paid["id"])
    assert (intent["status"], intent["amount"], intent["currency"]) == ("succeeded", 25_800, "usd")

    async def heard_of():
        text = (await system.bookings_http.get("/metrics")).text
        return samples(text, "skyhold_webhooks_total")[(("outcome", "woken"),)]

    await eventually(heard_of)  # payment_intent.succeeded, from localstripe
    assert (await ada.pay(booking, VISA)).status == 200
    assert (await ada.cancel(booking)).status == 200

    async def refunded():
        return (await ada.get(booking))["payment"]["refund"] == {
            "status": "succeeded",
            "amount": {"amount": "258.00", "currency": "USD"},
        }

    await eventually(refunded)
    (refund,) = stand_in.refunds(intent["id"])
    assert (refund["amount"], refund["status"]) == (25_800, "succeeded")


async def test_declined_and_then_paid_with_another_card(system, stand_in):
    ada = await system.traveller()
    booking = (await ada.book(await system.a_flight())).body
    refused = await ada.pay(booking, DECLINED)
    assert (refused.status, refused.code) == (402, "payment_declined")
    assert (await ada.get(booking))["status"] == "held"
    assert (await ada.pay(booking, VISA)).status == 201

    async def one_is_paid_and_one_is_over():
        return sorted(i["status"] for i in stand_in.all_intents()) == ["canceled", "succeeded"]

    await eventually(one_is_paid_and_one_is_over)


async def test_a_payer_is_sent_to_the_bank_and_comes_back_paid(system, stand_in):
    ada = await system.traveller()
    booking = (await ada.book(await system.a_flight())).body
    paid = await ada.pay(booking, CHALLENGED)
    assert (paid.status, paid["status"]) == (202, "created")
    action = paid["next_action"]
    assert action["type"] == "redirect"
    assert int(paid.headers["retry-after"]) > 0
    shown = (await ada.get(booking))["payment"]["next_action"]
    assert shown == action

    async with httpx.AsyncClient() as browser:
        back = await browser.get(action["url"], params={"answer": "approve"})
    assert (back.status_code, back.headers["location"]) == (303, RETURN_URL)
    (intent,) = stand_in.intents(paid["id"])
    body = webhook("payment_intent.amount_capturable_updated", intent, id_="evt_approved")
    headers = {"stripe-signature": signature(body), "content-type": "application/json"}
    rung = await system.bookings_http.post(WEBHOOKS, content=body, headers=headers)
    assert rung.status_code == 200

    async def confirmed():
        return (await ada.get(booking))["status"] == "confirmed"

    await eventually(confirmed)
    assert (await ada.get(booking))["payment"]["next_action"] is None


async def test_a_payer_who_refuses_can_pay_in_another_way(system, stand_in):
    ada = await system.traveller()
    booking = (await ada.book(await system.a_flight())).body
    paid = await ada.pay(booking, CHALLENGED)
    assert paid.status == 202
    async with httpx.AsyncClient() as browser:
        await browser.get(paid["next_action"]["url"], params={"answer": "refuse"})

    async def held_again():
        return (await ada.get(booking))["status"] == "held"

    await eventually(held_again)  # without any webhook: the driver asks of its own accord
    assert (await ada.pay(booking, VISA)).status == 201


async def test_an_answer_that_is_lost_is_asked_for_again(system, stand_in):
    ada = await system.traveller()
    booking = (await ada.book(await system.a_flight())).body
    stand_in.fault("capture", "lose_answer")
    assert (await ada.pay(booking, VISA)).status == 202

    async def confirmed():
        return (await ada.get(booking))["status"] == "confirmed"

    await eventually(confirmed)
    (intent,) = stand_in.all_intents()
    assert intent["amount_received"] == 12_900
