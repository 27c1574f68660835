"""The payer's page: it works without scripts, loads nothing, and says what became of it."""

from __future__ import annotations

import base64
import hashlib
import re
from uuid import UUID

import pytest
from sandbox_stage import PRICE, a_charge

from skyhold.kernel.ids import new_id
from skyhold.kernel.money import Money


@pytest.fixture
async def page(ledger):
    """A payment that waits for its payer, and its page."""
    payment = await ledger.authorise(a_charge().id, PRICE, "tok_3ds")
    return payment.challenge


async def test_the_payer_sees_the_amount_and_two_buttons(browser, page):
    reply = await browser.get(page)
    assert reply.status_code == 200
    assert "129.00 USD" in reply.text
    assert re.findall(r"<button>(\w+)</button>", reply.text) == ["Approve", "Refuse"]
    assert "script" not in reply.text
    assert not re.search(r"(src|href)=|url\(", reply.text)


@pytest.mark.parametrize(
    ("button", "state", "says"),
    [("approve", "authorized", "You have approved"), ("refuse", "declined", "You have refused")],
)
async def test_a_button_decides_and_then_there_is_none(browser, ledger, page, button, state, says):
    forms = re.findall(r'<form method="post" action="([^"]+)">', (await browser.get(page)).text)
    (action,) = [form for form in forms if form.endswith(button)]
    shown = await browser.post(action, follow_redirects=True)
    assert (shown.status_code, str(shown.url)) == (200, page)
    assert says in shown.text
    assert "<button>" not in shown.text
    assert (await ledger.get(page.rsplit("/", 1)[1])).state == state


async def test_whoever_decided_first_has_decided(browser, ledger, page):
    await browser.post(f"{page}/refuse")
    late = await browser.post(f"{page}/approve", follow_redirects=True)
    assert "You have refused" in late.text
    assert (await ledger.get(page.rsplit("/", 1)[1])).state == "declined"


async def test_looking_at_it_decides_nothing(browser, ledger, page):
    for _ in range(2):
        await browser.get(page)
    assert (await browser.get(f"{page}/approve")).status_code == 405
    assert (await ledger.get(page.rsplit("/", 1)[1])).state == "requires_action"


async def test_a_payment_that_was_called_off_cannot_be_approved(browser, ledger, page):
    id_ = page.rsplit("/", 1)[1]
    await ledger.cancel(id_)
    shown = await browser.post(f"{page}/approve", follow_redirects=True)
    assert "called off" in shown.text
    assert (await ledger.get(id_)).state == "cancelled"


@pytest.mark.parametrize("state", ["authorized", "captured", "refunded", "declined", "never"])
async def test_a_page_is_there_for_every_payment(browser, ledger, state):
    id_, token = new_id(), "tok_declined" if state == "declined" else "tok_visa"
    await ledger.authorise(id_, PRICE, token)
    if state in {"captured", "refunded"}:
        await ledger.capture(id_)
    if state == "refunded":
        await ledger.refund(id_)
    shown = await browser.get(f"/sandbox/challenges/{id_}")
    assert shown.status_code == 200
    assert "<button>" not in shown.text


@pytest.mark.parametrize("path", ["nobody", "<b>x", "x" * 64, str(UUID(int=7))])
async def test_of_what_does_not_exist_there_is_no_page_and_nothing_is_repeated(browser, path):
    for method, rest in (("GET", ""), ("POST", "/approve")):
        reply = await browser.request(method, f"/sandbox/challenges/{path}{rest}")
        assert reply.status_code == 404
        assert path not in reply.text


async def test_a_decision_that_is_none_is_refused(browser, page):
    assert (await browser.post(f"{page}/capture")).status_code == 422


async def test_nobody_may_frame_it_keep_it_or_put_anything_into_it(browser, page):
    for reply in (await browser.get(page), await browser.post(f"{page}/approve")):
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "said",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://sandbox.test"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
    ids=repr,
)
async def test_another_site_cannot_press_its_buttons(browser, ledger, page, said):
    refused = await browser.post(f"{page}/approve", headers=said)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")
    assert (await ledger.get(page.rsplit("/", 1)[1])).state == "requires_action"


@pytest.mark.parametrize(
    "said",
    [{"sec-fetch-site": "same-origin"}, {"origin": "http://sandbox.test"}, {}],
    ids=repr,
)
async def test_its_own_buttons_work(browser, ledger, page, said):
    assert (await browser.post(f"{page}/approve", headers=said)).status_code == 303
    assert (await ledger.get(page.rsplit("/", 1)[1])).state == "authorized"


async def test_its_style_is_the_one_that_its_policy_allows(browser, page):
    reply = await browser.get(page)
    (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{allowed}'" in reply.headers["content-security-policy"]


async def test_what_stands_in_the_ledger_is_never_markup(browser, ledger):
    await ledger.authorise('"><b>x', PRICE, "tok_3ds")
    shown = await browser.get("/sandbox/challenges/%22%3E%3Cb%3Ex")
    assert shown.status_code == 200
    assert "<b>" not in shown.text


async def test_amounts_are_written_as_their_currency_does(browser, ledger):
    id_ = new_id()
    await ledger.authorise(id_, Money(1, "JPY"), "tok_3ds")
    assert "1 JPY" in (await browser.get(f"/sandbox/challenges/{id_}")).text
