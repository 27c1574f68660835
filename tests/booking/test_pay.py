"""Paying: money if and only if the seats are final, however requests and clocks race."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from booking_stage import (
    Gate,
    a_traveller,
    again,
    answers,
    dies,
    in_the_end,
    ledger,
    look,
    lost_answer,
    lost_request,
    states,
    told,
    written,
)

from skyhold.booking.clients.payments.port import Answer
from skyhold.booking.clients.payments.port import ProviderState as Provider
from skyhold.booking.errors import HoldExpired
from skyhold.booking.services.pay import Wish
from skyhold.kernel.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- the deadline ----------------------------------------------------------------------------


async def test_paying_is_possible_until_the_deadline_and_not_after(still, alice, flight):
    early, late = await alice.book(flight), await alice.book(flight)
    still.advance(minutes=14, seconds=55)
    assert (await alice.pay(early)).status == 201
    still.advance(seconds=5)
    refused = await alice.pay(late)
    assert (refused.status, refused.code) == (409, "hold_expired")
    assert await states(still, late) == ("held", None, True)  # not expired yet, and yet too late
    assert await ledger(still, late) == []


async def test_a_payment_that_began_in_time_is_carried_on_after_the_deadline(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    still.advance(minutes=14, seconds=55)
    world.on("authorise", asked := Gate(before=True), times=1)
    paying = asyncio.create_task(alice.pay(booking))
    await asked.reached.wait()
    still.advance(seconds=10)
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("confirmed", "captured", True)
    asked.opens()
    assert (await paying).status == 201
    assert await ledger(still, booking) == ["captured"]


async def test_a_payment_that_looked_in_time_and_writes_too_late_has_lost(
    still, alice, world, flight
):
    """It read the clock before the deadline; the expiry was committed before it could write."""
    booking = await alice.book(flight)
    still.advance(minutes=14, seconds=55)
    world.on("transact", about_to_write := Gate(before=True), times=1)
    paying = asyncio.create_task(alice.pay(booking))
    await about_to_write.reached.wait()
    still.advance(seconds=10)
    await still.bookings.driver.settle(booking["id"])
    about_to_write.opens()
    refused = await paying
    assert (refused.status, refused.code) == (409, "hold_expired")
    assert await states(still, booking) == ("expired", None, False)
    assert await ledger(still, booking) == []
    assert await still.seats_left(flight) == 100


async def test_an_expiry_that_looked_too_early_and_writes_late_has_lost(
    still, alice, world, flight
):
    """Two clocks: the driver's is past the deadline, the payment's is not, and it was quicker."""
    booking = await alice.book(flight)
    still.advance(minutes=15, seconds=5)
    world.on("transact", about_to_write := Gate(before=True), times=1)
    expiring = asyncio.create_task(still.bookings.driver.advance(booking["id"]))
    await about_to_write.reached.wait()
    still.advance(seconds=-10)
    assert (await alice.pay(booking)).status == 201
    about_to_write.opens()
    await expiring
    still.advance(seconds=10)
    assert await states(still, booking) == ("confirmed", "captured", True)
    assert await told(still, booking) == ["booking.held", "booking.confirmed"]


async def test_at_the_boundary_either_it_is_paid_or_it_expires(still, alice, flight):
    """Eight races of a payment with the expiry, a few milliseconds around the deadline."""
    service = still.bookings
    outcomes = Counter()
    for race in range(8):
        booking = await alice.book(flight)
        kept, _ = await look(still, booking)
        ahead = (kept.payment_required_by - still.clock.now()).total_seconds()
        still.advance(seconds=ahead - 0.012 + 0.003 * race)
        wish = Wish(booking["id"], "tok_visa")
        paid, *_ = await asyncio.gather(
            service.cashier.pay(kept.user_id, wish, None),
            *(expires_soon(still, booking) for _ in range(3)),
            return_exceptions=True,
        )
        still.advance(seconds=1)
        await service.driver.settle(booking["id"])
        status, payment, hold_open = await states(still, booking)
        outcomes[status] += 1
        if isinstance(paid, HoldExpired):
            assert (status, payment, hold_open) == ("expired", None, False)
            assert await ledger(still, booking) == []
        else:
            assert paid.settled
            assert (status, payment, hold_open) == ("confirmed", "captured", True)
            assert await ledger(still, booking) == ["captured"]
            await alice.cancel(booking)
    assert sum(outcomes.values()) == 8
    assert await still.seats_left(flight) == 100


async def expires_soon(system, booking):
    for _ in range(6):
        await system.bookings.driver.advance(booking["id"])
        await asyncio.sleep(0.002)


async def test_an_authorisation_that_comes_after_the_hold_has_ended_is_voided(
    still, alice, world, flight
):
    booking = await alice.book(flight, seats=["4A"])
    world.on("authorise", slow := Gate(before=False))
    paying = asyncio.create_task(alice.pay(booking))
    await slow.reached.wait()
    still.advance(minutes=18)
    slow.opens()
    refused = await paying
    assert (refused.status, refused.code) == (409, "hold_expired")
    assert await states(still, booking) == ("expired", "voided", False)
    assert await ledger(still, booking) == ["cancelled"]
    assert await told(still, booking) == ["booking.held", "booking.expired"]
    assert (await still.seat_states(flight))["4A"] == "available"


async def test_seats_sold_again_meanwhile_stay_with_who_has_them_now(
    still, alice, bob, world, flight
):
    booking = await alice.book(flight, seats=["4A"])
    world.on("authorise", slow := Gate(before=False), times=1)
    paying = asyncio.create_task(alice.pay(booking))
    await slow.reached.wait()
    still.advance(minutes=18)
    theirs = await bob.book(flight, seats=["4A"])
    assert (await bob.pay(theirs)).status == 201
    slow.opens()
    assert (await paying).code == "hold_expired"
    assert (await bob.get(theirs))["status"] == "confirmed"
    assert (await still.seat_states(flight))["4A"] == "occupied"


# --- answers that come late, or never --------------------------------------------------------


async def test_a_late_success_after_the_give_up_is_voided(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise", late := Gate(before=False))
    paying = asyncio.create_task(alice.pay(booking))
    await late.reached.wait()
    assert await ledger(still, booking) == ["authorized"]
    still.advance(minutes=16, seconds=1)
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("expired", "voided", False)
    late.opens()
    refused = await paying
    assert (refused.status, refused.code) == (409, "hold_expired")
    assert await states(still, booking) == ("expired", "voided", False)
    assert await ledger(still, booking) == ["cancelled"]
    assert await still.seats_left(flight) == 100


async def test_an_authorisation_that_overtakes_nothing_but_its_own_cancel_is_refused(
    still, alice, world, flight
):
    """The cancel came first, and it is final: the request that arrives later reserves nothing."""
    booking = await alice.book(flight)
    world.on("authorise", late := Gate(before=True))
    paying = asyncio.create_task(alice.pay(booking))
    await late.reached.wait()
    still.advance(minutes=16, seconds=1)
    await still.bookings.driver.settle(booking["id"])
    late.opens()
    assert (await paying).code == "hold_expired"
    assert await ledger(still, booking) == ["cancelled"]


async def test_money_that_the_void_finds_captured_is_refunded(still, alice, world, flight):
    """We were told of a refusal, and yet the provider has collected."""
    booking = await alice.book(flight)

    async def captures_and_says_no(go):
        assert (await go()).state is Provider.CAPTURED
        return Answer(Provider.CAPTURE_REFUSED)

    world.on("capture", captures_and_says_no)
    refused = await alice.pay(booking)
    assert (refused.status, refused.code) == (402, "capture_refused")
    assert await states(still, booking) == ("cancelled", "refund_due", False)
    assert (await alice.get(booking))["payment"]["refund"]["status"] == "due"
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert await ledger(still, booking) == ["refunded"]
    events = ["booking.held", "booking.cancelled", "payment.refunded"]
    assert await told(still, booking) == events


@pytest.mark.parametrize("call", ["authorise", "PUT confirmation", "capture"])
@pytest.mark.parametrize("trouble", [lost_request, lost_answer])
async def test_what_is_not_answered_now_is_found_out_later(
    still, alice, world, flight, call, trouble
):
    booking = await alice.book(flight)
    world.on(call, trouble, times=3)
    waiting = await alice.pay(booking)
    if call == "PUT confirmation":  # asked again at once, but the third one was lost as well
        assert world.made(call) == 3
    assert (waiting.status, waiting["booking"]["status"]) == (202, "paying")
    world.calms()
    await still.bookings.driver.settle(booking["id"])
    assert (await alice.get(booking))["status"] == "confirmed"
    assert await ledger(still, booking) == ["captured"]
    assert (await alice.pay(booking)).status == 200


async def test_while_it_is_unclear_nobody_pays_or_cancels(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise", lost_request)
    assert (await alice.pay(booking)).status == 202
    for refused in (await alice.pay(booking), await alice.cancel(booking)):
        assert (refused.status, refused.code) == (409, "payment_in_progress")
        assert int(refused.headers["retry-after"]) > 0
    assert (await alice.get(booking))["available_actions"] == []


# --- many at once ----------------------------------------------------------------------------


async def test_a_hundred_payments_at_once_are_one_capture(still, alice, world, flight):
    booking = await alice.book(flight, party=2)
    replies = await asyncio.gather(*(alice.pay(booking) for _ in range(100)))
    assert Counter(reply.status for reply in replies)[201] == 1
    assert {reply.code for reply in replies if reply.status == 409} <= {"payment_in_progress"}
    assert {reply.status for reply in replies} <= {200, 201, 409}
    assert await ledger(still, booking) == ["captured"]
    assert (world.made("authorise"), world.made("capture")) == (1, 1)
    assert await told(still, booking) == ["booking.held", "booking.confirmed"]


async def test_after_a_decline_one_may_try_again_and_pays_once(still, alice, flight):
    booking = await alice.book(flight)
    for _ in range(2):
        declined = await alice.pay(booking, "tok_declined")
        assert (declined.status, declined.code) == (402, "payment_declined")
        assert await states(still, booking) == ("held", "voided", True)
    assert (await alice.pay(booking)).status == 201
    repeated = await alice.pay(booking)
    assert (repeated.status, repeated["status"]) == (200, "captured")
    assert await ledger(still, booking) == ["cancelled", "cancelled", "captured"]
    declines = ["payment.declined"] * 2
    assert await told(still, booking) == ["booking.held", *declines, "booking.confirmed"]


async def test_the_amount_is_the_bookings(still, alice, flight):
    booking = await alice.book(flight, party=3)
    paid = await alice.pay(booking)
    assert paid["amount"] == {"amount": "387.00", "currency": "USD"} == booking["total"]
    body = {"booking_id": booking["id"], "payment_token": "tok_visa", "amount": "0.01"}
    refused = await alice.send("POST", "bookings/payments", body)
    assert refused.status == 422


# --- idempotency keys ------------------------------------------------------------------------


async def test_the_same_key_is_the_same_payment(still, alice, world, flight):
    booking = await alice.book(flight)
    first, second = await alice.pay(booking, key="pay"), await alice.pay(booking, key="pay")
    assert (first.status, second.status) == (201, 200)
    assert first["id"] == second["id"]
    assert world.made("authorise") == 1


async def test_the_same_key_repeats_a_decline_and_does_not_try_again(still, alice, world, flight):
    booking = await alice.book(flight)
    for _ in range(2):
        declined = await alice.pay(booking, "tok_declined", key="pay")
        assert (declined.status, declined.code) == (402, "payment_declined")
    assert world.made("authorise") == 1
    assert (await alice.pay(booking, key="another")).status == 201
    assert (await alice.pay(booking, "tok_declined", key="pay")).status == 402


async def test_the_same_key_tells_how_an_unclear_payment_stands(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise", lost_request)
    first, second = await alice.pay(booking, key="pay"), await alice.pay(booking, key="pay")
    assert (first.status, second.status) == (202, 202)
    assert first["id"] == second["id"]
    world.calms()
    await still.bookings.driver.settle(booking["id"])
    assert (await alice.pay(booking, key="pay")).status == 200


async def test_the_same_key_with_another_body_is_refused_as_a_payment(still, alice, flight):
    booking, other = await alice.book(flight), await alice.book(flight)
    assert (await alice.pay(booking, key="pay")).status == 201
    for refused in (
        await alice.pay(other, key="pay"),
        await alice.pay(booking, "tok_slow", key="pay"),
    ):
        assert (refused.status, refused.code) == (422, "idempotency_key_reused")
    assert (await alice.get(other))["status"] == "held"


async def test_the_key_of_somebody_elses_payment_tells_nothing(still, alice, bob, flight):
    hers, his = await alice.book(flight), await bob.book(flight)
    assert (await alice.pay(hers, key="pay")).status == 201
    paid = await bob.pay(his, key="pay")
    assert (paid.status, paid["booking"]["id"]) == (201, his["id"])


async def test_a_booking_and_its_payment_may_have_the_same_key(still, alice, flight):
    booking = await alice.book(flight, key="trip")
    assert (await alice.pay(booking, key="trip")).status == 201


async def test_two_at_once_under_one_key_are_one_payment(still, alice, world, flight):
    booking = await alice.book(flight)
    replies = await asyncio.gather(*(alice.pay(booking, key="pay") for _ in range(20)))
    assert Counter(reply.status for reply in replies)[201] == 1
    assert {reply.code for reply in replies if reply.status >= 400} <= {"payment_in_progress"}
    assert len({reply["id"] for reply in replies if reply.status < 400}) == 1
    assert world.made("authorise") == 1
    assert await ledger(still, booking) == ["captured"]


async def test_two_bookings_at_once_under_one_key_are_one_payment(still, alice, flight):
    one, other = await alice.book(flight), await alice.book(flight)
    replies = await asyncio.gather(alice.pay(one, key="pay"), alice.pay(other, key="pay"))
    assert sorted(reply.status for reply in replies) == [201, 422]
    statuses = {(await alice.get(booking))["status"] for booking in (one, other)}
    assert statuses == {"held", "confirmed"}


# --- cards -----------------------------------------------------------------------------------

CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    " 5500005555555559 ",
    "378282246310005",
    "4222222222222",
    "6304000000000000000",
    4111111111111111,
]


@pytest.mark.parametrize("where", ["payment_token", "card_number", "booking_id", "deep"])
async def test_a_card_number_is_refused_wherever_it_stands(still, alice, where):
    for card in CARDS:
        body = {"booking_id": new_id(), "payment_token": "tok_visa"}
        body |= {"card": [{"number": {"value": card}}]} if where == "deep" else {where: card}
        refused = await alice.send("POST", "bookings/payments", body)
        assert (refused.status, refused.code) == (422, "card_data_not_accepted"), card
        assert str(card).strip() not in str(refused.body)


NO_CARDS = [
    "4111111111111112",  # the check digit is wrong
    "411111111111",  # 12 digits
    "41111111111111111111",  # 20 digits
    "pm_4111111111111111",  # a provider's token may hold any digits
    "41111111-1111-1111-8a11-aaaaaaaaaaaa",  # a UUID: without its dashes a card's 16 digits
]


@pytest.mark.parametrize("token", NO_CARDS)
async def test_what_is_no_card_number_is_not_taken_for_one(still, alice, token):
    nothing = await alice.pay({"id": new_id()}, token)
    assert (nothing.status, nothing.code) == (404, "booking_not_found")


@pytest.mark.parametrize(
    "booking_id",
    [
        "41111111-1111-1111-8a11-aaaaaaaaaaaa",
        "aaaaaaaa-4111-4111-8111-111111111111",
        "41111111-1111-1111-8111-111111111111",
    ],
)
async def test_an_id_may_hold_the_digits_of_a_card_in_a_row(still, alice, booking_id):
    nothing = await alice.pay({"id": booking_id})
    assert (nothing.status, nothing.code) == (404, "booking_not_found")


# --- the process dies ------------------------------------------------------------------------

TO_CAPTURE = ["transact", "authorise", "transact", "PUT confirmation", "transact", "capture"]
PAYING = [*TO_CAPTURE, "transact"]
DECLINED = ["transact", "authorise", "transact", "cancel", "transact"]
REFUSED = [*TO_CAPTURE, "transact", "DELETE hold cancel", "transact", "cancel", "transact"]


async def test_a_process_that_dies_while_it_is_paid_is_paid_once_or_never(lives, world):
    bookings = await deaths(lives, world, "tok_visa", PAYING)
    async with lives() as system:
        system.advance(minutes=15, seconds=1)
        for steps, booking in bookings.items():
            ends = "confirmed" if steps else "expired"  # nothing was written before the first step
            assert await in_the_end(system, booking) == ends, steps
            assert await ledger(system, booking) == (["captured"] if steps else [])
            assert await told(system, booking) == ["booking.held", f"booking.{ends}"]


async def test_a_process_that_dies_over_a_decline_leaves_the_booking_payable(lives, world):
    bookings = await deaths(lives, world, "tok_declined", DECLINED)
    del bookings[0]  # here the payment has not begun
    async with lives() as system:
        system.advance(minutes=1)
        for booking in bookings.values():
            await system.bookings.driver.settle(booking["id"])
            assert await states(system, booking) == ("held", "voided", True)
            assert await ledger(system, booking) == ["cancelled"]
        system.advance(minutes=15)
        for booking in bookings.values():
            assert await in_the_end(system, booking) == "expired"


async def test_a_process_that_dies_over_a_refused_capture_leaves_no_seat_behind(lives, world):
    bookings = await deaths(lives, world, "tok_capture_refused", REFUSED)
    del bookings[0]
    async with lives() as system:
        system.advance(minutes=1)
        for steps, booking in bookings.items():
            assert await in_the_end(system, booking) == "cancelled", steps
            assert await ledger(system, booking) == ["cancelled"]


async def deaths(lives, world, token, calls):
    """Bookings whose payments ended with the process, after every number of steps."""
    bookings = {}
    async with lives(world) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        for steps in range(len(calls) + 1):
            bookings[steps] = await alice.book(flight)
            await dies(world, calls, steps, alice.pay(bookings[steps], token))
    return bookings


async def test_a_retry_with_its_key_finds_what_the_dead_process_began(lives, world):
    async with lives(world) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        await dies(world, PAYING, 2, alice.pay(booking, key="pay"))
    async with lives() as system:
        alice = again(alice, system)
        replies = [await alice.pay(booking, key="pay") for _ in range(2)]
        assert {reply.status for reply in replies} <= {200, 202}
        system.advance(minutes=1)
        assert await in_the_end(system, booking) == "confirmed"
        assert (await alice.pay(booking, key="pay")).status == 200


async def test_a_payment_of_what_is_not_ones_own_writes_nothing(still, alice, bob, flight):
    booking = await alice.book(flight)
    before = await written(still)
    for refused in (await bob.pay(booking), await bob.pay({"id": new_id()})):
        assert (refused.status, refused.code) == (404, "booking_not_found")
    assert await written(still) == before


async def test_a_provider_that_declines_everything_takes_no_money(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise", answers(Provider.DECLINED))
    assert (await alice.pay(booking)).status == 402
    assert "captured" not in await ledger(still, booking)
