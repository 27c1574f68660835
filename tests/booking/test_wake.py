"""Wake-ups: they make the driver look, and whatever they say, only the provider is believed."""

from __future__ import annotations

import asyncio
import random

import pytest
from booking_stage import (
    Gate,
    a_traveller,
    answers,
    in_the_end,
    ledger,
    look,
    lost_request,
    states,
    told,
)
from structlog.testing import capture_logs

from skyhold.booking.clients.payments.port import Answer, NextAction
from skyhold.booking.clients.payments.port import ProviderState as Provider
from skyhold.kernel.client import Unknown
from skyhold.kernel.ids import new_id
from support.prometheus import Since

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNSETTLED = ["created", "awaits its payer", "capture_due", "void_due", "refund_due"]
AT_REST = ["captured", "voided", "refunded"]
ASKS = answers(Answer(Provider.REQUIRES_ACTION, "pi", NextAction("redirect", "u", None)))
# What becomes of a payment at rest, by what the provider turns out to have.
REOPENED = {
    ("voided", Provider.AUTHORIZED): "void_due",
    ("voided", Provider.CAPTURED): "void_due",
    ("refunded", Provider.CAPTURED): "refund_due",
}


async def a_payment(alice, world, flight, state):
    """A booking whose payment has come this far."""
    booking = await alice.book(flight)
    token, calls, trouble = {
        "created": ("tok_visa", "authorise", lost_request),
        "awaits its payer": ("tok_3ds", "authorise", ASKS),
        "capture_due": ("tok_visa", "capture", lost_request),
        "void_due": ("tok_declined", "cancel", lost_request),
        "refund_due": ("tok_visa", "refund", lost_request),
        "captured": ("tok_visa", "nothing", lost_request),
        "voided": ("tok_declined", "nothing", lost_request),
        "refunded": ("tok_visa", "nothing", lost_request),
    }[state]
    world.on(calls, trouble)
    await alice.pay(booking, token)
    if state.startswith("refund"):
        await alice.cancel(booking)
    world.calms()
    return booking


async def wake(system, booking):
    _, payment = await look(system, booking)
    return await system.bookings.waker.wake(payment.id)


async def overdue(system, booking):
    """Whether the booking, and whether its payment, is to be looked at now."""
    now = system.clock.now()
    return [it.due_at is not None and it.due_at <= now for it in await look(system, booking)]


async def facts(system, booking):
    return await states(system, booking), await told(system, booking), await ledger(system, booking)


# --- a payment under way ---------------------------------------------------------------------


@pytest.mark.parametrize("state", UNSETTLED)
async def test_a_wake_up_makes_it_due_now_and_changes_nothing_else(
    still, alice, world, flight, state
):
    booking = await a_payment(alice, world, flight, state)
    before = await facts(still, booking)
    for _ in range(2):
        assert await wake(still, booking)
    assert await facts(still, booking) == before
    assert set(world.calls) == {"transact"}  # nobody was asked anything
    of_booking, of_payment = await overdue(still, booking)
    assert of_payment
    assert of_booking or before[0][0] != "paying"


async def test_a_wake_up_for_an_earlier_attempt_hurries_no_deadline(still, alice, world, flight):
    booking = await a_payment(alice, world, flight, "void_due")
    await wake(still, booking)
    assert (await look(still, booking))[0].status == "held"
    assert await overdue(still, booking) == [False, True]


async def test_a_wake_up_for_an_earlier_attempt_does_not_touch_the_present_one(
    still, alice, world, flight
):
    booking = await a_payment(alice, world, flight, "void_due")
    _, earlier = await look(still, booking)
    still.advance(seconds=1)
    world.on("authorise", ASKS)
    await alice.pay(booking, "tok_3ds")
    await still.bookings.waker.wake(earlier.id)
    assert await overdue(still, booking) == [False, True]
    assert (await look(still, booking))[1].id != earlier.id


@pytest.mark.parametrize(
    ("state", "call", "trouble"),
    [
        ("awaits its payer", "authorise", ASKS),
        ("created", "authorise", lost_request),
        ("refund_due", "refund", lost_request),
    ],
)
async def test_a_step_that_comes_to_nothing_does_not_put_off_who_was_woken_meanwhile(
    still, alice, world, flight, state, call, trouble
):
    booking = await a_payment(alice, world, flight, state)
    still.advance(minutes=1)

    async def woken_meanwhile(go):
        await wake(still, booking)
        return await trouble(go)

    world.on(call, woken_meanwhile)
    await still.bookings.driver.settle(booking["id"])
    of_booking, of_payment = await overdue(still, booking)
    assert of_payment if state == "refund_due" else of_booking


async def test_a_payment_that_does_not_exist_wakes_nobody(still):
    assert not await still.bookings.waker.wake(new_id())


async def test_a_woken_payment_is_carried_on_at_once(start):
    """Without the wake-up the clock would have to go on first, and here it stands still."""
    async with start(expiry_period_s=0.05) as system:
        alice = await a_traveller(system)
        booking = await alice.book(await system.a_flight())
        await alice.pay(booking, "tok_3ds")
        _, payment = await look(system, booking)
        await system.bookings.provider.sandbox._books.approve(payment.id)
        assert await wake(system, booking)
        assert await in_the_end(system, booking) == "confirmed"


# --- a payment at rest -----------------------------------------------------------------------


@pytest.mark.parametrize("state", AT_REST)
@pytest.mark.parametrize("answer", [*Provider, None])
async def test_what_rests_is_reopened_only_when_the_provider_has_money_that_is_not_ours(
    still, alice, world, flight, state, answer
):
    booking = await a_payment(alice, world, flight, state)
    before = await facts(still, booking)
    world.on("get", answers(answer))
    since = Since()
    with capture_logs() as logs:
        for _ in range(3):
            await wake(still, booking)
    alarms = [line["event"] for line in logs if line["log_level"] == "error"]
    new = REOPENED.get((state, answer))
    if new is None:
        assert await facts(still, booking) == before
        assert alarms == []
    else:
        assert (await states(still, booking))[1] == new
        assert (await overdue(still, booking))[1]
        assert alarms == ["payment.reopened"]
    assert since("skyhold_payments_total", outcome="reopened") == len(alarms)


async def test_of_many_wake_ups_at_once_one_reopens(still, alice, world, flight):
    booking = await a_payment(alice, world, flight, "voided")
    world.on("get", answers(Provider.AUTHORIZED))
    since = Since()
    await asyncio.gather(*(wake(still, booking) for _ in range(10)))
    assert since("skyhold_payments_total", outcome="reopened") == 1


@pytest.mark.parametrize("state", ["voided", "refunded"])
async def test_when_the_provider_cannot_be_asked_the_wake_up_is_to_be_repeated(
    still, alice, world, flight, state
):
    booking = await a_payment(alice, world, flight, state)
    before = await facts(still, booking)
    world.on("get", lost_request)
    with pytest.raises(Unknown):
        await wake(still, booking)
    assert await facts(still, booking) == before


@pytest.mark.parametrize("seed", range(4))
async def test_wake_ups_that_come_twice_and_in_any_order_change_no_story(
    still, alice, world, flight, seed
):
    """They come between any two steps of it; in the end it is the story without them."""
    chance = random.Random(seed)
    booking = await alice.book(flight)

    async def knock(go):
        _, payment = await look(still, booking)
        for _ in range(chance.randrange(3)):
            await still.bookings.waker.wake(payment.id)
        answer = await go()
        for _ in range(chance.randrange(3)):
            await still.bookings.waker.wake(payment.id)
        return answer

    world.on("authorise|capture|cancel|refund|PUT confirmation|DELETE.*", knock)
    assert (await alice.pay(booking, "tok_declined")).status == 402
    assert (await alice.pay(booking)).status == 201
    assert (await alice.cancel(booking)).status == 200
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert await ledger(still, booking) == ["cancelled", "refunded"]
    assert await told(still, booking) == [
        "booking.held",
        "payment.declined",
        "booking.confirmed",
        "booking.cancelled",
        "payment.refunded",
    ]


# --- success that comes late -----------------------------------------------------------------


async def given_up(system, alice, world, flight):
    """An attempt that was given up; the provider said that it was cancelled, and did not do it."""
    booking = await alice.book(flight)
    world.on("authorise", late := Gate(before=False))
    paying = asyncio.create_task(alice.pay(booking))
    await late.reached.wait()
    system.advance(minutes=16, seconds=1)
    world.on("cancel", answers(Provider.CANCELLED), times=1)
    await system.bookings.driver.settle(booking["id"])
    assert await states(system, booking) == ("expired", "voided", False)
    return booking, late, paying


async def test_an_authorisation_that_succeeds_after_we_gave_it_up_is_voided_and_reported(
    still, alice, world, flight
):
    booking, late, paying = await given_up(still, alice, world, flight)
    since = Since()
    with capture_logs() as logs:
        late.opens()
        assert (await paying).code == "hold_expired"
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["payment.reopened"]
    assert since("skyhold_payments_total", outcome="reopened") == 1
    assert await states(still, booking) == ("expired", "voided", False)
    assert await ledger(still, booking) == ["cancelled"]
    assert await told(still, booking) == ["booking.held", "booking.expired"]


async def test_money_that_was_collected_after_we_gave_up_is_refunded_and_told(
    still, alice, world, flight
):
    booking, late, paying = await given_up(still, alice, world, flight)
    _, payment = await look(still, booking)
    await still.bookings.provider.sandbox._books.capture(payment.id)
    late.opens()
    await paying
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("expired", "refunded", False)
    assert await ledger(still, booking) == ["refunded"]
    assert (await told(still, booking))[-1] == "payment.refunded"


async def test_a_late_yes_that_has_been_cancelled_since_alarms_nobody(still, alice, world, flight):
    booking, late, paying = await given_up(still, alice, world, flight)
    _, payment = await look(still, booking)
    await still.bookings.provider.sandbox._books.cancel(payment.id)
    since = Since()
    late.opens()
    await paying
    assert since("skyhold_payments_total", outcome="reopened") == 0
    assert await states(still, booking) == ("expired", "voided", False)


async def test_a_collection_that_is_heard_of_after_its_void_is_refunded(
    still, alice, world, flight
):
    """One driver heard that the money is collected, another that this was refused."""
    booking = await alice.book(flight)
    world.on("capture", heard := Gate(before=False), times=1)
    paying = asyncio.create_task(alice.pay(booking))
    await heard.reached.wait()
    still.advance(minutes=1)
    world.on("capture", answers(Provider.CAPTURE_REFUSED), times=1)
    world.on("cancel", answers(Provider.CANCELLED), times=1)
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("cancelled", "voided", False)
    heard.opens()
    assert (await paying).code == "capture_refused"
    for _ in range(2):
        await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert await ledger(still, booking) == ["refunded"]


@pytest.mark.parametrize(
    ("state", "call", "says"),
    [("void_due", "cancel", Provider.AUTHORIZED), ("refund_due", "refund", Provider.CAPTURED)],
)
async def test_an_answer_to_the_first_life_of_an_attempt_does_not_end_its_second(
    still, alice, world, flight, state, call, says
):
    """A driver sleeps over its answer; meanwhile the attempt was ended by another and reopened."""
    booking = await a_payment(alice, world, flight, state)
    _, payment = await look(still, booking)
    settler = still.bookings.driver.settler
    world.on(call, asleep := Gate(before=False), times=1)
    sleeper = asyncio.create_task(settler.advance(payment.id))
    await asleep.reached.wait()
    assert await settler.advance(payment.id)
    world.on("get", answers(says))
    await wake(still, booking)
    assert (await states(still, booking))[1] == state
    asleep.opens()
    await sleeper
    assert (await states(still, booking))[1] == state


# --- refunds that fail -----------------------------------------------------------------------


async def test_a_refund_that_fails_is_owed_and_asked_for_again(still, alice, flight):
    booking = await alice.book(flight)
    await alice.pay(booking, "tok_refund_fails")
    cancelled = await alice.cancel(booking)
    assert cancelled["payment"]["refund"]["status"] == "due"
    assert await ledger(still, booking) == ["captured"]
    _, payment = await look(still, booking)
    assert payment.due_at > still.clock.now()
    assert await still.bookings.driver.settler.advance(payment.id)
    assert (await alice.get(booking))["payment"]["refund"]["status"] == "succeeded"
    assert await ledger(still, booking) == ["refunded"]
    assert (await told(still, booking)).count("payment.refunded") == 1


async def test_a_refund_that_comes_back_is_given_again(still, alice, world, flight):
    booking = await a_payment(alice, world, flight, "refunded")
    world.on("get", answers(Provider.CAPTURED), times=1)
    since = Since()
    await wake(still, booking)
    assert (await alice.get(booking))["payment"]["refund"]["status"] == "due"
    assert since("skyhold_refunds_total", outcome="due") == 1
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert world.made("refund") == 1
