"""Staff see and cancel every booking, and whatever they do is written down before they know."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from booking_stage import (
    Gate,
    a_member_of_staff,
    account_of,
    again,
    done,
    ledger,
    look,
    states,
    timeline,
    written,
)
from sqlalchemy import insert, select

from skyhold.booking.errors import AccountNotFound, RoleUnchanged
from skyhold.booking.models.tables import SessionRow
from skyhold.booking.models.user import Role
from skyhold.booking.repositories import booking_log
from skyhold.booking.services.timeline import LOOK_S
from skyhold.kernel.db import DatabaseBusy
from skyhold.kernel.ids import new_id
from support.system import PASSWORD, SETTINGS

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = {"id": "018f0000-0000-7000-8000-000000000000"}
HELD = ("held", "you")
VIEWED = ("viewed", "staff")
CANCEL = {"status": "cancelled"}


@pytest_asyncio.fixture(loop_scope="module")
async def desk(still):
    return await a_member_of_staff(still)


async def patch(person, booking, body):
    return await person.send("PATCH", f"bookings/{booking['id']}", body)


async def raw(system, person, method, path, json=None):
    """An answer as it is, to a request whose id does not tell it from another."""
    headers = {"authorization": f"Bearer {person.token}", "x-request-id": "the-same"}
    reply = await system.bookings_http.request(
        method, f"/api/v1/{path}", json=json, headers=headers
    )
    return reply.status_code, reply.content, reply.headers


# --- seeing ------------------------------------------------------------------------------------


async def test_staff_see_a_booking_as_its_owner_does_and_are_seen_to(still, alice, desk, flight):
    booking = await alice.book(flight, party=2)
    await alice.pay(booking)
    seen = await desk.get(booking)
    assert (seen.status, seen.body) == (200, (await alice.get(booking)).body)
    assert (await done(alice, booking))[3:] == [VIEWED]
    viewed = (await timeline(desk, booking))[3]
    assert (viewed["by"], viewed["actor_id"]) == ("staff", await account_of(desk))
    assert (viewed["status_before"], viewed["status_after"]) == ("confirmed", "confirmed")


async def test_who_looks_twice_has_looked_twice(alice, desk, flight):
    booking = await alice.book(flight)
    for _ in range(2):
        await desk.get(booking)
    assert await done(alice, booking) == [HELD, VIEWED, VIEWED]


async def test_what_cannot_be_written_down_is_not_shown(alice, desk, flight, monkeypatch):
    booking = await alice.book(flight)

    async def no_more_room(*_):
        raise DatabaseBusy

    monkeypatch.setattr(booking_log, "add", no_more_room)
    for path in ("", "/timeline"):
        refused = await desk.send("GET", f"bookings/{booking['id']}{path}")
        assert refused.status == 503
        assert booking["record_locator"] not in repr(refused.body)
    assert (await alice.get(booking)).status == 200  # an owner's look is nobody's business


async def test_staff_read_a_timeline_with_accounts_and_requests_and_that_is_a_look(
    alice, desk, flight
):
    booking = await alice.book(flight)
    held, viewed = await timeline(desk, booking)
    assert (held["by"], held["actor_id"]) == ("customer", await account_of(alice))
    assert held["request_id"]
    assert (viewed["action"], viewed["actor_id"]) == ("viewed", await account_of(desk))
    assert await done(alice, booking) == [HELD, VIEWED]


async def test_going_through_the_pages_is_one_look_and_comes_to_an_end(still, alice, desk, flight):
    booking = await alice.book(flight)
    cursor, pages = "", 0
    while cursor is not None:
        after = f"&after={cursor}" if cursor else ""
        page = await desk.send("GET", f"bookings/{booking['id']}/timeline?limit=1{after}")
        last, cursor, pages = cursor or None, page["next"], pages + 1
        assert pages < 5
    assert await done(alice, booking) == [HELD, VIEWED]
    # A cursor that was kept is no way to look again unseen.
    still.advance(seconds=LOOK_S + 1)
    await timeline(desk, booking, after=last)
    assert await done(alice, booking) == [HELD, VIEWED, VIEWED]


async def test_one_of_the_staff_does_not_look_on_anothers_name(still, alice, desk, flight):
    booking = await alice.book(flight)
    page = await desk.send("GET", f"bookings/{booking['id']}/timeline?limit=1")
    other = await a_member_of_staff(still)
    await timeline(other, booking, after=page["next"])
    lookers = [entry["actor_id"] for entry in await timeline(desk, booking)][1:3]
    assert lookers == [await account_of(desk), await account_of(other)]


async def test_the_own_bookings_of_staff_are_an_owners(desk, flight):
    booking = await desk.book(flight)
    assert (await desk.get(booking)).status == 200
    assert (await desk.cancel(booking))["status"] == "cancelled"
    entries = await timeline(desk, booking)
    assert [(entry["action"], entry["by"]) for entry in entries] == [HELD, ("cancelled", "you")]
    assert {(entry["actor_id"], entry["request_id"]) for entry in entries} == {(None, None)}


async def test_a_list_is_of_own_bookings_for_staff_too(alice, desk, flight):
    await alice.book(flight)
    assert (await desk.send("GET", "bookings"))["data"] == []
    own = await desk.book(flight)
    assert [b["id"] for b in (await desk.send("GET", "bookings"))["data"]] == [own["id"]]


# --- cancelling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["PATCH", "DELETE"])
@pytest.mark.parametrize("pays", [False, True], ids=["unpaid", "paid"])
async def test_staff_cancel_a_booking_like_its_owner(still, alice, desk, flight, how, pays):
    booking = await alice.book(flight)
    if pays:
        await alice.pay(booking)
    body = CANCEL if how == "PATCH" else None
    cancelled = await desk.send(how, f"bookings/{booking['id']}", body)
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    assert (await ledger(still, booking), await still.seats_left(flight)) == (
        ["refunded"] * pays,
        100,
    )
    entry = (await timeline(desk, booking))[1 + 2 * pays]
    assert (entry["action"], entry["by"]) == ("cancelled", "staff")
    assert entry["actor_id"] == await account_of(desk)
    assert (entry["status_before"], entry["status_after"]) == (
        "confirmed" if pays else "held",
        "cancelled",
    )
    assert ("cancelled", "staff") in await done(alice, booking)


async def test_cancelling_what_is_cancelled_shows_it_and_that_is_a_look(alice, desk, flight):
    booking = await alice.book(flight)
    first = await alice.cancel(booking)
    assert (await desk.cancel(booking)).body == first.body
    assert await done(alice, booking) == [HELD, ("cancelled", "you"), VIEWED]


async def test_staff_are_refused_what_an_owner_is_refused(still, alice, desk, world, flight):
    async def refusals(booking):
        owner, staff = await alice.cancel(booking), await desk.cancel(booking)
        assert owner.status == staff.status == 409
        return owner.code, staff.code

    paying = await alice.book(flight)
    world.on("authorise", asked := Gate(before=False))
    payment = asyncio.create_task(alice.pay(paying))
    await asked.reached.wait()
    assert await refusals(paying) == ("payment_in_progress",) * 2
    asked.opens()
    assert (await payment).status == 201

    soon = await still.a_flight(departs_in_h=1)
    departed, expired = await alice.book(soon), await alice.book(flight)
    assert (await alice.pay(departed)).status == 201
    still.advance(minutes=61)
    await still.bookings.driver.settle(expired["id"])
    assert await refusals(departed) == ("departed_already",) * 2
    assert await refusals(expired) == ("illegal_transition",) * 2
    assert (await states(still, departed))[0] == "confirmed"


# --- and nothing else ------------------------------------------------------------------------


async def test_nobody_pays_for_anothers_booking_not_even_staff(still, alice, desk, flight):
    booking = await alice.book(flight)
    theirs, nobodys = [
        await raw(
            still,
            desk,
            "POST",
            "bookings/payments",
            {"booking_id": which["id"], "payment_token": "tok_visa"},
        )
        for which in (booking, NOBODYS)
    ]
    assert theirs == nobodys
    assert theirs[0] == 404
    assert (await states(still, booking))[0] == "held"
    assert await done(alice, booking) == [HELD]


REQUESTS = {
    "get": ("GET", "", None),
    "patch": ("PATCH", "", CANCEL),
    "delete": ("DELETE", "", None),
    "timeline": ("GET", "/timeline", None),
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_to_others_a_booking_is_byte_for_byte_not_there(still, alice, bob, flight, what):
    booking = await alice.book(flight)
    method, more, body = REQUESTS[what]
    theirs, nobodys = [
        await raw(still, bob, method, f"bookings/{which['id']}{more}", body)
        for which in (booking, NOBODYS)
    ]
    assert theirs == nobodys
    assert theirs[0] == 404
    assert await done(alice, booking) == [HELD]


@pytest.mark.parametrize("what", REQUESTS)
async def test_what_is_not_there_is_not_there_for_staff_either(desk, what):
    method, more, body = REQUESTS[what]
    missing = await desk.send(method, f"bookings/{NOBODYS['id']}{more}", body)
    assert (missing.status, missing.code) == (404, "booking_not_found")


WISHES = [
    {"status": "confirmed"},
    {"status": "cancelled", "price": "0.01"},
    {"user_id": NOBODYS["id"]},
    {},
    [],
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
async def test_a_change_that_nobody_can_make_is_the_same_mistake_for_everybody(
    still, alice, bob, desk, flight, wish
):
    """422, also for who may not see the booking: the body is read before anything is looked up.

    So the answer is the same for one's own booking, for another's and for none, and tells nobody
    which of them it was; and nothing is looked up for a request that can come to nothing.
    """
    booking = await alice.book(flight)
    before, log = await look(still, booking), await written(still)
    answers = [
        (await raw(still, person, "PATCH", f"bookings/{which['id']}", wish))
        for person in (alice, bob, desk)
        for which in (booking, NOBODYS)
    ]
    assert {(status, body) for status, body, _ in answers} == {answers[0][:2]}
    assert answers[0][0] == 422
    assert (await look(still, booking), await written(still)) == (before, log)
    assert await done(alice, booking) == [HELD]


# --- who works here ----------------------------------------------------------------------------


async def a_session(system, person):
    """A login of theirs, as it is kept."""
    now, id_ = system.clock.now(), new_id()
    kept = {
        "id": id_,
        "user_id": await account_of(person),
        "created_at": now,
        "seen_at": now,
        "ends_at": now + timedelta(days=30),
        "ver": 1,
    }
    await system.bookings.db.transact(lambda tx: tx.run(insert(SessionRow), [kept]))
    return id_


async def ends(system, session):
    async with system.bookings.db.read() as tx:
        return await tx.scalar(select(SessionRow.ended_by).where(SessionRow.id == session))


async def test_a_promotion_and_its_end_log_the_account_out_everywhere(still, alice, bob):
    hers, his = await a_session(still, alice), await a_session(still, bob)
    await still.bookings.staffing.promote(alice.email.upper())
    assert (await still.bookings.staffing.find(alice.email)).role is Role.STAFF
    assert (await ends(still, hers), await ends(still, his)) == ("role_changed", None)
    later = await a_session(still, again(alice, still))
    await still.bookings.staffing.revoke(alice.email)
    assert (await still.bookings.staffing.find(alice.email)).role is Role.CUSTOMER
    assert (await ends(still, later), await ends(still, his)) == ("role_changed", None)


async def test_only_a_customer_is_promoted_and_only_staff_are_let_go(still, alice, desk):
    staffing = still.bookings.staffing
    session = await a_session(still, desk)
    with pytest.raises(RoleUnchanged):
        await staffing.promote(desk.email)
    with pytest.raises(RoleUnchanged):
        await staffing.revoke(alice.email)
    for change in (staffing.promote, staffing.revoke):
        with pytest.raises(AccountNotFound):
            await change("nobody@example.com")
    assert await ends(still, session) is None


async def command(data_dir, *words, answers=""):
    """A command beside the running system, which goes on meanwhile."""
    settings = {name.upper(): str(value) for name, value in SETTINGS.items()}
    return await asyncio.to_thread(
        subprocess.run,
        [Path(sys.executable).with_name("skyhold"), "booking", *words],
        env=os.environ | settings | {"DATA_DIR": str(data_dir), "LOG_LEVEL": "WARNING"},
        input=answers,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_the_command_line_makes_staff_of_who_has_an_account(start, tmp_path):
    async with start() as system:
        folder, alice = tmp_path / "data", await system.traveller("Alice")
        find = system.bookings.staffing.find
        unsure = await command(folder, "create-staff", alice.email, answers="n\n")
        assert (unsure.returncode, (await find(alice.email)).role) == (1, Role.CUSTOMER)
        sure = await command(folder, "create-staff", alice.email.upper(), answers="y\n")
        assert sure.returncode == 0, sure.stderr
        assert "Name" not in sure.stdout
        assert (await find(alice.email)).role is Role.STAFF
        taken = await command(folder, "create-staff", "--yes", alice.email)
        assert (taken.returncode, "nothing was changed" in taken.stderr) == (2, True)
        gone = await command(folder, "revoke-staff", alice.email)
        assert gone.returncode == 0, gone.stderr
        assert (await find(alice.email)).role is Role.CUSTOMER
        unknown = await command(folder, "revoke-staff", "nobody@example.com")
        assert unknown.returncode == 2
        assert "There is no account" in unknown.stderr


async def test_the_command_line_opens_an_account_for_who_has_none(start, tmp_path):
    async with start() as system:
        entered = f"New Boss\n{PASSWORD}\n{PASSWORD}\n"
        opened = await command(
            tmp_path / "data", "create-staff", "boss@example.com", answers=entered
        )
        assert opened.returncode == 0, opened.stderr
        assert PASSWORD not in opened.stdout + opened.stderr
        boss = await system.bookings.staffing.find("boss@example.com")
        assert (boss.name, boss.role) == ("New Boss", Role.STAFF)
