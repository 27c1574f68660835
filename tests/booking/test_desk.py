"""The desk finds any booking and tells its whole story, and every look of it is written down."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest
import pytest_asyncio
from booking_stage import a_member_of_staff, account_of, done, look, lost_request

from skyhold.booking.repositories import booking_log
from skyhold.booking.services.timeline import LOOK_S
from skyhold.kernel.db import DatabaseBusy
from skyhold.kernel.ids import new_id
from support.traveller import passengers

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD, VIEWED = ("held", "you"), ("viewed", "staff")
NOBODYS = "018f0000-0000-7000-8000-000000000000"
_names = map("".join, itertools.product("abcdef", repeat=4))


@pytest_asyncio.fixture(loop_scope="module")
async def desk(still):
    return await a_member_of_staff(still)


@pytest.fixture
def name():
    """A surname that nobody else has."""
    return f"Lovelace-{next(_names)}"


async def book(person, flight, family_name, given_name="Ada"):
    party = [{"given_name": given_name, "family_name": family_name}]
    booking = await person.book(flight, passengers=party)
    assert booking.status == 201, booking.body
    return booking


async def find(person, **asked):
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return await person.send("GET", f"desk/bookings?{query}")


async def ids(person, **asked):
    return [row["id"] for row in (await find(person, **asked))["data"]]


# --- finding -------------------------------------------------------------------------------------


async def test_a_booking_is_found_by_its_record_locator_however_it_is_typed(alice, desk, flight):
    booking = await alice.book(flight, party=2, seats=["7C", "7D"])
    await alice.pay(booking)
    for locator in (booking["record_locator"], booking["record_locator"].lower()):
        (row,) = (await find(desk, record_locator=locator))["data"]
        assert row["id"] == booking["id"]
    names = [{key: who[key] for key in ("given_name", "family_name")} for who in passengers(2)]
    segment = booking["segments"][0]
    assert row == {
        "id": booking["id"],
        "record_locator": booking["record_locator"],
        "status": "confirmed",
        "created_at": booking["created_at"],
        "passengers": names,
        "segments": [
            {key: segment[key] for key in row["segments"][0]} | {"flight_id": flight},
        ],
        "total": booking["total"],
        "payment_status": "captured",
    }
    assert row["segments"][0]["seats"] == ["7C", "7D"]


async def test_a_locator_that_nobody_has_finds_nothing(desk):
    assert (await find(desk, record_locator="AAAAAA")).body == {"data": [], "next": None}


async def test_a_surname_finds_every_passengers_bookings_the_newest_first(
    still, alice, bob, desk, flight, name
):
    made = []
    for person in (alice, bob, alice):
        made.append((await book(person, flight, name))["id"])
        still.advance(seconds=1)
    assert await ids(desk, family_name=name) == made[::-1]


@pytest.mark.parametrize("kept", ["as it is", "upper", "lower", "title"])
async def test_a_surname_is_found_as_typed_and_as_forms_and_tickets_have_it(
    alice, desk, flight, name, kept
):
    kept = name if kept == "as it is" else getattr(name, kept)()
    booking = await book(alice, flight, kept)
    assert await ids(desk, family_name=kept) == [booking["id"]]
    assert await ids(desk, family_name=name) == [booking["id"]]


async def test_a_surname_is_no_pattern_and_no_part_of_one(alice, desk, flight, name):
    await book(alice, flight, name)
    for part in (name[:-1], "%25", name[:-1] + "_", name + "x"):
        assert await ids(desk, family_name=part) == []


async def test_a_flight_has_its_bookings_and_those_of_one_state(alice, bob, desk, flight):
    held, paid = await alice.book(flight), await bob.book(flight)
    await bob.pay(paid)
    assert set(await ids(desk, flight_id=flight)) == {held["id"], paid["id"]}
    assert await ids(desk, flight_id=flight, status="confirmed") == [paid["id"]]
    assert await ids(desk, flight_id=flight, status="expired") == []


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_have_every_booking_once(alice, desk, flight, name, size):
    made = [(await book(alice, flight, name))["id"] for _ in range(3)]
    seen, after = [], {}
    while after is not None:
        page = await find(desk, family_name=name, limit=size, **after)
        assert len(page["data"]) <= size
        seen += [row["id"] for row in page["data"]]
        after = {"after": page["next"]} if page["next"] else None
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "status=held",
        "record_locator=AAAAAA&family_name=Lovelace",
        "record_locator=AAAAAA&flight_id=B61-2080-01-10-JFK",
        "record_locator=AAAA",
        "record_locator=AAAAA%2F",
        "family_name=%20",
        "family_name=a%0Ab",
        "flight_id=nowhere",
        "family_name=Lovelace&limit=101",
        "family_name=Lovelace&after=somewhere",
    ],
)
async def test_a_question_that_is_none_is_refused(desk, query):
    assert (await desk.send("GET", f"desk/bookings?{query}")).status == 422


# --- looks are written down ----------------------------------------------------------------------


async def test_what_was_found_was_looked_at_once_in_a_while(still, alice, desk, flight):
    booking = await alice.book(flight)
    for _ in range(2):
        await find(desk, record_locator=booking["record_locator"])
    assert await done(alice, booking) == [HELD, VIEWED]
    still.advance(seconds=LOOK_S + 1)
    await find(desk, record_locator=booking["record_locator"])
    assert await done(alice, booking) == [HELD, VIEWED, VIEWED]


async def test_one_of_the_staff_does_not_look_on_anothers_name(still, alice, desk, flight):
    booking = await alice.book(flight)
    for who in (desk, await a_member_of_staff(still)):
        await find(who, flight_id=flight)
    assert await done(alice, booking) == [HELD, VIEWED, VIEWED]


async def test_only_the_bookings_of_the_page_were_looked_at(alice, desk, flight, name):
    older, newer = [await book(alice, flight, name) for _ in range(2)]
    await find(desk, family_name=name, limit=1)
    assert await done(alice, older) == [HELD]
    assert await done(alice, newer) == [HELD, VIEWED]


async def test_staff_do_not_look_at_their_own(desk, flight):
    booking = await desk.book(flight)
    assert await ids(desk, flight_id=flight) == [booking["id"]]
    await desk.send("GET", f"desk/bookings/{booking['id']}/story")
    assert await done(desk, booking) == [HELD]


async def test_what_cannot_be_written_down_is_not_shown(alice, desk, flight, monkeypatch):
    booking = await alice.book(flight)

    async def no_more_room(*_):
        raise DatabaseBusy

    monkeypatch.setattr(booking_log, "add", no_more_room)
    for path in (f"?record_locator={booking['record_locator']}", f"/{booking['id']}/story"):
        refused = await desk.send("GET", f"desk/bookings{path}")
        assert refused.status == 503
        assert booking["id"] not in repr({**refused.body, "instance": ""})


@pytest.mark.parametrize("path", ["bookings?record_locator=AAAAAA", "overview"])
async def test_the_desk_is_for_staff(alice, path):
    refused = await alice.send("GET", f"desk/{path}")
    assert (refused.status, refused.code) == (403, "staff_only")


async def test_an_owner_has_no_story_and_learns_nothing_of_others(alice, bob, flight):
    booking = await alice.book(flight)
    answers = [
        await bob.send("GET", f"desk/bookings/{id_}/story") for id_ in (booking["id"], NOBODYS)
    ]
    assert {(answer.status, answer.code) for answer in answers} == {(403, "staff_only")}
    assert await done(alice, booking) == [HELD]


# --- the story -----------------------------------------------------------------------------------


async def story(person, booking):
    reply = await person.send("GET", f"desk/bookings/{booking['id']}/story")
    assert reply.status == 200, reply.body
    return reply.body


async def test_a_story_tells_the_booking_its_money_its_hold_and_what_was_done(
    still, alice, desk, flight
):
    booking = await alice.book(flight, seats=["7C"], key="my-key")
    await alice.pay(booking, "tok_declined")
    await alice.pay(booking)
    told = await story(desk, booking)
    assert told["booking"]["status"] == "confirmed"
    assert told["booking"]["user_id"] == await account_of(alice)
    assert told["booking"]["idempotency_key"] == "my-key"
    assert told["booking"]["segments"] == booking["segments"]
    assert told["booking"]["passengers"] == booking["passengers"]
    assert [(each["status"], each["failure"]) for each in told["payments"]] == [
        ("voided", "declined"),
        ("captured", None),
    ]
    assert (told["hold"]["hold_id"], told["hold"]["status"]) == (booking["id"], "confirmed")
    assert [each["seats"] for each in told["hold"]["segments"]] == [["7C"]]
    assert told["hold_unknown"] is None
    assert [(entry["action"], entry["by"]) for entry in told["entries"]] == [
        ("held", "customer"),
        ("payment_started", "customer"),
        ("payment_declined", "skyhold"),
        ("payment_started", "customer"),
        ("confirmed", "skyhold"),
        ("viewed", "staff"),
    ]
    assert told["entries"][-1]["actor_id"] == await account_of(desk)
    types = [event["type"] for event in told["events"]]
    assert (types[0], types[-1]) == ("booking.held", "booking.confirmed")
    assert "tok_" not in repr(told)


async def test_a_story_tells_a_refund(alice, desk, flight):
    booking = await alice.book(flight)
    await alice.pay(booking)
    await alice.cancel(booking)
    told = await story(desk, booking)
    (payment,) = told["payments"]
    assert payment["status"] == "refunded"
    assert payment["refund"] == {"status": "succeeded", "amount": booking["total"]}
    assert told["hold"]["status"] == "cancelled"
    assert not told["booking"]["hold_open"]


async def test_a_story_is_told_when_the_flight_service_is_silent(world, alice, desk, flight):
    booking = await alice.book(flight)
    world.on("GET hold", lost_request)
    told = await story(desk, booking)
    assert told["hold"] is None
    assert told["hold_unknown"]
    assert told["booking"]["status"] == "held"


async def test_who_has_to_approve_a_payment_is_known_and_how_is_theirs_alone(alice, desk, flight):
    booking = await alice.book(flight)
    asked = await alice.pay(booking, "tok_3ds")
    assert asked["next_action"]["url"]
    told = await story(desk, booking)
    assert told["payments"][0]["waits_for_payer"]
    assert asked["next_action"]["url"] not in repr(told)


async def test_each_story_is_a_look(alice, desk, flight):
    booking = await alice.book(flight)
    for looks in (1, 2):
        assert [e["action"] for e in (await story(desk, booking))["entries"]].count(
            "viewed"
        ) == looks


async def test_a_booking_that_is_not_there_has_no_story(desk):
    refused = await desk.send("GET", f"desk/bookings/{new_id()}/story")
    assert (refused.status, refused.code) == (404, "booking_not_found")
    assert (await desk.send("GET", "desk/bookings/AAAAAA/story")).status == 422


async def test_a_story_says_when_the_driver_looks_next(still, alice, desk, flight):
    booking = await alice.book(flight)
    told = (await story(desk, booking))["booking"]
    kept, _ = await look(still, booking)
    assert datetime.fromisoformat(told["due_at"]) == kept.due_at
    assert told["attempts"] == 0
