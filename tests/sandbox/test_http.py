"""The sandbox provider over HTTP: what it refuses, and what its answers are worth."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sandbox_stage import a_charge, far, served

from skyhold.booking.clients.payments.port import NextAction
from skyhold.booking.clients.payments.port import ProviderState as State
from skyhold.kernel.client import Unknown
from skyhold.kernel.ids import new_id
from support.system import eventually

GOOD = {"amount_minor": 12_900, "currency": "USD", "token": "tok_visa"}
WRONG = {
    "nothing": {},
    "a negative amount": GOOD | {"amount_minor": -1},
    "an amount in words": GOOD | {"amount_minor": "12900"},
    "half a cent": GOOD | {"amount_minor": 0.5},
    "more than there is": GOOD | {"amount_minor": 10**12 + 1},
    "no currency": GOOD | {"currency": "dollars"},
    "a token without end": GOOD | {"token": "t" * 256},
    "something else": GOOD | {"card": "4111111111111111"},
}


@pytest.fixture
async def remote(ledger, tmp_path):
    async with served(ledger, tmp_path) as url:
        provider = far(url)
        yield provider
        await provider.close()


@pytest.mark.parametrize("what", WRONG)
async def test_a_payment_that_makes_no_sense_is_refused_and_not_written(browser, ledger, what):
    reply = await browser.put(f"/v1/payments/{new_id()}", json=WRONG[what])
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid")
    assert await ledger.page(after="", since=None, limit=10) == []


async def test_an_id_that_is_none_of_ours_is_refused(browser):
    for path in ("1", "..", "018F4B6E-3D3A-7C51-9F0A-2F1F4C1F9A77"):
        assert (await browser.put(f"/v1/payments/{path}", json=GOOD)).status_code in {404, 422}


async def test_a_payment_that_nobody_made_does_not_exist(browser):
    for method, path in (("GET", ""), ("POST", "/capture"), ("POST", "/refund")):
        reply = await browser.request(method, f"/v1/payments/{new_id()}{path}")
        assert (reply.status_code, reply.json()["code"]) == (404, "payment_not_found")


async def test_it_answers_how_it_is(browser):
    for path in ("/livez", "/readyz"):
        assert (await browser.get(path)).json() == {"status": "ok"}


async def test_the_payment_as_it_stands_is_the_answer(browser):
    id_ = new_id()
    reply = await browser.put(f"/v1/payments/{id_}", json=GOOD | {"token": "tok_3ds"})
    assert reply.status_code == 200
    assert reply.json() == {
        "id": id_,
        "state": "requires_action",
        "amount_minor": 12_900,
        "currency": "USD",
        "created_at": "2026-12-01T00:00:00Z",
        "next_action": {
            "type": "redirect",
            "url": f"http://sandbox.test/sandbox/challenges/{id_}",
        },
    }
    assert (await browser.post(f"/v1/payments/{id_}/cancel")).json()["next_action"] is None


async def test_what_the_payer_has_to_do_is_told_over_http_as_it_is_inside(sandbox):
    charge = a_charge("tok_3ds")
    answer = await sandbox.authorise(charge)
    url = f"http://sandbox.test/sandbox/challenges/{charge.id}"
    assert (answer.state, answer.reference) == (State.REQUIRES_ACTION, None)
    assert answer.next_action == NextAction("redirect", url, None)
    assert await sandbox.get(charge) == answer
    assert (await sandbox.cancel(charge)).next_action is None


async def test_whoever_hangs_up_leaves_nothing_running_behind(remote, ledger):
    charge = a_charge("tok_never")
    asked = asyncio.create_task(remote.authorise(charge))

    async def it_is_written():
        return await ledger.get(charge.id)

    async def nobody_waits_any_more():
        return not waiting()

    await eventually(it_is_written)
    assert waiting()
    asked.cancel()
    await eventually(nobody_waits_any_more)
    assert (await remote.cancel(charge)).state is State.CANCELLED


def waiting():
    """The authorisations that are under way in this process."""
    return [task for task in asyncio.all_tasks() if "Ledger.authorise" in repr(task.get_coro())]


async def test_a_page_of_payments_is_no_longer_than_it_may_be(browser):
    for limit in ("0", "1001", "many"):
        assert (await browser.get(f"/v1/payments?limit={limit}")).status_code == 422
    assert (await browser.get("/v1/payments?since=yesterday")).status_code == 422


# --- answers that are none -------------------------------------------------------------------

PAYMENT = {
    "id": new_id(),
    "state": "authorized",
    "amount_minor": 12_900,
    "currency": "USD",
    "created_at": datetime(2026, 12, 1, tzinfo=UTC).isoformat(),
    "next_action": None,
}
NONSENSE = {
    "another payment": (200, PAYMENT | {"id": new_id()}),
    "a state nobody knows": (200, PAYMENT | {"state": "frozen"}),
    "no state": (200, {"id": PAYMENT["id"]}),
    "an amount in words": (200, PAYMENT | {"amount_minor": "much"}),
    "an amount below zero": (200, PAYMENT | {"amount_minor": -12_900}),
    "an amount that is a truth": (200, PAYMENT | {"amount_minor": True}),
    "half a cent": (200, PAYMENT | {"amount_minor": 0.5}),
    "HTML": (200, b"<html>Welcome to the hotel's wifi</html>"),
    "half of it": (200, json.dumps(PAYMENT).encode()[:-20]),
    "two of them": (200, json.dumps(PAYMENT).encode() * 2),
    "no UTF-8": (200, b'{"id": "\xff"}'),
    "huge": (200, b'{"id": "' + b"0" * 2_000_000 + b'"}'),
    "deep": (200, b'{"id":' * 50_000),
    "a time in words": (200, PAYMENT | {"created_at": "yesterday"}),
    "an action without a place": (200, PAYMENT | {"next_action": {"type": "redirect"}}),
    "a list": (200, [PAYMENT]),
    "no body": (204, None),
    "a server that is another": (404, {"code": "not_found"}),
    "a refusal": (422, {"code": "unprocessable"}),
    "a refusal with a payment": (409, PAYMENT),
    "a failure": (500, PAYMENT),
    "a redirect": (302, PAYMENT),
}


def _json(body):
    return json.dumps(body).encode()


@asynccontextmanager
async def somebody(status, body):
    """Somebody who answers every request like this."""

    async def answer(reader, writer):
        content = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if length := re.search(rb"content-length: (\d+)", head):
            await reader.readexactly(int(length[1]))
        headers = f"content-length: {len(content)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 {status} X\r\n{headers}\r\n\r\n".encode() + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield far(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


@pytest.mark.parametrize("what", NONSENSE)
@pytest.mark.parametrize("call", ["authorise", "capture", "cancel", "refund", "get"])
async def test_an_answer_that_makes_no_sense_is_unknown(what, call):
    charge = replace(a_charge(), id=PAYMENT["id"])
    async with somebody(*NONSENSE[what]) as provider:
        with pytest.raises(Unknown):
            await getattr(provider, call)(charge)
        await provider.close()


async def test_the_same_answer_that_makes_sense_is_one():
    charge = replace(a_charge(), id=PAYMENT["id"])
    async with somebody(200, PAYMENT) as provider:
        assert (await provider.authorise(charge)).state is State.AUTHORIZED
        await provider.close()


@pytest.mark.parametrize("other", [{"amount_minor": 1}, {"currency": "EUR"}, {"amount_minor": 0}])
async def test_another_amount_than_was_asked_for_is_unknown(other):
    charge = replace(a_charge(), id=PAYMENT["id"])
    async with somebody(200, PAYMENT | other) as provider:
        with pytest.raises(Unknown, match="another amount"):
            await provider.authorise(charge)
        await provider.close()


async def test_books_that_make_no_sense_are_unknown():
    for status, body in ((200, {"data": None}), (200, {"data": [1]}), (500, {"data": []})):
        async with somebody(status, body) as provider:
            with pytest.raises(Unknown):
                _ = [entry async for entry in provider.ledger(None)]
            await provider.close()
