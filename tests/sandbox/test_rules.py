"""The sandbox provider keeps the promises of the provider port, whoever asks, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sandbox_stage import PRICE, a_charge, ledger_in

from skyhold.booking.clients.payments.port import ProviderState as State
from skyhold.booking.clients.payments.sandbox import SandboxProvider
from skyhold.kernel.client import Unknown
from skyhold.kernel.money import Money
from support.system import eventually

ASKS = ["authorise", "capture", "cancel", "refund"]
FIRST = {"capture": ["authorise"], "cancel": ["authorise"], "refund": ["authorise", "capture"]}


async def ask(sandbox, call, charge):
    """The state that a call answers."""
    return (await getattr(sandbox, call)(charge)).state


async def test_reserve_collect_and_give_back(sandbox):
    charge = a_charge()
    assert await sandbox.get(charge) is None
    assert await ask(sandbox, "authorise", charge) is State.AUTHORIZED
    assert await ask(sandbox, "capture", charge) is State.CAPTURED
    assert await ask(sandbox, "refund", charge) is State.REFUNDED
    assert await ask(sandbox, "get", charge) is State.REFUNDED


@pytest.mark.parametrize(
    "token", ["tok_declined", "tok_unheard_of", "", "tok_visa ", "TOK_VISA", "4111111111111111"]
)
async def test_any_other_token_is_declined(sandbox, token):
    charge = a_charge(token)
    assert await ask(sandbox, "authorise", charge) is State.DECLINED
    assert await ask(sandbox, "capture", charge) is State.DECLINED


async def test_a_refused_capture_stays_refused_and_can_be_cancelled(sandbox):
    charge = a_charge("tok_capture_refused")
    assert await ask(sandbox, "authorise", charge) is State.AUTHORIZED
    for _ in range(2):
        assert await ask(sandbox, "capture", charge) is State.CAPTURE_REFUSED
    assert await ask(sandbox, "cancel", charge) is State.CANCELLED
    assert await ask(sandbox, "capture", charge) is State.CANCELLED


async def test_a_refund_that_fails_leaves_the_money_where_it_is_and_succeeds_the_next_time(sandbox):
    charge = a_charge("tok_refund_fails")
    for call in ("authorise", "capture"):
        await ask(sandbox, call, charge)
    assert await ask(sandbox, "refund", charge) is State.CAPTURED
    assert await ask(sandbox, "get", charge) is State.CAPTURED
    assert await ask(sandbox, "refund", charge) is State.REFUNDED


async def test_a_slow_one_has_reserved_long_before_it_answers(sandbox):
    charge = a_charge("tok_slow")
    asked = asyncio.create_task(ask(sandbox, "authorise", charge))

    async def it_is_reserved():
        known = await sandbox.get(charge)
        return known is not None and known.state is State.AUTHORIZED

    await eventually(it_is_reserved)
    assert not asked.done()
    assert await asked is State.AUTHORIZED


async def test_one_that_never_answers_can_be_cancelled(sandbox):
    charge = a_charge("tok_never")
    asked = asyncio.create_task(ask(sandbox, "authorise", charge))

    async def it_is_pending():
        known = await sandbox.get(charge)
        return known is not None and known.state is State.PENDING

    await eventually(it_is_pending)
    assert not asked.done()
    asked.cancel()
    assert await ask(sandbox, "capture", charge) is State.PENDING
    assert await ask(sandbox, "cancel", charge) is State.CANCELLED
    assert await ask(sandbox, "authorise", charge) is State.CANCELLED


async def test_before_its_payer_has_approved_it_nothing_can_be_collected(sandbox):
    charge = a_charge("tok_3ds")
    for call in ("authorise", "capture", "refund", "authorise"):
        assert await ask(sandbox, call, charge) is State.REQUIRES_ACTION
    assert await ask(sandbox, "cancel", charge) is State.CANCELLED


async def test_a_cancel_that_comes_first_is_final(sandbox):
    charge = a_charge()
    assert await ask(sandbox, "cancel", charge) is State.CANCELLED
    assert await ask(sandbox, "authorise", charge) is State.CANCELLED
    assert await ask(sandbox, "capture", charge) is State.CANCELLED


async def test_a_cancel_that_comes_too_late_says_so(sandbox):
    charge = a_charge()
    for call in ("authorise", "capture"):
        await ask(sandbox, call, charge)
    assert await ask(sandbox, "cancel", charge) is State.CAPTURED
    assert await ask(sandbox, "get", charge) is State.CAPTURED


async def test_only_what_was_collected_is_given_back(sandbox):
    charge = a_charge()
    await ask(sandbox, "authorise", charge)
    assert await ask(sandbox, "refund", charge) is State.AUTHORIZED
    await ask(sandbox, "cancel", charge)
    assert await ask(sandbox, "refund", charge) is State.CANCELLED


async def test_nothing_can_be_collected_that_was_never_reserved(sandbox):
    """It may be in the ledger of another process: nobody knows, so nothing is concluded."""
    charge = a_charge()
    for call in ("capture", "refund"):
        with pytest.raises(Unknown, match="do all processes share"):
            await ask(sandbox, call, charge)
    assert await sandbox.get(charge) is None


@pytest.mark.parametrize("call", ASKS)
async def test_asking_again_answers_the_same_and_does_nothing(sandbox, call):
    charge = a_charge()
    for step in FIRST.get(call, []):
        await ask(sandbox, step, charge)
    first = await ask(sandbox, call, charge)
    assert {await ask(sandbox, call, charge) for _ in range(3)} == {first}


async def test_another_token_or_amount_does_not_change_what_was_reserved(sandbox):
    charge = a_charge("tok_declined")
    await ask(sandbox, "authorise", charge)
    other = replace(charge, token="tok_visa")
    assert await ask(sandbox, "authorise", other) is State.DECLINED
    with pytest.raises(Unknown, match="another amount"):
        await ask(sandbox, "authorise", replace(other, amount=Money(1, "USD")))
    assert [entry.amount async for entry in sandbox.ledger(None)] == [PRICE]


async def test_of_captures_and_cancels_at_once_one_kind_wins(sandbox):
    for _ in range(5):
        charge = a_charge()
        await ask(sandbox, "authorise", charge)
        calls = [ask(sandbox, "capture", charge), ask(sandbox, "cancel", charge)] * 5
        assert set(await asyncio.gather(*calls)) in ({State.CAPTURED}, {State.CANCELLED})


async def test_an_authorisation_and_its_cancel_at_once_reserve_nothing(sandbox):
    for _ in range(5):
        charge = a_charge()
        await asyncio.gather(ask(sandbox, "authorise", charge), ask(sandbox, "cancel", charge))
        assert await ask(sandbox, "get", charge) is State.CANCELLED


async def test_the_ledger_outlives_the_process_and_is_shared(sandbox, tmp_path):
    charge = a_charge()
    await ask(sandbox, "authorise", charge)
    other = SandboxProvider(ledger_in(tmp_path))
    assert await ask(other, "capture", charge) is State.CAPTURED
    await other.close()
    assert await ask(sandbox, "capture", charge) is State.CAPTURED
