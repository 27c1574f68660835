"""The sandbox provider does nothing that the model's provider may not do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skyhold.booking.clients.payments.port import Charge
from skyhold.booking.clients.payments.sandbox import SandboxProvider
from skyhold.booking.models.payment import PaymentStatus
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from skyhold.kernel.ids import derived_id
from skyhold.sandbox.ledger import Ledger

from . import provider_rules
from .real_rows import START, a_booking, a_payment, a_user

# How a payment is brought to each state: its token, and what was asked before.
BROUGHT_TO = {
    None: ("tok_visa", ()),
    "pending": ("tok_3ds", ("authorise",)),
    "authorized": ("tok_visa", ("authorise",)),
    "declined": ("tok_declined", ("authorise",)),
    "captured": ("tok_visa", ("authorise", "capture")),
    "capture_refused": ("tok_capture_refused", ("authorise", "capture")),
    "cancelled": ("tok_visa", ("authorise", "void")),
    "refunded": ("tok_visa", ("authorise", "capture", "refund")),
}
CALLS = ("authorise", "capture", "void", "refund")


@pytest.fixture
async def ledger(tmp_path):
    db = Database(f"sqlite:///{tmp_path / 'sandbox.db'}")
    ledger = Ledger(db, FrozenClock(START), slow_s=0, page_url="http://sandbox.test")
    yield ledger
    await ledger.close()


async def ask(provider, call, charge):
    """One call, and the answer in the model's words."""
    method = "cancel" if call == "void" else call
    try:
        answer = await getattr(provider, method)(charge)
    except Unknown:
        return "unknown"
    return in_the_models_words(answer.state.value)


def in_the_models_words(state):
    return "pending" if state == "requires_action" else state


async def test_every_answer_of_the_sandbox_is_one_that_the_model_reckons_with(ledger):
    provider = SandboxProvider(ledger)
    booking = a_booking(a_user(), deadline=START)
    for state, (token, before) in BROUGHT_TO.items():
        for call in CALLS:
            payment = a_payment(booking, PaymentStatus.CREATED)
            payment = replace(payment, id=derived_id(str(state), call), token=token)
            charge = Charge.of(payment)
            for earlier in before:
                await ask(provider, earlier, charge)
            answer = await ask(provider, call, charge)
            found = await provider.get(charge)
            becomes = None if found is None else in_the_models_words(found.state.value)
            possible = provider_rules.decide(state, call)
            assert (answer, becomes) in possible, f"{call} of one that is {state}"


@pytest.mark.parametrize(("act", "becomes"), [("approve", "authorized"), ("refuse", "declined")])
async def test_what_the_payer_does_is_what_the_provider_may_do_by_itself(ledger, act, becomes):
    payment = a_payment(a_booking(a_user(), deadline=START), PaymentStatus.CREATED)
    await ledger.authorise(payment.id, payment.amount, "tok_3ds")
    assert (await getattr(ledger, act)(payment.id)).state == becomes
    assert becomes in {state for _, state in provider_rules.by_itself("pending")}
