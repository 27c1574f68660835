"""The sandbox provider keeps the promises of the provider port, whoever asks, and how often."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from booking_stage import sandbox_in

from skyhold.booking.clients.payments.port import ProviderState as State
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.ids import new_id
from skyhold.kernel.money import Money
from support.system import eventually

PRICE = Money(12_900, "USD")
CLOCK = FrozenClock(datetime(2026, 12, 1, tzinfo=UTC))


@pytest.fixture
async def sandbox(tmp_path):
    provider = sandbox_in(tmp_path, CLOCK, slow_s=0.5)
    yield provider
    await provider.close()


async def test_reserve_collect_and_give_back(sandbox):
    payment = new_id()
    assert await sandbox.get(payment) is None
    assert await sandbox.authorise(payment, PRICE, "tok_visa") is State.AUTHORIZED
    assert await sandbox.capture(payment) is State.CAPTURED
    assert await sandbox.refund(payment) is State.REFUNDED
    assert await sandbox.get(payment) is State.REFUNDED


@pytest.mark.parametrize(
    "token", ["tok_declined", "tok_unheard_of", "", "tok_visa ", "TOK_VISA", "4111111111111111"]
)
async def test_any_other_token_is_declined(sandbox, token):
    payment = new_id()
    assert await sandbox.authorise(payment, PRICE, token) is State.DECLINED
    assert await sandbox.capture(payment) is State.DECLINED


async def test_a_refused_capture_stays_refused_and_can_be_cancelled(sandbox):
    payment = new_id()
    assert await sandbox.authorise(payment, PRICE, "tok_capture_refused") is State.AUTHORIZED
    for _ in range(2):
        assert await sandbox.capture(payment) is State.CAPTURE_REFUSED
    assert await sandbox.cancel(payment) is State.CANCELLED
    assert await sandbox.capture(payment) is State.CANCELLED


async def test_a_slow_one_has_reserved_long_before_it_answers(sandbox):
    payment = new_id()
    asked = asyncio.create_task(sandbox.authorise(payment, PRICE, "tok_slow"))

    async def it_is_reserved():
        return await sandbox.get(payment) is State.AUTHORIZED

    await eventually(it_is_reserved)
    assert not asked.done()
    assert await asked is State.AUTHORIZED


async def test_one_that_never_answers_can_be_cancelled(sandbox):
    payment = new_id()
    asked = asyncio.create_task(sandbox.authorise(payment, PRICE, "tok_never"))

    async def it_is_pending():
        return await sandbox.get(payment) is State.PENDING

    await eventually(it_is_pending)
    assert not asked.done()
    asked.cancel()
    assert await sandbox.capture(payment) is State.PENDING
    assert await sandbox.cancel(payment) is State.CANCELLED
    assert await sandbox.authorise(payment, PRICE, "tok_never") is State.CANCELLED


async def test_a_cancel_that_comes_first_is_final(sandbox):
    payment = new_id()
    assert await sandbox.cancel(payment) is State.CANCELLED
    assert await sandbox.authorise(payment, PRICE, "tok_visa") is State.CANCELLED
    assert await sandbox.capture(payment) is State.CANCELLED


async def test_a_cancel_that_comes_too_late_says_so(sandbox):
    payment = new_id()
    await sandbox.authorise(payment, PRICE, "tok_visa")
    await sandbox.capture(payment)
    assert await sandbox.cancel(payment) is State.CAPTURED
    assert await sandbox.get(payment) is State.CAPTURED


async def test_only_what_was_collected_is_given_back(sandbox):
    payment = new_id()
    await sandbox.authorise(payment, PRICE, "tok_visa")
    assert await sandbox.refund(payment) is State.AUTHORIZED
    await sandbox.cancel(payment)
    assert await sandbox.refund(payment) is State.CANCELLED


async def test_nothing_can_be_collected_that_was_never_reserved(sandbox):
    """It may be in the ledger of another process: nobody knows, so nothing is concluded."""
    payment = new_id()
    for ask in (sandbox.capture, sandbox.refund):
        with pytest.raises(Unknown):
            await ask(payment)
    assert await sandbox.get(payment) is None


@pytest.mark.parametrize("call", ["authorise", "capture", "cancel", "refund"])
async def test_asking_again_answers_the_same_and_does_nothing(sandbox, call):
    payment = new_id()
    ask = {
        "authorise": lambda: sandbox.authorise(payment, PRICE, "tok_visa"),
        "capture": lambda: sandbox.capture(payment),
        "cancel": lambda: sandbox.cancel(payment),
        "refund": lambda: sandbox.refund(payment),
    }
    before = {"capture": ["authorise"], "cancel": ["authorise"], "refund": ["authorise", "capture"]}
    for step in before.get(call, []):
        await ask[step]()
    first = await ask[call]()
    assert {await ask[call]() for _ in range(3)} == {first}


async def test_another_token_or_amount_does_not_change_what_was_reserved(sandbox):
    payment = new_id()
    await sandbox.authorise(payment, PRICE, "tok_declined")
    assert await sandbox.authorise(payment, Money(1, "USD"), "tok_visa") is State.DECLINED


async def test_of_captures_and_cancels_at_once_one_kind_wins(sandbox):
    for _ in range(5):
        payment = new_id()
        await sandbox.authorise(payment, PRICE, "tok_visa")
        calls = [sandbox.capture(payment), sandbox.cancel(payment)] * 5
        answers = set(await asyncio.gather(*calls))
        assert answers in ({State.CAPTURED}, {State.CANCELLED})


async def test_an_authorisation_and_its_cancel_at_once_reserve_nothing(sandbox):
    for _ in range(5):
        payment = new_id()
        calls = [sandbox.authorise(payment, PRICE, "tok_visa"), sandbox.cancel(payment)]
        await asyncio.gather(*calls)
        assert await sandbox.get(payment) is State.CANCELLED


async def test_the_ledger_outlives_the_process_and_is_shared(sandbox, tmp_path):
    payment = new_id()
    await sandbox.authorise(payment, PRICE, "tok_visa")
    other = sandbox_in(tmp_path, CLOCK)
    assert await other.capture(payment) is State.CAPTURED
    await other.close()
    assert await sandbox.capture(payment) is State.CAPTURED
