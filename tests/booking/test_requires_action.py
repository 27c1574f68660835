"""A payment that its payer must approve first, as with 3-D Secure: told, waited for, given up."""

from __future__ import annotations

import pytest
from booking_stage import (
    a_traveller,
    again,
    answers,
    in_the_end,
    ledger,
    look,
    lost_request,
    states,
    told,
)
from sqlalchemy import select
from structlog.testing import capture_logs

from skyhold.booking.clients.payments.port import Answer, NextAction
from skyhold.booking.clients.payments.port import ProviderState as Provider
from skyhold.booking.models.tables import PaymentRow
from support.system import eventually

module = pytest.mark.asyncio(loop_scope="module")
ASKS = answers(Answer(Provider.REQUIRES_ACTION, "pi_1", NextAction("use_sdk", None, "secret_1")))


@pytest.fixture
async def open_house(lives):
    """Both services as they are, with the sandbox and its pages inside."""
    async with lives() as system:
        yield system


async def asked_to_approve(alice, flight, **how):
    """A booking whose payer has been sent to the page; the page's address."""
    booking = await alice.book(flight)
    reply = await alice.pay(booking, "tok_3ds", **how)
    assert reply.status == 202
    return booking, reply["next_action"]["url"]


async def status_becomes(alice, booking, wanted):
    """Wait until the driver has found out; its own clock is moved over the pauses."""

    async def it_is_so():
        return (await alice.get(booking))["status"] == wanted

    await eventually(it_is_so)


async def test_the_payer_is_told_where_to_go(open_house):
    alice = await a_traveller(open_house)
    booking = await alice.book(await open_house.a_flight())
    paid = await alice.pay(booking, "tok_3ds")
    assert (paid.status, paid["status"], paid["booking"]["status"]) == (202, "created", "paying")
    assert int(paid.headers["retry-after"]) > 0
    action = paid["next_action"]
    assert (action["type"], action["client_secret"]) == ("redirect", None)
    assert action["url"] == f"http://localhost:4000/sandbox/challenges/{paid['id']}"
    assert (await alice.get(booking))["payment"]["next_action"] == action


async def test_once_approved_it_is_paid(open_house):
    alice = await a_traveller(open_house)
    flight = await open_house.a_flight()
    booking, page = await asked_to_approve(alice, flight, key="once")
    assert (await alice.pay(booking, "tok_3ds", key="once")).status == 202
    assert await ledger(open_house, booking) == ["requires_action"]

    assert (await open_house.bookings_http.post(f"{page}/approve")).status_code == 303
    open_house.advance(seconds=3)
    await status_becomes(alice, booking, "confirmed")

    seen = (await alice.get(booking))["payment"]
    assert (seen["status"], seen["next_action"]) == ("captured", None)
    assert (await alice.pay(booking, "tok_3ds", key="once")).status == 200
    assert await ledger(open_house, booking) == ["captured"]
    assert await told(open_house, booking) == ["booking.held", "booking.confirmed"]
    assert await open_house.seats_left(flight) == 99


async def test_once_refused_it_can_be_paid_again(open_house):
    alice = await a_traveller(open_house)
    booking, page = await asked_to_approve(alice, await open_house.a_flight(), key="first")
    assert (await open_house.bookings_http.post(f"{page}/refuse")).status_code == 303
    open_house.advance(seconds=3)
    await status_becomes(alice, booking, "held")

    seen = await alice.get(booking)
    assert (seen["payment"]["failure"], seen["payment"]["next_action"]) == ("declined", None)
    assert seen["available_actions"] == ["pay", "cancel"]
    repeated = await alice.pay(booking, "tok_3ds", key="first")
    assert (repeated.status, repeated.code) == (402, "payment_declined")
    assert (await alice.pay(booking)).status == 201
    assert sorted(await ledger(open_house, booking)) == ["cancelled", "captured"]


async def test_if_nobody_comes_the_seats_are_free_again_and_nothing_is_reserved(open_house):
    alice = await a_traveller(open_house)
    flight = await open_house.a_flight()
    booking, page = await asked_to_approve(alice, flight)
    open_house.advance(minutes=15, seconds=50)  # the deadline alone does not end what is under way
    assert (await alice.get(booking))["status"] == "paying"
    open_house.advance(seconds=15)
    assert await in_the_end(open_house, booking) == "expired"
    assert await ledger(open_house, booking) == ["cancelled"]
    assert await open_house.seats_left(flight) == 100

    late = await open_house.bookings_http.post(f"{page}/approve", follow_redirects=True)
    assert "called off" in late.text
    assert await ledger(open_house, booking) == ["cancelled"]


async def test_a_process_that_dies_meanwhile_changes_nothing(lives):
    async with lives() as system:
        alice = await a_traveller(system)
        booking, page = await asked_to_approve(alice, await system.a_flight())
    async with lives() as system:
        alice = again(alice, system)
        assert (await alice.get(booking))["payment"]["next_action"]["url"] == page
        await system.bookings_http.post(f"{page}/approve")
        system.advance(seconds=3)
        await status_becomes(alice, booking, "confirmed")


async def test_the_documents_of_the_api_say_so(open_house):
    document = (await open_house.bookings_http.get("/openapi.json")).json()
    paying = document["paths"]["/api/v1/bookings/payments"]["post"]["responses"]["202"]
    assert "Retry-After" in paying["headers"]
    assert "next_action" in paying["description"]
    shapes = document["components"]["schemas"]
    for shape in ("PaymentOut", "PaidOut"):
        assert "NextActionOut" in str(shapes[shape]["properties"]["next_action"])
    assert shapes["NextActionOut"]["properties"]["type"]["enum"] == ["redirect", "use_sdk"]
    assert not [path for path in document["paths"] if path.startswith("/sandbox")]


# --- step by step ----------------------------------------------------------------------------


@module
async def test_waiting_for_the_payer_is_no_failure(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise", ASKS)
    with capture_logs() as logs:
        assert (await alice.pay(booking, "tok_3ds")).status == 202
        for _ in range(20):
            still.advance(seconds=3)
            assert not await still.bookings.driver.advance(booking["id"])
    kept, payment = await look(still, booking)
    assert (kept.attempts, payment.attempts) == (0, 0)
    assert not [line for line in logs if line["log_level"] in {"warning", "error"}]
    assert world.made("authorise") == 21


@module
async def test_the_longer_it_takes_the_less_often_the_provider_is_asked(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    world.on("authorise", ASKS)
    await alice.pay(booking, "tok_3ds")
    pauses_s = []
    # The window is 900 s, and 60 s later it is given up: the last look is not after that.
    for waited_s in (0, 60, 600, 290):
        still.advance(seconds=waited_s)
        await still.bookings.driver.advance(booking["id"])
        found, _ = await look(still, booking)
        pauses_s.append((found.due_at - still.clock.now()).total_seconds())
        overdue_s = (found.due_at - found.payment_required_by).total_seconds()
        assert overdue_s <= 60
    assert pauses_s == [
        pytest.approx(2, abs=1),
        pytest.approx(15, abs=2),
        pytest.approx(30, abs=2),
        pytest.approx(10, abs=3),
    ]


@module
async def test_nothing_is_written_again_while_nothing_changes(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise", ASKS)
    await alice.pay(booking, "tok_3ds")
    ver = await _version(still, booking)
    await still.bookings.driver.advance(booking["id"])
    assert await _version(still, booking) == ver


@module
async def test_what_the_provider_calls_it_and_asks_for_is_kept_as_long_as_it_is_needed(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    world.on("authorise", ASKS)
    paid = await alice.pay(booking, "tok_3ds")
    assert paid["next_action"] == {"type": "use_sdk", "url": None, "client_secret": "secret_1"}
    _, payment = await look(still, booking)
    assert (payment.reference, payment.next_action) == (
        "pi_1",
        NextAction("use_sdk", None, "secret_1"),
    )
    other = NextAction("redirect", "u", None)
    world.on("authorise", answers(Answer(Provider.REQUIRES_ACTION, None, other)))
    await still.bookings.driver.advance(booking["id"])
    _, payment = await look(still, booking)
    assert (payment.reference, payment.next_action) == ("pi_1", other)
    world.on("authorise", answers(Answer(Provider.DECLINED)))
    await still.bookings.driver.advance(booking["id"])
    _, payment = await look(still, booking)
    assert (payment.reference, payment.next_action) == ("pi_1", None)


@module
@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (Provider.AUTHORIZED, "capture"),
        (Provider.CAPTURED, "capture"),
        (Provider.DECLINED, "cancel"),
        (Provider.PENDING, "authorise"),
        (Provider.REQUIRES_ACTION, "authorise"),
    ],
)
async def test_the_providers_own_id_is_kept_from_the_first_answer_on(
    still, alice, world, flight, answer, then
):
    booking = await alice.book(flight)
    world.on("capture|cancel", lost_request)
    world.on("authorise", answers(Answer(answer, "pi_2")), times=1)
    await alice.pay(booking)
    assert (await look(still, booking))[1].reference == "pi_2"
    await still.bookings.driver.settle(booking["id"])
    assert world.charges[then].reference == "pi_2"


@module
async def test_meanwhile_it_can_be_neither_paid_otherwise_nor_cancelled(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    await alice.pay(booking, "tok_3ds", key="a")
    for refused in (await alice.pay(booking), await alice.cancel(booking)):
        assert (refused.status, refused.code) == (409, "payment_in_progress")
    assert await states(still, booking) == ("paying", "created", True)


@module
async def test_an_approval_in_the_last_moment_is_given_back(still, alice, world, flight):
    """We have given up, and only then the payer approves: the void finds it reserved."""
    booking = await alice.book(flight)
    await alice.pay(booking, "tok_3ds")
    still.advance(minutes=16, seconds=1)
    world.on("cancel", answers(Provider.PENDING), times=1)
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("expired", "void_due", False)
    _, payment = await look(still, booking)
    await still.bookings.provider.sandbox._books.approve(payment.id)
    assert await ledger(still, booking) == ["authorized"]
    assert await still.bookings.driver.settler.advance(payment.id)
    assert await states(still, booking) == ("expired", "voided", False)
    assert await ledger(still, booking) == ["cancelled"]


async def _version(system, booking):
    async with system.bookings.db.read() as tx:
        return await tx.scalar(select(PaymentRow.ver).where(PaymentRow.booking_id == booking["id"]))
