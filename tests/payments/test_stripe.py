"""Stripe in particular: its keys, its errors, its states, and what it must not be told."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from provider_stage import PRICE, RETURN_URL, heard, stripe

from skyhold.booking.clients.payments.port import NextAction
from skyhold.booking.clients.payments.port import ProviderState as State
from skyhold.booking.clients.payments.stripe import provider as module
from skyhold.kernel.client import NotTried, Unknown
from skyhold.kernel.money import Money
from support.stripe_process import API_KEY, CHALLENGED, CHALLENGED_THEN_DECLINED, DECLINED, VISA

A_DAY = timedelta(hours=25)
FOR_EVER = -1


@pytest.fixture
async def till(stand_in):
    async with stripe(stand_in) as till:
        yield till


@pytest.fixture
def open_till(stand_in):
    """A till with settings of its own."""

    @asynccontextmanager
    async def open_till(**settings):
        async with stripe(stand_in, **settings) as till:
            yield till

    return open_till


# --- keys ------------------------------------------------------------------------------------


async def test_the_object_is_made_without_the_token_and_confirmed_with_it(till, stand_in):
    charge = await till.authorised(till.charge())
    made, confirmed = stand_in.requests("create", "confirm")
    assert made["key"] == f"{charge.id}:create"
    assert made["params"] == {
        "amount": "12900",
        "currency": "usd",
        "capture_method": "manual",
        "allowed_payment_method_types[0]": "card",
        "metadata[skyhold_payment_id]": charge.id,
    }
    assert confirmed["key"] == f"{charge.id}:confirm"
    assert confirmed["params"]["payment_method"] == VISA


@pytest.mark.parametrize("fault", ["lose_answer", "lose_request", "500", "429", "garbage"])
async def test_whatever_becomes_of_making_it_there_is_one(till, stand_in, fault):
    charge = till.charge()
    stand_in.fault("create", fault)
    with pytest.raises(Unknown):
        await till.provider.authorise(charge)
    assert (await till.provider.authorise(charge)).state is State.AUTHORIZED
    assert len(stand_in.intents(charge.id)) == 1


async def test_a_confirmation_that_answered_500_is_not_taken_for_anything(till, stand_in):
    """Stripe keeps that answer under the key, and repeats it; the object says what is so."""
    charge = till.charge()
    stand_in.fault("confirm", "500_after")
    with pytest.raises(Unknown):
        await till.provider.authorise(charge)
    assert (await till.provider.authorise(charge)).state is State.AUTHORIZED


async def test_a_kept_answer_is_not_believed(till, stand_in):
    """The answers to both keys are of the time when the payer had still to act."""
    charge = till.charge(CHALLENGED)
    answer = await till.provider.authorise(charge)
    await till.decide(answer, charge, approve=True)
    assert charge.reference is None, "it was never heard, and is found by its key"
    assert (await till.provider.authorise(charge)).state is State.AUTHORIZED
    assert len(stand_in.requests("confirm")) == 1


async def test_a_confirmation_that_was_on_its_way_does_not_outlive_the_cancellation(till, stand_in):
    """The cancellation comes between making the object and confirming it."""
    charge = till.charge()
    stand_in.fault("confirm", "lose_request")
    with pytest.raises(Unknown):
        await till.provider.authorise(charge)
    assert (await till.provider.cancel(charge)).state is State.CANCELLED
    (intent,) = stand_in.intents(charge.id)
    late = stand_in.http.post(
        f"/v1/payment_intents/{intent['id']}/confirm",
        data={"payment_method": VISA},
        headers={"idempotency-key": f"{charge.id}:confirm"},
    )
    assert late.status_code == 400
    assert await till.state(charge) == "cancelled"


async def test_after_a_day_it_is_known_by_its_reference(till, stand_in):
    charge = await till.authorised(till.charge())
    stand_in.forget_keys()
    till.clock.advance(seconds=A_DAY.total_seconds())
    assert (await till.provider.capture(charge)).state is State.CAPTURED
    assert len(stand_in.intents(charge.id)) == 1


async def test_after_a_day_without_a_reference_it_is_looked_for_and_never_made_again(
    till, stand_in
):
    charge = till.charge()
    await till.provider.authorise(charge)
    stand_in.forget_keys()
    till.clock.advance(seconds=A_DAY.total_seconds())
    assert (await till.provider.cancel(charge)).state is State.CANCELLED
    (intent,) = stand_in.intents(charge.id)
    assert intent["status"] == "canceled"


async def test_after_a_day_what_is_nowhere_is_cancelled_and_declined(till, stand_in):
    charge = till.charge()
    till.clock.advance(seconds=A_DAY.total_seconds())
    assert (await till.provider.cancel(charge)).state is State.CANCELLED
    assert (await till.provider.authorise(charge)).state is State.DECLINED
    assert stand_in.requests("create") == []


async def test_one_made_in_other_words_is_found_all_the_same(till, stand_in):
    """Another version of this program may have asked for it, with other parameters."""
    charge = till.charge()
    made = stand_in.http.post(
        "/v1/payment_intents",
        data={
            "amount": "12900",
            "currency": "usd",
            "capture_method": "manual",
            "metadata[skyhold_payment_id]": charge.id,
        },
        headers={"idempotency-key": f"{charge.id}:create"},
    ).json()
    answer = await till.provider.authorise(charge)
    assert (answer.state, answer.reference) == (State.AUTHORIZED, made["id"])

    stand_in.fault("search", "empty", FOR_EVER)
    with pytest.raises(Unknown, match="cannot be found yet"):
        await till.provider.cancel(charge)


async def test_capturing_and_cancelling_are_asked_for_anew_each_time(till, stand_in):
    """Under one key Stripe would repeat an error of its own for a day."""
    for what in ("capture", "cancel"):
        charge = await till.authorised(till.charge())
        stand_in.fault(what, "500")
        with pytest.raises(Unknown):
            await getattr(till.provider, what)(charge)
        await getattr(till.provider, what)(charge)
        keys = [request["key"] for request in stand_in.requests(what)]
        assert len(set(keys)) == len(keys) == 2


# --- refunds ---------------------------------------------------------------------------------


@pytest.fixture
async def captured(till):
    charge = await till.authorised(till.charge())
    await till.provider.capture(charge)
    return charge


async def test_a_refund_under_way_is_waited_for_and_not_asked_for_twice(till, stand_in, captured):
    stand_in.refunds_become("pending")
    for _ in range(3):
        assert (await till.provider.refund(captured)).state is State.CAPTURED
    (refund,) = stand_in.refunds(captured.reference)
    stand_in.refund_becomes(refund["id"], "succeeded")
    assert (await till.provider.refund(captured)).state is State.REFUNDED
    assert len(stand_in.requests("refund")) == 1


async def test_each_refund_that_failed_means_a_new_key(till, stand_in, captured):
    stand_in.refunds_become("failed", times=2)
    for _ in range(2):
        assert (await till.provider.refund(captured)).state is State.CAPTURED
    assert (await till.provider.refund(captured)).state is State.REFUNDED
    keys = [request["key"] for request in stand_in.requests("refund")]
    # And the hour, so that an error which Stripe keeps under a key does not last.
    names = [key.rpartition(":")[0] for key in keys]
    assert names == [f"{captured.id}:refund:{n}" for n in range(3)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d", key.rpartition(":")[2]) for key in keys)


async def test_a_refund_whose_answer_is_lost_is_made_once(till, stand_in, captured):
    stand_in.fault("refund", "lose_answer")
    with pytest.raises(Unknown):
        await till.provider.refund(captured)
    assert (await till.provider.refund(captured)).state is State.REFUNDED
    assert len(stand_in.refunds(captured.reference)) == 1


async def test_a_refund_that_succeeded_may_fail_after_all(till, stand_in, captured):
    assert (await till.provider.refund(captured)).state is State.REFUNDED
    (refund,) = stand_in.refunds(captured.reference)
    stand_in.refund_becomes(refund["id"], "failed")
    assert await till.state(captured) == "captured"
    assert (await till.provider.refund(captured)).state is State.REFUNDED


async def test_what_someone_refunded_by_hand_is_not_refunded_again(till, stand_in, captured):
    by_hand = {"payment_intent": captured.reference}
    stand_in.http.post("/v1/refunds", data=by_hand).raise_for_status()
    assert (await till.provider.refund(captured)).state is State.REFUNDED
    assert len(stand_in.refunds(captured.reference)) == 1


async def test_a_refund_that_stripe_refuses_is_asked_for_again_later(till, stand_in, captured):
    stand_in.fault("refund", "refuse")
    assert (await till.provider.refund(captured)).state is State.CAPTURED
    assert (await till.provider.refund(captured)).state is State.REFUNDED


# --- states ----------------------------------------------------------------------------------


async def test_without_a_place_to_return_to_the_page_goes_on_by_itself(till, stand_in):
    answer = await till.provider.authorise(till.charge(CHALLENGED))
    (intent,) = [i for i in stand_in.all_intents() if i["id"] == answer.reference]
    assert answer.next_action == NextAction("use_sdk", None, intent["client_secret"])
    (confirmed,) = stand_in.requests("confirm")
    assert confirmed["params"]["use_stripe_sdk"] == "true"
    assert "return_url" not in confirmed["params"]


async def test_with_one_the_payer_is_sent_to_the_bank_and_back(open_till, stand_in):
    async with open_till(return_url=RETURN_URL) as till:
        charge = till.charge(CHALLENGED)
        answer = await till.provider.authorise(charge)
        assert answer.next_action == NextAction(
            "redirect", f"{stand_in.url}/3ds/{answer.reference}", None
        )
        back = stand_in.http.get(answer.next_action.url, params={"answer": "approve"})
        assert (back.status_code, back.headers["location"]) == (303, RETURN_URL)
        assert (await till.provider.authorise(charge)).state is State.AUTHORIZED


async def test_approved_by_the_payer_and_declined_by_the_bank(till):
    charge = till.charge(CHALLENGED_THEN_DECLINED)
    answer = await till.provider.authorise(charge)
    await till.decide(answer, charge, approve=True)
    assert (await till.provider.authorise(charge)).state is State.DECLINED


async def test_an_amount_that_stripe_would_not_take_is_declined_and_nothing_is_made(till, stand_in):
    for amount in (Money(49, "USD"), Money(500, "UGX")):
        charge = till.charge(amount=amount)
        assert (await till.provider.authorise(charge)).state is State.DECLINED
        assert (await till.provider.cancel(charge)).state is State.CANCELLED
        assert stand_in.intents(charge.id) == []


async def test_a_state_that_nobody_has_heard_of_is_no_answer(till, monkeypatch):
    charge = await till.authorised(till.charge())
    monkeypatch.delitem(module.answer_of.__globals__["_STATES"], "requires_capture")
    with pytest.raises(Unknown, match="requires_capture"):
        await till.provider.authorise(charge)


@pytest.mark.parametrize("what", ["authorise", "capture", "cancel", "refund"])
async def test_a_reference_that_is_gone_says_nothing_about_the_payment(till, what, capsys):
    """The key is perhaps another account's: concluding anything would lose money."""
    charge = till.charge(reference="pi_of_another_account")
    with pytest.raises(Unknown, match="is it the account"):
        await getattr(till.provider, what)(charge)
    assert await till.provider.get(charge) is None
    assert "stripe.lost" in capsys.readouterr().out


async def test_a_refusal_to_look_is_not_a_payment_that_nobody_knows(till, stand_in):
    charge = await till.authorised(till.charge())
    stand_in.fault("retrieve", "refuse")
    with pytest.raises(Unknown):
        await till.provider.get(charge)


# --- errors ----------------------------------------------------------------------------------

FAULTS = ["409", "429", "500", "401", "403", "garbage", "lose_request", "lose_answer"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", ["authorise", "capture", "cancel", "refund", "get"])
async def test_without_a_clear_answer_nobody_knows(till, stand_in, what, fault):
    charge = await till.authorised(till.charge())
    if what == "refund":
        await till.provider.capture(charge)
    op = {"authorise": "retrieve", "get": "retrieve"}.get(what, what)
    stand_in.fault(op, fault)
    with pytest.raises(Unknown):
        await getattr(till.provider, what)(charge)


@pytest.mark.parametrize("fault", ["409", "429", "500", "lose_request"])
async def test_a_request_is_made_once_and_repeated_only_by_whoever_asked(till, stand_in, fault):
    stand_in.fault("create", fault, FOR_EVER)
    with pytest.raises(Unknown):
        await till.provider.authorise(till.charge())
    assert len(stand_in.requests("create")) == 1


async def test_a_slow_answer_is_not_waited_for(open_till, stand_in):
    async with open_till(timeout_s=0.3) as till:
        stand_in.fault("create", "slow")
        with pytest.raises(Unknown):
            await till.provider.authorise(till.charge())


@pytest.mark.parametrize("fault", ["401", "403"])
async def test_a_key_that_is_refused_is_told_loudly_and_never_shown(till, stand_in, fault, capsys):
    stand_in.fault("create", fault)
    with pytest.raises(Unknown, match="STRIPE_API_KEY") as unknown:
        await till.provider.authorise(till.charge())
    told = capsys.readouterr().out
    assert "level='error' event='stripe.key_refused'" in told
    assert API_KEY not in told + repr(unknown.value)


async def test_what_stripe_writes_to_people_is_not_repeated(till, stand_in, capsys):
    """Its messages quote what was sent: tokens, parts of keys."""
    charge = till.charge("pm_of_nobody")
    await till.provider.authorise(charge)
    for op in ("capture", "refund"):
        stand_in.fault(op, "refuse")
    captured = await till.authorised(till.charge())
    await till.provider.capture(captured)
    told = capsys.readouterr().out
    assert "resource_missing" in told
    assert "secret words" not in told
    assert "pm_of_nobody" not in told


async def test_the_library_does_not_log_what_it_sends(till, caplog):
    caplog.set_level(logging.DEBUG)
    charge = await till.authorised(till.charge(CHALLENGED))
    assert charge.reference
    assert CHALLENGED not in caplog.text
    assert "_secret_" not in caplog.text


async def test_one_that_never_answers_is_left_alone_for_a_while(open_till, stand_in):
    async with open_till(failures_max=3) as till:
        stand_in.fault("create", "500", FOR_EVER)
        for _ in range(3):
            with pytest.raises(Unknown):
                await till.provider.authorise(till.charge())
        with pytest.raises(NotTried):
            await till.provider.authorise(till.charge())
        assert len(stand_in.requests("create")) == 3


async def test_a_decline_is_no_reason_to_leave_stripe_alone(open_till):
    async with open_till(failures_max=2) as till:
        for _ in range(4):
            answer = await till.provider.authorise(till.charge(DECLINED))
            assert answer.state is State.DECLINED


async def test_stripe_is_told_nothing_about_this_machine(till, stand_in):
    for _ in range(2):  # telemetry would come with the second request
        await till.authorised(till.charge())
    for request in stand_in.requests():
        assert "X-Stripe-Client-Telemetry" not in request["headers"]
        agent = request["headers"]["X-Stripe-Client-User-Agent"]
        assert "telemetry_id" not in agent
        assert "platform" not in agent


# --- the ledger ------------------------------------------------------------------------------


async def test_the_ledger_is_read_page_by_page_and_leaves_out_what_is_not_ours(
    till, stand_in, monkeypatch
):
    monkeypatch.setattr(module, "PAGE", 3)
    ours = {(await till.authorised(till.charge())).id for _ in range(7)}
    theirs = stand_in.http.post("/v1/payment_intents", data={"amount": "500", "currency": "usd"})
    theirs.raise_for_status()
    entries = [
        entry async for entry in till.provider.ledger(datetime.now(UTC) - timedelta(hours=1))
    ]
    told = [entry.payment_id for entry in entries]
    assert ours <= set(told)
    assert len(told) == len(set(told))
    assert theirs.json()["id"] not in {entry.reference for entry in entries}
    asked = stand_in.requests("list")
    assert len(asked) > 2
    assert {request["params"]["limit"] for request in asked} == {"3"}


async def test_the_ledger_says_when_stripe_does_not_answer(till, stand_in):
    stand_in.fault("list", "500")
    with pytest.raises(Unknown):
        _ = [entry async for entry in till.provider.ledger(None)]


async def test_many_payments_at_once_do_not_get_mixed_up(till, stand_in):
    charges = [till.charge(amount=Money(1_000 + n, "USD")) for n in range(12)]
    answers = await asyncio.gather(*(till.provider.authorise(charge) for charge in charges))
    for charge, answer in zip(charges, answers, strict=True):
        (intent,) = stand_in.intents(charge.id)
        assert answer.state is State.AUTHORIZED
        assert (intent["id"], intent["amount"]) == (answer.reference, charge.amount.minor)


async def test_a_payment_is_what_it_was_made_for(till):
    """Another amount under the same id cannot be paid: Stripe sees that the key's words differ."""
    charge = till.charge()
    answer = await till.provider.authorise(charge)
    changed = replace(charge, amount=Money(1, PRICE.currency))
    assert heard(changed, await till.provider.authorise(changed)).reference == answer.reference
