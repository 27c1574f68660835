"""What was done to a booking is written down with it, once, and told to its owner."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from booking_stage import (
    a_member_of_staff,
    account_of,
    answers,
    done,
    look,
    lost_answer,
    states,
    timeline,
    told,
)
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from skyhold.booking.clients.payments.port import ProviderState
from skyhold.booking.models.tables import BookingLogRow, BookingRow
from skyhold.booking.repositories import booking_log
from skyhold.booking.services.events import LOGGED_AS, UNMOVED, Happened
from skyhold.kernel.db import DatabaseBusy

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = "018f0000-0000-7000-8000-000000000000"


async def a_long_story(alice, flight):
    booking = await alice.book(flight, party=2)
    await alice.pay(booking, "tok_declined")
    await alice.pay(booking)
    await alice.cancel(booking)
    return booking


async def rows(system, booking=None):
    found = select(BookingLogRow.__table__).order_by(BookingLogRow.at, BookingLogRow.id)
    if booking is not None:
        found = found.where(BookingLogRow.booking_id == booking["id"])
    async with system.bookings.db.read() as tx:
        return await tx.rows(found)


async def the_flight_changes(system, flight, **what):
    reply = await system.flights_http.patch(
        f"/api/v1/flights/{flight}", json=what, headers=system.staff()
    )
    assert reply.status_code == 200, reply.text
    (relay,) = [job for job in system.flights.jobs if job.name == "relay"]
    await relay.work()
    while await system.bookings.drive.run_once():
        pass


# --- what is in it ---------------------------------------------------------------------------


async def test_a_whole_story_is_told_in_its_order(still, alice, flight):
    booking = await a_long_story(alice, flight)
    assert [
        (entry["action"], entry["by"], entry["status_before"], entry["status_after"])
        for entry in await timeline(alice, booking)
    ] == [
        ("held", "you", None, "held"),
        ("payment_started", "you", "held", "paying"),
        ("payment_declined", "skyhold", "paying", "held"),
        ("payment_started", "you", "held", "paying"),
        ("confirmed", "skyhold", "paying", "confirmed"),
        ("cancelled", "you", "confirmed", "cancelled"),
        ("refunded", "skyhold", "cancelled", "cancelled"),
    ]


async def test_details_say_what_was_paid_refused_and_given_back(still, alice, flight):
    booking = await a_long_story(alice, flight)
    _, tried, declined, started, confirmed, cancelled, refunded = [
        entry["detail"] for entry in await timeline(alice, booking)
    ]
    amount = {"amount": "258.00", "currency": "USD"}
    assert declined["failure"] == "declined"
    assert declined["payment_id"] == tried["payment_id"] != started["payment_id"]
    assert started["payment_id"] == (await alice.get(booking))["payment"]["id"]
    assert [started["amount"], confirmed["amount"]] == [amount, amount]
    assert [cancelled["refund"], refunded["refund"]] == [amount, amount]
    assert (started["refund"], refunded["failure"]) == (None, None)


async def test_a_deadline_that_has_passed_is_nobodys_doing(still, alice, flight):
    booking = await alice.book(flight)
    still.advance(minutes=15, seconds=1)
    await still.bookings.driver.settle(booking["id"])
    expired = (await timeline(alice, booking))[-1]
    assert (expired["action"], expired["by"]) == ("expired", "skyhold")
    assert (expired["status_before"], expired["status_after"]) == ("held", "expired")


async def test_a_payment_that_the_job_carries_on_is_told_like_any_other(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    world.on("authorise", lost_answer, times=1)
    assert (await alice.pay(booking)).status == 202
    still.advance(seconds=20)
    await still.bookings.driver.settle(booking["id"])
    last = (await timeline(alice, booking))[-1]
    assert (last["action"], last["by"]) == ("confirmed", "skyhold")
    assert (last["status_before"], last["status_after"]) == ("paying", "confirmed")


async def test_an_end_that_the_payment_brought_says_why(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("capture", answers(ProviderState.CAPTURE_REFUSED))
    assert (await alice.pay(booking)).status == 402
    last = (await timeline(alice, booking))[-1]
    assert (last["action"], last["by"], last["status_before"]) == ("cancelled", "skyhold", "paying")
    assert last["detail"]["failure"] == "capture_refused"


async def test_new_times_are_the_airlines_with_the_old_ones(still, alice, flight):
    booking = await alice.book(flight)
    before = await still.flight(flight)
    moved = {
        name: (datetime.fromisoformat(before[name]) + timedelta(hours=2)).isoformat()
        for name in ("departing_at", "arriving_at")
    }
    await the_flight_changes(still, flight, **moved)
    last = (await timeline(alice, booking))[-1]
    assert (last["action"], last["by"]) == ("flight_changed", "airline")
    assert (last["status_before"], last["status_after"]) == ("held", "held")
    (change,) = last["detail"]["changes"]
    assert (change["flight_id"], change["kind"]) == (flight, "rescheduled")
    for name, value in moved.items():
        was, now = change["was"][name], change["now"][name]
        assert datetime.fromisoformat(was) == datetime.fromisoformat(before[name])
        assert datetime.fromisoformat(now) == datetime.fromisoformat(value)


async def test_a_flight_that_does_not_go_is_the_airlines_too(still, alice, flight):
    booking = await alice.book(flight)
    assert (await alice.pay(booking)).status == 201
    await the_flight_changes(still, flight, status="cancelled")
    assert (await done(alice, booking))[-2:] == [("cancelled", "airline"), ("refunded", "skyhold")]
    detail = (await timeline(alice, booking))[-2]["detail"]
    assert detail["changes"][0]["now"] is None
    assert detail["refund"] == {"amount": "129.00", "currency": "USD"}


async def test_money_that_turns_up_late_is_told_and_given_back(still, alice, world, flight):
    booking = await alice.book(flight)
    await alice.pay(booking, "tok_declined")
    assert (await states(still, booking))[1] == "voided"
    _, payment = await look(still, booking)
    world.on("get", answers(ProviderState.CAPTURED), times=1)
    await still.bookings.waker.wake(payment.id)
    world.on("cancel", answers(ProviderState.CAPTURED), times=1)
    world.on("refund", answers(ProviderState.REFUNDED), times=1)
    await still.bookings.driver.settle(booking["id"])
    await still.bookings.driver.settle(booking["id"])
    late = (await timeline(alice, booking))[3:]
    assert [(entry["action"], entry["by"]) for entry in late] == [
        ("void_due", "skyhold"),
        ("refund_due", "skyhold"),
        ("refunded", "skyhold"),
    ]
    assert {entry["detail"]["payment_id"] for entry in late} == {payment.id}
    assert {(entry["status_before"], entry["status_after"]) for entry in late} == {("held", "held")}


async def test_bookings_that_are_written_down_together_keep_their_own_makers(still, alice, bob):
    flight, desk = await still.a_flight(), await a_member_of_staff(still)
    who = {"given_name": "Ada", "family_name": "Tester"}
    wish = {"segments": [{"flight_id": flight}], "passengers": [who]}
    people = [alice, bob] * 4
    made = await asyncio.gather(
        *(
            person.send("POST", "bookings", wish, X_Request_ID=f"wish-{nth}")
            for nth, person in enumerate(people)
        )
    )
    for nth, (person, booking) in enumerate(zip(people, made, strict=True)):
        held = (await timeline(desk, booking))[0]
        assert (held["actor_id"], held["request_id"]) == (await account_of(person), f"wish-{nth}")


# --- with the change, and once ----------------------------------------------------------------


@pytest.mark.parametrize("what", ["book", "pay", "cancel", "expire"])
async def test_without_its_entry_there_is_no_change(still, alice, flight, monkeypatch, what):
    booking = await alice.book(flight)
    before, events, log = (
        await states(still, booking),
        await told(still, booking),
        len(await rows(still)),
    )

    async def no_more_room(*_):
        raise DatabaseBusy

    monkeypatch.setattr(booking_log, "add", no_more_room)
    if what == "book":
        assert (await alice.book(flight)).status == 503
        assert [b["id"] for b in (await alice.send("GET", "bookings"))["data"]] == [booking["id"]]
    elif what == "pay":
        assert (await alice.pay(booking)).status == 503
    elif what == "cancel":
        assert (await alice.cancel(booking)).status == 503
    else:
        still.advance(minutes=15, seconds=1)
        await still.bookings.driver.advance(booking["id"])
    assert await states(still, booking) == before
    assert (await told(still, booking), len(await rows(still))) == (events, log)


async def test_a_transaction_that_is_run_again_writes_its_entry_once(
    still, alice, flight, monkeypatch
):
    add, busy = booking_log.add, []

    async def busy_at_first(tx, *entries):
        await add(tx, *entries)
        if entries[0].action not in busy:
            busy.append(entries[0].action)
            raise DatabaseBusy

    monkeypatch.setattr(booking_log, "add", busy_at_first)
    booking = await a_long_story(alice, flight)
    assert len(busy) == 6
    assert [action for action, _ in await done(alice, booking)] == [
        *("held", "payment_started", "payment_declined", "payment_started"),
        *("confirmed", "cancelled", "refunded"),
    ]


async def test_of_many_who_cancel_at_once_one_is_written_down(still, alice, flight):
    booking = await alice.book(flight)
    await asyncio.gather(*(alice.cancel(booking) for _ in range(10)))
    assert await done(alice, booking) == [("held", "you"), ("cancelled", "you")]


async def test_nothing_ever_changes_or_removes_an_entry(still, alice, flight):
    """Every statement of a whole story, jobs and staff included, as the database gets it."""
    verbs = set()

    def heard(_connection, _cursor, statement, *_):
        if "booking_log" in statement:
            verbs.add(statement.split()[0].upper())

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        desk = await a_member_of_staff(still)
        booking = await a_long_story(alice, flight)
        for person in (alice, desk):
            await person.get(booking)
            await timeline(person, booking)
        await desk.cancel(await alice.book(flight))
        await alice.book(flight)
        await the_flight_changes(still, flight, status="cancelled")
        await still.bookings.stories.tell(booking["id"])
        await still.bookings.staffing.revoke(desk.email)
    finally:
        event.remove(Engine, "before_cursor_execute", heard)
    assert verbs == {"INSERT", "SELECT"}


async def test_every_event_has_its_entry_and_the_unmoved_stay_where_they_are():
    assert set(LOGGED_AS) == set(Happened)
    assert len(set(LOGGED_AS.values())) == len(LOGGED_AS)
    assert set(Happened) > UNMOVED


# --- who may read it ---------------------------------------------------------------------------


async def test_an_owner_is_told_no_account_no_request_and_no_token(still, alice, flight):
    desk = await a_member_of_staff(still)
    booking = await a_long_story(alice, flight)
    await desk.get(booking)
    entries = await timeline(alice, booking)
    assert entries[-1]["by"] == "staff"
    assert {(entry["actor_id"], entry["request_id"]) for entry in entries} == {(None, None)}
    secrets = ("tok_", desk.email, await account_of(desk), alice.email, "Tester")
    for secret in secrets:
        assert secret not in repr(entries)


async def test_no_token_name_or_email_is_even_written_down(still, alice, flight):
    booking = await a_long_story(alice, flight)
    everything = repr(await rows(still, booking))
    for secret in ("tok_", alice.email, alice.token, "Tester"):
        assert secret not in everything


async def test_anothers_timeline_is_not_there(still, alice, bob, flight):
    booking = await a_long_story(alice, flight)
    path = "/api/v1/bookings/{}/timeline"
    theirs, nobodys = [
        await still.bookings_http.get(
            path.format(id_),
            headers={"authorization": f"Bearer {bob.token}", "x-request-id": "same"},
        )
        for id_ in (booking["id"], NOBODYS)
    ]
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert (theirs.content, theirs.headers) == (nobodys.content, nobodys.headers)
    assert (await still.bookings_http.get(path.format(booking["id"]))).status_code == 401


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_pages_hold_every_entry_once(still, alice, flight, size):
    booking = await a_long_story(alice, flight)
    everything = await timeline(alice, booking)
    seen, cursor = [], ""
    while cursor is not None:
        after = f"&after={cursor}" if cursor else ""
        page = await alice.send("GET", f"bookings/{booking['id']}/timeline?limit={size}{after}")
        assert 1 <= len(page["data"]) <= size
        seen += page["data"]
        assert len(seen) <= len(everything)
        cursor = page["next"]
    assert seen == everything


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "after=nonsense", "after=WzEsIDJd"])
async def test_a_page_that_cannot_be_is_refused(still, alice, flight, query):
    booking = await alice.book(flight)
    refused = await alice.send("GET", f"bookings/{booking['id']}/timeline?{query}")
    assert refused.status == 422


# --- and of all that these tests have done ------------------------------------------------------


async def test_every_log_leads_without_a_gap_to_where_its_booking_stands(still):
    async with still.bookings.db.read() as tx:
        standing = {row.id: row.status for row in await tx.rows(select(BookingRow.__table__))}
    reached: dict[str, str | None] = {}
    for row in await rows(still):
        assert row.status_before == reached.get(row.booking_id), row
        reached[row.booking_id] = row.status_after
    assert len(standing) > 10
    assert reached == standing
