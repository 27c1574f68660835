"""What the port promises, of every provider: asked again, too early, too late, or in vain."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from provider_stage import PRICE, heard

from skyhold.booking.clients.payments.port import ProviderState as State
from skyhold.kernel.client import Unknown

AFAR = ["sandbox_over_http", "stripe_stand_in"]


async def test_reserve_collect_and_give_back(till):
    charge = till.charge()
    assert await till.state(charge) is None
    answer = await till.provider.authorise(charge)
    assert answer.state is State.AUTHORIZED
    charge = heard(charge, answer)
    assert await till.state(charge) == "authorized"
    assert (await till.provider.capture(charge)).state is State.CAPTURED
    assert await till.state(charge) == "captured"
    assert (await till.provider.refund(charge)).state is State.REFUNDED
    assert await till.state(charge) == "refunded"


async def test_a_declined_payment_stays_declined_and_can_be_dropped(till):
    charge = till.charge(till.declined)
    for _ in range(3):
        assert (await till.provider.authorise(charge)).state is State.DECLINED
    charge = await till.authorised(charge)
    assert (await till.provider.capture(charge)).state is not State.CAPTURED
    assert await till.state(charge) == "declined"
    assert (await till.provider.cancel(charge)).state is State.CANCELLED


@pytest.mark.parametrize("token", ["pm_of_nobody", "tok_of_nobody"])
async def test_a_token_that_nobody_knows_is_declined(till, token):
    charge = till.charge(token)
    for _ in range(2):
        assert (await till.provider.authorise(charge)).state is State.DECLINED
    assert (await till.provider.cancel(charge)).state is State.CANCELLED


@pytest.mark.parametrize("known", [True, False], ids=["reference kept", "reference never heard"])
@pytest.mark.parametrize("what", ["authorise", "capture", "cancel", "refund"])
async def test_asking_again_answers_the_same_and_does_nothing(till, what, known):
    charge = till.charge()
    before = {"capture": ["authorise"], "cancel": ["authorise"], "refund": ["authorise", "capture"]}
    for step in before.get(what, []):
        answer = await till.ask(step, charge)
        charge = heard(charge, answer) if known else charge
    first = await till.ask(what, charge)
    assert {(await till.ask(what, charge)).state for _ in range(3)} == {first.state}
    assert await till.state(heard(charge, first)) == first.state


async def test_of_many_at_once_all_hear_the_same(till):
    charge = till.charge()
    answers = await asyncio.gather(*(_tried(till.provider.authorise, charge) for _ in range(5)))
    assert set(answers) <= {State.AUTHORIZED, None}
    charge = await till.authorised(charge)
    answers = await asyncio.gather(*(_tried(till.provider.capture, charge) for _ in range(5)))
    assert set(answers) <= {State.CAPTURED, None}
    assert await till.state(charge) == "captured"


async def test_of_a_capture_and_a_cancel_at_once_one_wins(till):
    for _ in range(4):
        charge = await till.authorised(till.charge())
        captured, cancelled = await asyncio.gather(
            _tried(till.provider.capture, charge), _tried(till.provider.cancel, charge)
        )
        assert {captured, cancelled} - {None} in ({State.CAPTURED}, {State.CANCELLED})
        assert await till.state(charge) in {"captured", "cancelled"}


async def test_a_cancel_that_comes_first_is_final(till):
    charge = till.charge()
    assert (await till.provider.cancel(charge)).state is State.CANCELLED
    late = await till.provider.authorise(charge)
    assert late.state is State.CANCELLED
    assert (await till.provider.capture(heard(charge, late))).state is State.CANCELLED
    assert await till.state(heard(charge, late)) == "cancelled"


async def test_what_was_dropped_cannot_be_collected(till):
    charge = await till.authorised(till.charge())
    assert (await till.provider.cancel(charge)).state is State.CANCELLED
    assert (await till.provider.capture(charge)).state is State.CANCELLED
    assert (await till.provider.refund(charge)).state is State.CANCELLED


async def test_a_cancel_that_comes_too_late_says_so_and_changes_nothing(till):
    charge = await till.authorised(till.charge())
    await till.provider.capture(charge)
    for _ in range(2):
        assert (await till.provider.cancel(charge)).state is State.CAPTURED
    assert await till.state(charge) == "captured"
    await till.provider.refund(charge)
    assert (await till.provider.cancel(charge)).state is State.REFUNDED


async def test_only_what_was_collected_is_given_back(till):
    charge = await till.authorised(till.charge())
    assert (await till.provider.refund(charge)).state is State.AUTHORIZED
    assert await till.state(charge) == "authorized"


async def test_nothing_can_be_collected_that_was_never_reserved(till):
    charge = till.charge()
    for ask in (till.provider.capture, till.provider.refund):
        assert await _tried(ask, charge) in {None, State.PENDING}


async def test_a_refused_capture_is_no_capture_and_can_be_dropped(till):
    charge = await till.authorised(till.refuse_captures(till.charge()))
    for _ in range(2):
        assert (await till.provider.capture(charge)).state is State.CAPTURE_REFUSED
    assert (await till.provider.cancel(charge)).state is State.CANCELLED
    assert (await till.provider.capture(charge)).state is State.CANCELLED


async def test_a_refund_that_fails_is_still_owed_and_succeeds_when_asked_again(till):
    charge = await till.authorised(till.fail_refund(till.charge()))
    await till.provider.capture(charge)
    assert (await till.provider.refund(charge)).state is State.CAPTURED
    assert await till.state(charge) == "captured"
    assert (await till.provider.refund(charge)).state is State.REFUNDED
    assert await till.state(charge) == "refunded"


@pytest.mark.parametrize("approved", [True, False], ids=["approved", "refused"])
async def test_a_payer_who_has_to_act_decides(till, approved):
    charge = till.charge(till.challenged)
    for _ in range(2):
        answer = await till.provider.authorise(charge)
        assert answer.state is State.REQUIRES_ACTION
        assert answer.next_action is not None
        charge = heard(charge, answer)
    await till.decide(answer, charge, approved)
    decided = await till.provider.authorise(charge)
    assert decided.state is (State.AUTHORIZED if approved else State.DECLINED)
    assert decided.next_action is None
    captured = await till.provider.capture(charge)
    assert (captured.state is State.CAPTURED) == approved


async def test_a_payer_who_acts_too_late_finds_nothing_to_pay(till):
    charge = till.charge(till.challenged)
    answer = await till.provider.authorise(charge)
    charge = heard(charge, answer)
    assert (await till.provider.cancel(charge)).state is State.CANCELLED
    await till.decide(answer, charge, True)
    assert (await till.provider.authorise(charge)).state is State.CANCELLED


async def test_another_token_does_not_change_what_was_decided(till):
    charge = till.charge(till.declined)
    await till.provider.authorise(charge)
    again = till.charge(till.visa, amount=PRICE)
    again = type(charge)(charge.id, again.amount, again.token, None, charge.created_at)
    assert (await till.provider.authorise(again)).state is State.DECLINED


@pytest.mark.parametrize("till", AFAR, indirect=True)
@pytest.mark.parametrize("what", ["authorise", "capture", "cancel", "refund"])
async def test_a_lost_answer_costs_a_repeat_and_nothing_else(till, what):
    charge = till.charge()
    before = {"capture": ["authorise"], "cancel": ["authorise"], "refund": ["authorise", "capture"]}
    for step in before.get(what, []):
        charge = heard(charge, await till.ask(step, charge))
    till.lose_answer(what)
    done = {
        "authorise": State.AUTHORIZED,
        "capture": State.CAPTURED,
        "cancel": State.CANCELLED,
        "refund": State.REFUNDED,
    }
    assert (await till.ask(what, charge)).state is done[what]


async def test_the_ledger_has_every_payment_once(till):
    captured = await till.authorised(till.charge())
    await till.provider.capture(captured)
    declined = await till.authorised(till.charge(till.declined))
    cancelled = till.charge()
    await till.provider.cancel(cancelled)
    refunded = await till.authorised(till.charge())
    await till.provider.capture(refunded)
    await till.provider.refund(refunded)

    ours = {charge.id for charge in (captured, declined, cancelled, refunded)}
    entries = [entry async for entry in till.provider.ledger(None) if entry.payment_id in ours]
    assert {entry.payment_id: str(entry.state) for entry in entries} == {
        captured.id: "captured",
        declined.id: "declined",
        cancelled.id: "cancelled",
        refunded.id: "refunded",
    }
    assert len(entries) == 4
    assert {entry.amount for entry in entries if entry.payment_id != cancelled.id} == {PRICE}
    lately = till.clock.now() + timedelta(minutes=5)
    assert [entry async for entry in till.provider.ledger(lately)] == []


async def _tried(ask, charge):
    """The state, or None without a clear answer."""
    try:
        return (await ask(charge)).state
    except Unknown:
        return None
