"""The driver, step by step: PROTOCOL section 3's table, and what it does when nobody answers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from booking_stage import (
    NOBODYS_HOLD,
    Gate,
    a_traveller,
    answers,
    dies,
    http,
    in_the_end,
    ledger,
    look,
    lost_answer,
    lost_request,
    raises,
    rewritten,
    silence,
    states,
    told,
)
from sqlalchemy import text
from structlog.testing import capture_logs

from skyhold.booking.clients.payments.port import ProviderState as Provider
from skyhold.booking.models.booking import BookingStatus as Status
from skyhold.booking.models.payment import Failure
from skyhold.booking.repositories import booking_moves
from skyhold.kernel.clock import FrozenClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNHEARD = {"created": "authorise", "authorized": "PUT confirmation", "capture_due": "capture"}


async def paying(alice, world, flight, payment="created"):
    """A booking that is being paid: what follows this state of its payment did not answer yet."""
    booking = await alice.book(flight)
    world.on(UNHEARD[payment], lost_request)
    assert (await alice.pay(booking)).status == 202
    world.calms()
    return booking


async def expired(alice, still, world, flight):
    """A booking that has expired, its seats still to be given back."""
    booking = await alice.book(flight)
    still.advance(minutes=15, seconds=1)
    assert await still.bookings.driver.advance(booking["id"])
    return booking


async def declined(alice, world, flight):
    """A booking whose payment was declined, the void still to be done."""
    booking = await alice.book(flight)
    world.on("cancel", lost_request)
    assert (await alice.pay(booking, "tok_declined")).status == 402
    world.calms()
    return booking


async def cancelled_paid(alice, world, flight):
    """A booking that was paid and cancelled: seats and money are still to be given back."""
    booking = await alice.book(flight)
    assert (await alice.pay(booking)).status == 201
    world.on("refund|DELETE.*", lost_request)
    assert (await alice.cancel(booking)).status == 200
    world.calms()
    return booking


async def due_in_s(system, booking):
    found, _ = await look(system, booking)
    return found.due_at and (found.due_at - system.clock.now()).total_seconds()


async def payment_due_in_s(system, booking):
    _, payment = await look(system, booking)
    return payment.due_at and (payment.due_at - system.clock.now()).total_seconds()


# --- the table -------------------------------------------------------------------------------


async def test_booked_is_held_until_the_deadline_and_told(still, alice, flight):
    booking = await alice.book(flight)
    assert await states(still, booking) == ("held", None, True)
    kept, _ = await look(still, booking)
    assert kept.due_at == kept.payment_required_by
    assert await told(still, booking) == ["booking.held"]


async def test_the_intent_to_pay_is_written_before_the_provider_hears_of_it(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    seen = []

    async def look_first(go):
        seen.append((await states(still, booking), await due_in_s(still, booking)))
        return await go()

    world.on("authorise", look_first)
    await alice.pay(booking)
    ((found, due_s),) = seen
    assert found == ("paying", "created", True)
    # The job comes when two calls to the provider and one to the flights have had their time.
    assert due_s == pytest.approx(still.bookings.settings.pay_max_s, abs=5)
    assert await told(still, booking) == ["booking.held", "booking.confirmed"]


GONE = {"code": "hold_ended", "detail": "The hold has ended."}
UNHEARD_OF = {"code": "hold_not_found", "detail": "There is no such hold."}
TABLE = {
    # state of the payment, the call and its answer -> booking, payment, due, and what is told
    "authorised": (
        "created",
        ("authorise", answers(Provider.AUTHORIZED)),
        ("paying", "authorized", "as before", None),
    ),
    "authorised, and captured long ago": (
        "created",
        ("authorise", answers(Provider.CAPTURED)),
        ("paying", "authorized", "as before", None),
    ),
    "declined": (
        "created",
        ("authorise", answers(Provider.DECLINED)),
        ("held", "void_due", "at the deadline", "payment.declined"),
    ),
    "cancelled before it was authorised": (
        "created",
        ("authorise", answers(Provider.CANCELLED)),
        ("held", "void_due", "at the deadline", "payment.declined"),
    ),
    "seats ours": (
        "authorized",
        ("PUT confirmation", rewritten()),
        ("paying", "capture_due", "as before", None),
    ),
    "seats gone": (
        "authorized",
        ("PUT confirmation", http(410, GONE)),
        ("expired", "void_due", "now", "booking.expired"),
    ),
    "seats never heard of": (
        "authorized",
        ("PUT confirmation", http(404, UNHEARD_OF)),
        ("expired", "void_due", "now", "booking.expired"),
    ),
    "done": (
        "capture_due",
        ("capture", answers(Provider.CAPTURED)),
        ("confirmed", "captured", "never", "booking.confirmed"),
    ),
    "capture refused": (
        "capture_due",
        ("capture", answers(Provider.CAPTURE_REFUSED)),
        ("cancelled", "void_due", "now", "booking.cancelled"),
    ),
    "capture refused, for the reservation is gone": (
        "capture_due",
        ("capture", answers(Provider.CANCELLED)),
        ("cancelled", "void_due", "now", "booking.cancelled"),
    ),
}


@pytest.mark.parametrize("row", TABLE)
async def test_an_answer_moves_booking_and_payment_together(still, alice, world, flight, row):
    payment, (call, answer), (booking_after, payment_after, due, event) = TABLE[row]
    booking = await paying(alice, world, flight, payment)
    before, _ = await look(still, booking)
    world.on(call, answer)

    assert await still.bookings.driver.advance(booking["id"])

    assert await states(still, booking) == (booking_after, payment_after, True)
    after, paid = await look(still, booking)
    dues = {
        "as before": before.due_at,
        "at the deadline": before.payment_required_by,
        "never": None,
        "now": after.due_at,
    }
    assert after.due_at == dues[due]
    if due == "now":
        assert await due_in_s(still, booking) == pytest.approx(0, abs=5)
    assert paid.attempts == 0
    assert await told(still, booking) == ["booking.held"] + ([event] if event else [])


async def test_a_booking_expires_at_its_deadline_and_not_before(still, alice, flight):
    booking = await alice.book(flight)
    still.advance(minutes=14, seconds=55)
    assert not await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("held", None, True)

    still.advance(seconds=5)
    assert await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("expired", None, True)
    assert await due_in_s(still, booking) == pytest.approx(0, abs=5)
    assert await told(still, booking) == ["booking.held", "booking.expired"]


async def test_an_ended_booking_is_done_with_once_its_seats_are_back(still, alice, world, flight):
    booking = await expired(alice, still, world, flight)
    assert await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("expired", None, False)
    assert await due_in_s(still, booking) is None
    assert await told(still, booking) == ["booking.held", "booking.expired"]
    assert await still.seats_left(flight) == 100
    assert not await still.bookings.driver.advance(booking["id"])


async def test_cancelling_unpaid_only_leaves_the_seats_to_be_given_back(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    world.on("DELETE.*", lost_request)
    assert (await alice.cancel(booking))["status"] == "cancelled"
    assert await states(still, booking) == ("cancelled", None, True)
    assert await told(still, booking) == ["booking.held", "booking.cancelled"]


async def test_cancelling_paid_also_leaves_the_refund_to_be_made(still, alice, world, flight):
    booking = await cancelled_paid(alice, world, flight)
    assert await states(still, booking) == ("cancelled", "refund_due", True)
    assert (await alice.get(booking))["payment"]["refund"] == {
        "status": "due",
        "amount": {"amount": "129.00", "currency": "USD"},
    }
    events = ["booking.held", "booking.confirmed", "booking.cancelled"]
    assert await told(still, booking) == events


@pytest.mark.parametrize("order", [("advance", "refund"), ("refund", "advance")], ids="-".join)
async def test_seats_and_money_go_back_in_any_order(still, alice, world, flight, order):
    booking = await cancelled_paid(alice, world, flight)
    _, payment = await look(still, booking)
    driver = still.bookings.driver
    for step in order:
        if step == "advance":
            assert await driver.advance(booking["id"])
        else:
            assert await driver.settler.advance(payment.id)
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert (await told(still, booking))[-2:] == ["booking.cancelled", "payment.refunded"]
    assert await still.seats_left(flight) == 100


async def test_a_silent_authorisation_is_given_up_a_minute_after_the_window(
    still, alice, world, flight
):
    booking = await paying(alice, world, flight)
    world.on("authorise", lost_request)
    still.advance(minutes=15, seconds=55)
    assert not await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("paying", "created", True)

    still.advance(seconds=5)
    world.calms()
    assert await still.bookings.driver.advance(booking["id"])

    # A plain DELETE: had anybody confirmed the seats, it would be refused, and nothing voided.
    assert world.calls == ["DELETE hold", "transact"]
    assert await states(still, booking) == ("expired", "void_due", True)
    assert (await look(still, booking))[1].failure is Failure.NO_ANSWER
    assert await told(still, booking) == ["booking.held", "booking.expired"]
    assert await still.seats_left(flight) == 100


async def test_it_is_not_given_up_while_its_seats_are_confirmed(still, alice, world, flight):
    """Then it came further than we remember; the provider knows how far."""
    booking = await paying(alice, world, flight)
    assert (await still.hold("PUT", f"{booking['id']}/confirmation")).status == 200
    still.advance(minutes=17)
    world.on("authorise", lost_request)
    assert not await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("paying", "created", True)
    world.calms()
    still.advance(minutes=1)
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("confirmed", "captured", True)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Provider.CANCELLED, "voided"),
        (Provider.REFUNDED, "voided"),
        (Provider.CAPTURED, "refund_due"),
    ],
)
async def test_a_void_ends_the_attempt_or_finds_that_a_refund_is_needed(
    still, alice, world, flight, answer, status
):
    booking = await declined(alice, world, flight)
    assert await states(still, booking) == ("held", "void_due", True)
    _, payment = await look(still, booking)
    world.on("cancel", answers(answer))

    assert await still.bookings.driver.settler.advance(payment.id)

    assert await states(still, booking) == ("held", status, True)
    assert await told(still, booking) == ["booking.held", "payment.declined"]
    due_s = await payment_due_in_s(still, booking)
    assert due_s is None if status == "voided" else due_s <= 0


async def test_a_refund_is_told(still, alice, world, flight):
    booking = await cancelled_paid(alice, world, flight)
    _, payment = await look(still, booking)
    assert await still.bookings.driver.settler.advance(payment.id)
    assert await states(still, booking) == ("cancelled", "refunded", True)
    assert await payment_due_in_s(still, booking) is None
    assert (await told(still, booking))[-1] == "payment.refunded"
    assert not await still.bookings.driver.settler.advance(payment.id)


async def test_the_providers_token_is_kept_only_as_long_as_it_may_be_needed(
    still, alice, world, flight
):
    for attempt in (await declined(alice, world, flight), await paying(alice, world, flight)):
        assert (await look(still, attempt))[1].token.startswith("tok_")
    await still.bookings.driver.settle(attempt["id"])
    assert (await look(still, attempt))[1].token == ""


# --- no answer is not an answer --------------------------------------------------------------

NO_ANSWERS = {
    "lost request": lost_request,
    "lost answer": lost_answer,
    "500": http(500, {"hold_id": "x"}),
    "503 in HTML": http(503, b"<html>Bad gateway</html>"),
    "HTML with 200": http(200, b"<html>Welcome to our Wi-Fi</html>"),
    "nothing with 204": http(204, b""),
    "a redirect": http(302, b""),
    "a list": http(200, b"[]"),
    "half a body": http(200, b'{"hold_id": "01'),
    "two megabytes": http(200, b'{"hold_id": "' + b"0" * 2_000_000 + b'"}'),
    "another hold": rewritten(hold_id=NOBODYS_HOLD),
    "a state nobody knows": rewritten(status="frozen"),
    "still held": rewritten(status="held"),
    "not admitted": http(401, {"code": "unauthorized", "detail": "Who?"}),
    "refused without a reason": http(409),
    "gone, but for somebody else": http(410, {"detail": "This page has moved."}),
    "not found by a proxy": http(404, {"detail": "no route"}),
    "refused for a reason that makes no sense": http(422, {"code": "invalid", "detail": "No."}),
}
SOME = (
    "lost request",
    "lost answer",
    "HTML with 200",
    "another hold",
    "still held",
    "not admitted",
)
SOME_NO_ANSWERS = {name: NO_ANSWERS[name] for name in SOME}
NONSENSE = {
    "authorise": [Provider.PENDING, Provider.CAPTURE_REFUSED, Provider.REFUNDED],
    "capture": [
        Provider.PENDING,
        Provider.REQUIRES_ACTION,
        Provider.AUTHORIZED,
    ],
    "cancel": [
        Provider.PENDING,
        Provider.REQUIRES_ACTION,
        Provider.AUTHORIZED,
        Provider.DECLINED,
        Provider.CAPTURE_REFUSED,
    ],
    "refund": [state for state in Provider if state is not Provider.REFUNDED],
}


async def test_nonsense_about_a_confirmation_changes_nothing_and_is_asked_again_later(
    still, alice, world, flight
):
    booking = await paying(alice, world, flight, "authorized")
    await each_only_postpones(still, world, booking, "PUT confirmation", NO_ANSWERS)
    assert await due_in_s(still, booking) == pytest.approx(15, abs=5)
    assert await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("paying", "capture_due", True)


async def test_nonsense_about_a_release_changes_nothing_and_is_asked_again_later(
    still, alice, world, flight
):
    booking = await expired(alice, still, world, flight)
    await each_only_postpones(still, world, booking, "DELETE hold", SOME_NO_ANSWERS)
    assert await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("expired", None, False)


async def test_nonsense_while_giving_up_changes_nothing_and_is_asked_again_later(
    still, alice, world, flight
):
    booking = await paying(alice, world, flight)
    still.advance(minutes=16, seconds=1)
    await each_only_postpones(still, world, booking, "DELETE hold", SOME_NO_ANSWERS)
    assert await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == ("expired", "void_due", True)


@pytest.mark.parametrize(
    ("payment", "call"), [("created", "authorise"), ("capture_due", "capture")]
)
async def test_nonsense_of_the_provider_changes_nothing_and_is_asked_again_later(
    still, alice, world, flight, payment, call
):
    booking = await paying(alice, world, flight, payment)
    troubles = {"lost": lost_request} | {said: answers(said) for said in NONSENSE[call]}
    await each_only_postpones(still, world, booking, call, troubles)
    assert await still.bookings.driver.advance(booking["id"])


async def each_only_postpones(system, world, booking, call, troubles):
    before, events = await states(system, booking), await told(system, booking)
    for name, trouble in troubles.items():
        attempts = (await look(system, booking))[0].attempts
        world.on(call, trouble)
        assert not await system.bookings.driver.advance(booking["id"]), name
        world.calms()
        assert await states(system, booking) == before, name
        assert await told(system, booking) == events, name
        assert (await look(system, booking))[0].attempts == attempts + 1, name
        assert 0 < await due_in_s(system, booking) <= 3600, name


@pytest.mark.parametrize(
    ("call", "before"),
    [("cancel", ("held", "void_due", True)), ("refund", ("cancelled", "refund_due", True))],
)
async def test_a_void_or_refund_is_asked_for_until_it_has_succeeded(
    still, alice, world, flight, call, before
):
    owing = declined if call == "cancel" else cancelled_paid
    booking = await owing(alice, world, flight)
    _, payment = await look(still, booking)
    troubles = {"lost": lost_request} | {said: answers(said) for said in NONSENSE[call]}
    for name, trouble in troubles.items():
        attempts = (await look(still, booking))[1].attempts
        world.on(call, trouble)
        assert not await still.bookings.driver.settler.advance(payment.id), name
        assert await states(still, booking) == before, name
        assert (await look(still, booking))[1].attempts == attempts + 1, name
        assert await payment_due_in_s(still, booking) > 0, name
    world.on(call, lost_answer, times=1)
    assert not await still.bookings.driver.settler.advance(payment.id)
    world.calms()
    assert await still.bookings.driver.settler.advance(payment.id)


async def test_the_provider_is_waited_for_only_so_long(start, world):
    async with start(provider_timeout_s=0.1) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        world.on("authorise", silence)
        assert (await alice.pay(booking)).status == 202
        assert await states(system, booking) == ("paying", "created", True)


async def pauses(system, booking, tries, *, of_payment=False):
    """For how many seconds it is put off after each of so many tries."""
    clock = FrozenClock(system.clock.now())
    driver = system.bookings.driver
    driver = replace(driver, clock=clock, settler=replace(driver.settler, clock=clock))
    found = []
    for _ in range(tries):
        kept, payment = await look(system, booking)
        if of_payment:
            assert not await driver.settler.advance(payment.id)
        else:
            assert not await driver.advance(kept.id)
        due_at = (await look(system, booking))[of_payment].due_at
        found.append((due_at - clock.now()).total_seconds())
    return found


async def test_the_pauses_double_up_to_an_hour_and_after_many_somebody_is_called(
    still, alice, world, flight
):
    booking = await expired(alice, still, world, flight)
    world.on("DELETE.*", lost_request)
    with capture_logs() as logs:
        found = await pauses(still, booking, 15)
    assert found == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600]
    alarms = [line["log_level"] for line in logs if line["event"] == "booking.postponed"]
    assert alarms == ["warning"] * 10 + ["error"] * 5
    assert await states(still, booking) == ("expired", None, True)


@pytest.mark.parametrize("payment", ["authorized", "capture_due"])
async def test_while_somebody_waits_for_a_payment_the_pauses_stay_short(
    still, alice, world, flight, payment
):
    booking = await paying(alice, world, flight, payment)  # put off for a second already
    world.on(UNHEARD[payment], lost_request)
    assert await pauses(still, booking, 6) == [2, 4, 8, 15, 15, 15]


async def test_a_pause_never_reaches_beyond_the_moment_to_give_up(still, alice, world, flight):
    """A failure shortly before that moment must not cost another long pause."""
    booking = await paying(alice, world, flight)
    world.on("authorise", lost_request)
    assert (await pauses(still, booking, 5))[-1] == 15
    kept, _ = await look(still, booking)
    give_up_at = kept.payment_required_by + timedelta(seconds=60)
    still.advance(seconds=(give_up_at - still.clock.now()).total_seconds() - 5)
    (pause_s,) = await pauses(still, booking, 1)
    assert 1 <= pause_s <= 5
    assert (await look(still, booking))[0].due_at == give_up_at


async def test_a_fault_of_our_own_also_puts_it_off_and_is_an_alarm_at_once(
    still, alice, world, flight
):
    booking = await paying(alice, world, flight, "capture_due")
    world.on("capture", raises(ZeroDivisionError("somewhere in a provider's library")))
    with capture_logs() as logs:
        assert not await still.bookings.driver.advance(booking["id"])
    alarms = [line["log_level"] for line in logs if line["event"] == "booking.postponed"]
    assert alarms == ["error"]
    assert await states(still, booking) == ("paying", "capture_due", True)
    assert await due_in_s(still, booking) > 0


async def test_the_pauses_of_a_refund_double_up_to_an_hour_too(still, alice, world, flight):
    booking = await cancelled_paid(alice, world, flight)
    world.on("refund", lost_request)
    found = await pauses(still, booking, 13, of_payment=True)
    assert found == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]


@pytest.mark.parametrize("answer", [Provider.AUTHORIZED, Provider.DECLINED])
async def test_an_answer_ends_the_long_pauses(still, alice, world, flight, answer):
    booking = await paying(alice, world, flight)
    world.on("authorise", lost_request, times=5)
    await pauses(still, booking, 5)
    assert (await look(still, booking))[0].attempts == 6
    world.on("authorise", answers(answer))
    assert await still.bookings.driver.advance(booking["id"])
    assert (await look(still, booking))[0].attempts == 0


# --- many drivers, late drivers, no drivers --------------------------------------------------


@pytest.mark.parametrize("payment", UNHEARD)
async def test_five_drivers_at_once_do_what_one_does(still, alice, world, flight, payment):
    booking = await paying(alice, world, flight, payment)
    driver = still.bookings.driver
    await asyncio.gather(*(driver.settle(booking["id"]) for _ in range(5)))
    assert await states(still, booking) == ("confirmed", "captured", True)
    assert await told(still, booking) == ["booking.held", "booking.confirmed"]
    assert await ledger(still, booking) == ["captured"]


async def test_five_drivers_at_once_expire_a_booking_once(still, alice, flight):
    booking = await alice.book(flight)
    still.advance(minutes=15, seconds=1)
    driver = still.bookings.driver
    await asyncio.gather(*(driver.settle(booking["id"]) for _ in range(5)))
    assert await states(still, booking) == ("expired", None, False)
    assert await told(still, booking) == ["booking.held", "booking.expired"]


@pytest.mark.parametrize("call", UNHEARD.values())
async def test_a_driver_that_comes_to_itself_late_undoes_nothing(still, alice, world, flight, call):
    """It was told of a decline or of gone seats when another one had long got a yes."""
    stage = next(payment for payment, unheard in UNHEARD.items() if unheard == call)
    booking = await paying(alice, world, flight, stage)
    no = {
        "authorise": answers(Provider.DECLINED),
        "PUT confirmation": http(410, GONE),
        "capture": answers(Provider.CAPTURE_REFUSED),
    }[call]
    gate = Gate(before=True)

    async def late_no(go):
        return await gate(lambda: no(go))

    world.on(call, late_no, times=1)
    driver = still.bookings.driver
    late = asyncio.create_task(driver.settle(booking["id"]))
    await gate.reached.wait()
    await driver.settle(booking["id"])
    assert await states(still, booking) == ("confirmed", "captured", True)

    gate.opens()
    await late
    assert await states(still, booking) == ("confirmed", "captured", True)
    assert await told(still, booking) == ["booking.held", "booking.confirmed"]


async def test_a_late_postponement_does_not_put_off_what_has_moved_on(still, alice, world, flight):
    booking = await paying(alice, world, flight)
    gate = Gate(before=True)

    async def late_silence(go):
        return await gate(lambda: lost_request(go))

    world.on("authorise", late_silence, times=1)
    late = asyncio.create_task(still.bookings.driver.advance(booking["id"]))
    await gate.reached.wait()
    world.on("authorise", answers(Provider.DECLINED))
    await still.bookings.driver.advance(booking["id"])
    gate.opens()
    await late
    kept, _ = await look(still, booking)
    assert (kept.due_at, kept.attempts) == (kept.payment_required_by, 0)


async def test_what_does_not_exist_is_nothing_to_do(still):
    assert not await still.bookings.driver.advance(NOBODYS_HOLD)
    assert not await still.bookings.driver.settler.advance(NOBODYS_HOLD)


async def test_a_state_that_cannot_be_is_reported_and_left_alone(still, alice, world, flight):
    booking = await paying(alice, world, flight)
    await still.bookings.db.transact(
        lambda tx: tx.run(text("UPDATE payments SET status = 'voided', due_at = NULL"))
    )
    still.advance(seconds=2)  # the first pause is over
    assert not await still.bookings.driver.advance(booking["id"])
    kept, _ = await look(still, booking)
    assert (kept.status.value, kept.attempts) == ("paying", 2)
    assert kept.due_at > still.clock.now()


# --- one row, one winner ---------------------------------------------------------------------

JUST = timedelta(microseconds=1)
# The moves of a booking, each told what it sees; and where a booking must stand for it to happen.
MOVES = {
    "start paying": (
        lambda tx, it: booking_moves.start_paying(
            tx, it.id, NOBODYS_HOLD, now=it.payment_required_by - JUST, due_at=it.created_at
        ),
        {"held"},
    ),
    "start paying at the deadline": (
        lambda tx, it: booking_moves.start_paying(
            tx, it.id, NOBODYS_HOLD, now=it.payment_required_by, due_at=it.created_at
        ),
        set(),
    ),
    "stop paying": (
        lambda tx, it: booking_moves.stop_paying(
            tx, it.id, str(it.active_payment_id), Status.HELD, due_at=it.created_at
        ),
        {"paying"},
    ),
    "stop paying with another payment": (
        lambda tx, it: booking_moves.stop_paying(
            tx, it.id, NOBODYS_HOLD, Status.HELD, due_at=it.created_at
        ),
        set(),
    ),
    "expire": (
        lambda tx, it: booking_moves.expire(tx, it.id, now=it.payment_required_by),
        {"held"},
    ),
    "expire too early": (
        lambda tx, it: booking_moves.expire(tx, it.id, now=it.payment_required_by - JUST),
        set(),
    ),
    "cancel what is held": (
        lambda tx, it: booking_moves.cancel(tx, it.id, Status.HELD, now=it.created_at),
        {"held"},
    ),
    "cancel what is confirmed": (
        lambda tx, it: booking_moves.cancel(tx, it.id, Status.CONFIRMED, now=it.created_at),
        {"confirmed"},
    ),
    "close the hold": (lambda tx, it: booking_moves.close_hold(tx, it.id), {"expired"}),
    "postpone": (
        lambda tx, it: booking_moves.postpone(tx, it.id, it.ver, due_at=it.created_at),
        {"held", "paying", "confirmed", "expired", "cancelled"},
    ),
    "postpone what has changed since": (
        lambda tx, it: booking_moves.postpone(tx, it.id, it.ver - 1, due_at=it.created_at),
        set(),
    ),
}


class Undo(Exception):
    """Ends a transaction without leaving anything of it."""


async def test_a_booking_moves_only_from_where_it_may(still, alice, world, flight):
    stood = {
        "held": await alice.book(flight),
        "paying": await paying(alice, world, flight),
        "confirmed": await alice.book(flight),
        "cancelled": await alice.book(flight),
    }
    await alice.pay(stood["confirmed"])
    await alice.cancel(stood["cancelled"])
    stood["expired"] = await expired(alice, still, world, await still.a_flight())
    moved = {what: set() for what in MOVES}
    for what, (move, _) in MOVES.items():
        for status, booking in stood.items():
            before = await look(still, booking)

            async def attempt(tx, what=what, move=move, status=status, kept=before[0]):
                if await move(tx, kept):
                    moved[what].add(status)
                    raise Undo

            with suppress(Undo):
                await still.bookings.db.transact(attempt)
            assert await look(still, booking) == before
    assert moved == {what: statuses for what, (_, statuses) in MOVES.items()}


# --- the process dies ------------------------------------------------------------------------

EXPIRING = ["transact", "DELETE hold", "transact"]


async def test_a_process_that_dies_while_it_expires_a_booking_leaves_no_seat_behind(lives, world):
    ended = []
    async with lives(world) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        for steps in range(len(EXPIRING) + 1):
            booking = await alice.book(flight)
            system.advance(minutes=15, seconds=1)
            await dies(world, EXPIRING, steps, system.bookings.driver.settle(booking["id"]))
            ended.append(booking)
    async with lives() as system:
        system.advance(minutes=15 * len(ended), seconds=len(ended))
        for booking in ended:
            assert await in_the_end(system, booking) == "expired"
            assert await told(system, booking) == ["booking.held", "booking.expired"]


GIVING_UP = ["DELETE hold", "transact", "DELETE hold", "transact", "cancel", "transact"]


async def test_a_process_that_dies_while_it_gives_a_payment_up_leaves_nothing_behind(lives, world):
    ended = []
    async with lives(world) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        for steps in range(len(GIVING_UP) + 1):
            booking = await alice.book(flight)
            world.on("authorise", lost_answer)  # authorised all the same
            await alice.pay(booking)
            assert await ledger(system, booking) == ["authorized"]
            system.advance(minutes=16, seconds=1)
            await dies(world, GIVING_UP, steps, system.bookings.driver.settle(booking["id"]))
            ended.append(booking)
    async with lives() as system:
        system.advance(minutes=16 * len(ended), seconds=2 * len(ended))
        for booking in ended:
            assert await in_the_end(system, booking) == "expired"
            assert await ledger(system, booking) == ["cancelled"]
