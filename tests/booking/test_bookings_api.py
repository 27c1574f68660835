"""The bookings API: what it shows, to whom, and what it makes of bad input."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from itertools import chain

import pytest
from booking_stage import http, look, written

from skyhold.kernel.auth import Tokens, access_kind
from skyhold.kernel.ids import LOCATOR_ALPHABET, new_id
from support.system import JWT_SECRET, PASSWORD
from support.traveller import Reply, Traveller, passengers, seats_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def listed(traveller, **query):
    wanted = "&".join(f"{name}={value}" for name, value in query.items())
    return await traveller.send("GET", f"bookings?{wanted}")


async def pages(traveller, **query):
    """All pages of a list, one after the other."""
    found, after = [], {}
    while True:
        page = await listed(traveller, **query, **after)
        assert page.status == 200, page.body
        found.append([booking["id"] for booking in page["data"]])
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


# --- what it shows ---------------------------------------------------------------------------


async def test_a_booking_says_all_that_a_traveller_needs(still, alice, flight):
    reply = await alice.book(flight, party=2, seats=["12A", "12C"])
    booking = reply.body
    assert reply.headers["location"] == f"/api/v1/bookings/{booking['id']}"
    assert (await alice.get(booking)).body == booking
    assert (booking["status"], booking["payment"]) == ("held", None)
    assert booking["available_actions"] == ["pay", "cancel"]
    assert len(booking["record_locator"]) == 6
    assert set(booking["record_locator"]) <= set(LOCATOR_ALPHABET)
    (segment,) = booking["segments"]
    assert (segment["origin"], segment["destination"]) == ("JFK", "LAX")
    assert segment["fare"] == {"amount": "129.00", "currency": "USD"}
    assert booking["total"] == {"amount": "258.00", "currency": "USD"}
    # In the airports' own times, with their offsets.
    offset = datetime.fromisoformat(segment["departing_at"]).utcoffset()
    assert offset in {timedelta(hours=-5), timedelta(hours=-4)}
    assert booking["payment_required_by"].endswith("Z")
    assert "user_id" not in booking


async def test_seats_are_in_the_order_of_the_passengers(still, alice, flight):
    body = {
        "segments": [{"flight_id": flight, "seats": ["20F", "3A", "11C"]}],
        "passengers": [
            {"given_name": "Zoe", "family_name": "Zimmer"},
            {"given_name": "Ada", "family_name": "Adler", "type": "child", "born_on": "2019-02-28"},
            {"given_name": "Mia", "family_name": "Meyer"},
        ],
    }
    booking = await alice.send("POST", "bookings", body)
    assert seats_of(booking) == ["20F", "3A", "11C"]
    seen = await alice.get(booking)
    assert seats_of(seen) == ["20F", "3A", "11C"]
    assert [who["given_name"] for who in seen["passengers"]] == ["Zoe", "Ada", "Mia"]
    assert seen["passengers"][1] == {
        "given_name": "Ada",
        "family_name": "Adler",
        "type": "child",
        "born_on": "2019-02-28",
    }


async def test_pages_show_each_booking_once_the_newest_first(still, alice, flight):
    made = [(await alice.book(flight))["id"] for _ in range(7)]
    assert await pages(alice) == [made[::-1]]
    assert await pages(alice, limit=3) == [made[:3:-1], made[3:0:-1], made[:1]]
    assert await pages(alice, limit=7) == [made[::-1]]
    assert list(chain(*await pages(alice, limit=1))) == made[::-1]


async def test_bookings_made_at_once_are_not_lost_between_pages(still, alice, flight):
    made = await asyncio.gather(*(alice.book(flight) for _ in range(9)))
    found = list(chain(*await pages(alice, limit=2)))
    assert sorted(found) == sorted(booking["id"] for booking in made)


async def test_a_booking_made_while_one_turns_pages_disturbs_none(still, alice, flight):
    made = [(await alice.book(flight))["id"] for _ in range(4)]
    first = await listed(alice, limit=2)
    await alice.book(flight)
    second = await listed(alice, limit=2, after=first["next"])
    assert [b["id"] for b in [*first["data"], *second["data"]]] == made[::-1]


async def test_one_can_ask_for_bookings_in_one_state(still, alice, flight):
    held, paid, cancelled = [await alice.book(flight) for _ in range(3)]
    await alice.pay(paid)
    await alice.cancel(cancelled)
    assert await pages(alice, status="held") == [[held["id"]]]
    assert await pages(alice, status="confirmed") == [[paid["id"]]]
    assert await pages(alice, status="cancelled") == [[cancelled["id"]]]
    assert await pages(alice, status="expired") == [[]]


async def test_nobody_sees_other_peoples_bookings(still, alice, bob, flight):
    hers, his = await alice.book(flight), await bob.book(flight)
    assert await pages(alice) == [[hers["id"]]]
    assert await pages(bob) == [[his["id"]]]
    page = await listed(alice, limit=1)
    assert page["next"] is None
    await alice.book(flight)
    cursor = (await listed(alice, limit=1))["next"]
    assert (await listed(bob, after=cursor))["data"] in ([], [(await bob.get(his)).body])


async def test_what_is_not_yours_and_what_does_not_exist_look_the_same(still, alice, bob, flight):
    booking = await alice.book(flight)
    for method in ("GET", "DELETE"):
        theirs = await bob.send(method, f"bookings/{booking['id']}")
        nothing = await bob.send(method, f"bookings/{new_id()}")
        assert theirs.status == nothing.status == 404
        assert theirs.body | {"instance": ""} == nothing.body | {"instance": ""}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=101",
        "limit=many",
        "limit=1e1",
        "limit=",
        "status=",
        "status=HELD",
        "status=held'--",
        "after=",
        "after=nonsense",
        "after=%00",
        "after=" + "A" * 513,
        "after=WyIyMDI2LTEyLTAxIiwiYiJd",  # a time without a zone
        "after=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwiYiJd",  # before the calendar begins
        "after=WyI5OTk5LTEyLTMxVDIzOjU5OjU5LTIzOjU5IiwiYiJd",  # after it ends
        "after=WzEsMl0",
        "after=W10",
    ],
)
async def test_a_list_asked_for_badly_is_refused(still, alice, query):
    refused = await alice.send("GET", f"bookings?{query}")
    assert refused.status == 422
    assert refused.code in {"invalid", "invalid_cursor"}


# --- names -----------------------------------------------------------------------------------


async def book_for(traveller, flight, given_name, **more):
    """Book with a name, in ASCII, so that every character goes out as its escape."""
    who = {"given_name": given_name, "family_name": "Tester"} | more
    body = json.dumps({"segments": [{"flight_id": flight}], "passengers": [who]})
    return Reply.of(await raw(traveller, "POST", "bookings", body.encode()))


async def raw(traveller, method, path, content, content_type="application/json"):
    headers = {"authorization": f"Bearer {traveller.token}"}
    if content_type is not None:
        headers["content-type"] = content_type
    return await traveller.http.request(method, f"/api/v1/{path}", content=content, headers=headers)


KEPT = ["José", "Zoë-Ann", "O'Neil", "李", "Владимир", "عمر", "e\u0301", "\U0001f600", "x" * 100]


async def test_names_are_kept_as_they_are_also_emoji(still, alice, flight):
    for name in KEPT:
        booking = await book_for(alice, flight, name)
        assert booking.status == 201, name
        assert (await alice.get(booking))["passengers"][0]["given_name"] == name
        await alice.cancel(booking)


async def test_blanks_around_a_name_are_no_part_of_it(still, alice, flight):
    booking = await book_for(alice, flight, "  Ada ")
    assert booking["passengers"][0]["given_name"] == "Ada"


REFUSED = {
    "empty": "",
    "blank": "   ",
    "NUL": "A\x00B",
    "newline": "A\nB",
    "escape": "A\x1b[31mB",
    "delete": "A\x7fB",
    "right to left": "A\u202eB",
    "zero width": "A\u200bB",
    "emoji of several, joined": "\U0001f469\u200d\U0001f680",
    "private use": "\ue000",
    "line separator": "A\u2028B",
    "101 characters": "x" * 101,
    "no text": 7,
    "nothing": None,
    "a list": ["Ada"],
}


@pytest.mark.parametrize("name", ["A\ud800B", "\ude00\ud83d"], ids=ascii)
async def test_half_a_character_is_not_even_json(still, alice, flight, name):
    before = await written(still)
    refused = await book_for(alice, flight, name)
    assert (refused.status, refused.code) == (400, "bad_request")
    assert await written(still) == before


async def test_names_that_cannot_be_printed_are_refused(still, alice, flight):
    before = await written(still)
    for what, name in REFUSED.items():
        refused = await book_for(alice, flight, name)
        assert (refused.status, refused.code) == (422, "invalid"), what
        assert refused["errors"][0]["field"] == "passengers.0.given_name", what
    assert await written(still) == before
    assert await still.seats_left(flight) == 100


@pytest.mark.parametrize(
    "born_on",
    ["2999-01-01", "1899-12-31", "2026-02-30", "yesterday", "", "1990-12-10T00:00", "19901210"],
)
async def test_a_birthday_is_a_day_in_the_past(still, alice, flight, born_on):
    refused = await book_for(alice, flight, "Ada", born_on=born_on)
    assert (refused.status, refused.code) == (422, "invalid")


# --- bodies ----------------------------------------------------------------------------------


def a_body(flight):
    return {"segments": [{"flight_id": flight}], "passengers": passengers(1)}


def wrong_bodies(flight):
    """Bodies that are JSON, and no booking."""
    body = a_body(flight)
    segment, who = body["segments"][0], body["passengers"][0]
    fare = {"amount": "129.00", "currency": "USD"}
    for unknown in ("price", "user_id", "status", "role", "total", "id", "record_locator"):
        yield body | {unknown: "x"}
    yield body | {"segments": [segment | {"price": "0.01"}]}
    yield body | {"passengers": [who | {"seat": "1A"}]}
    for segments in ([], [segment] * 7, {}, None, "x", [[]], [None], 1):
        yield body | {"segments": segments}
    for party in ([], [who] * 10, {}, None, "x", [[]], -1, True):
        yield body | {"passengers": party}
    for seats in ([], ["1A", "1C"], ["1A"] * 10, ["1a"], [1], "1A", [None], ["'; --"], ["0A"]):
        yield body | {"segments": [segment | {"seats": seats}]}
    for flight_id in ("", "x", flight.lower(), flight + " ", "../" + flight, 7, None, [flight]):
        yield body | {"segments": [{"flight_id": flight_id}]}
    for cabin in ("", "ECONOMY", "cargo", 1, None, True):
        yield body | {"segments": [segment | {"cabin": cabin}]}
    for amount in ("-1.00", "1e3", "NaN", "129.001", "", "١٢٩", 129, 129.0, None, True, "9" * 400):
        yield body | {"expected_total": fare | {"amount": amount}}
    yield body | {"expected_total": fare | {"currency": "XXZ"}}
    for kind in ("infant", "", 0, None, True):
        yield body | {"passengers": [who | {"type": kind}]}
    yield from ([], "x", 7, True, {}, [body])


async def test_a_body_that_is_no_booking_is_refused_and_books_nothing(still, alice, flight):
    before = await written(still)
    for body in wrong_bodies(flight):
        refused = await alice.send("POST", "bookings", body)
        assert (refused.status, refused.code) == (422, "invalid"), body
    assert await written(still) == before
    assert await still.seats_left(flight) == 100


@pytest.mark.parametrize(
    ("seats", "status"),
    [
        (["99K"], {404, 409, 422}),
        (["1A", "1A"], {409, 422}),
        (["1A", "99K"], {404, 409, 422}),
    ],
    ids=["not on this aircraft", "twice the same", "one is wrong"],
)
async def test_seats_that_cannot_be_had_leave_all_others_free(still, alice, flight, seats, status):
    refused = await alice.book(flight, party=len(seats), seats=seats)
    assert refused.status in status
    assert await still.seats_left(flight) == 100


def broken_bodies(good):
    """Bytes that are no JSON object of ours, with the statuses that may answer them."""
    text = json.dumps(good).encode()
    yield "nothing", b"", {422}
    yield "null", b"null", {422}
    yield "[]", b"[]", {422}
    yield "a string", b'"x"', {422}
    yield "a number", b"1", {422}
    yield "truncated", text[:-1], {400}
    yield "trailing garbage", text + b"}", {400}
    yield "NaN", b'{"segments": NaN}', {400, 422}
    yield "infinity", b'{"passengers": [-Infinity]}', {400, 422}
    yield "1e400", b'{"passengers": 1e400}', {400, 422}
    yield "2^64", b'{"passengers": 18446744073709551616}', {422}
    yield "many digits", b'{"passengers": ' + b"9" * 60_000 + b"}", {400, 422}
    yield "deep", b"[" * 30_000 + b"]" * 30_000, {400, 422}
    yield "deep and open", b'{"a":' * 12_000, {400}
    yield "deeper", b"[" * 100_000, {413}
    yield "64 KiB and one", text.ljust(65_537), {413}
    yield "a megabyte", b" " * 1_000_000, {413}
    yield "not UTF-8", text.replace(b"flight_id", b"\xff\xfe"), {400, 422}
    yield "Latin-1", '{"name": "é"}'.encode("latin-1"), {400, 422}
    yield "NUL", text.replace(b"Nr1", b"\x00"), {400, 422}
    yield "single quotes", text.replace(b'"', b"'"), {400}
    yield "a form", b"segments=1&passengers=2", {400}
    yield "XML", b"<?xml version='1.0'?><a/>", {400}
    yield "a zip bomb's head", b"\x1f\x8b\x08\x00" + bytes(50), {400, 422}


async def test_broken_bodies_are_refused_everywhere_and_nothing_is_written(still, alice, flight):
    booking = await alice.book(flight)
    before = await written(still)
    for method, path in (
        ("POST", "bookings"),
        ("POST", "bookings/payments"),
        ("PATCH", f"bookings/{booking['id']}"),
        ("POST", "users/register"),
        ("POST", "users/login"),
    ):
        for name, content, statuses in broken_bodies(a_body(flight)):
            reply = Reply.of(await raw(alice, method, path, content))
            assert reply.status in statuses, (path, name, reply.body)
    assert await written(still) == before
    assert (await alice.get(booking))["status"] == "held"


async def test_a_body_of_exactly_64_kib_is_read(still, alice, flight):
    content = json.dumps(a_body(flight)).encode().ljust(65_536)
    assert (await raw(alice, "POST", "bookings", content)).status_code == 201


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/json", "", None]
)
async def test_only_json_is_read(still, alice, flight, content_type):
    before = await written(still)
    content = json.dumps(a_body(flight)).encode()
    refused = Reply.of(await raw(alice, "POST", "bookings", content, content_type))
    assert (refused.status, refused.code) == (415, "unsupported_media_type")
    assert await written(still) == before


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
async def test_json_in_another_encoding_is_refused(still, alice, flight, encoding):
    content = json.dumps(a_body(flight)).encode(encoding)
    assert (await raw(alice, "POST", "bookings", content)).status_code == 400


async def test_a_key_given_twice_in_a_body_is_refused(still, alice, flight):
    twice = b'{"status": "confirmed", "status": "cancelled"}'
    booking = await alice.book(flight)
    reply = Reply.of(await raw(alice, "PATCH", f"bookings/{booking['id']}", twice))
    assert (reply.status, reply.code) == (400, "bad_request")
    assert (await alice.get(booking))["status"] == "held"


# --- ids -------------------------------------------------------------------------------------

BAD_IDS = [
    "0",
    "-1",
    "x",
    "payments",
    "018F0000-0000-7000-8000-000000000000",
    "{018f0000-0000-7000-8000-000000000000}",
    "018f000000007000800000000000000000",
    "018f0000-0000-7000-8000-00000000000",
    "018f0000-0000-7000-8000-0000000000000",
    "018f0000-0000-7000-8000-000000000000%00",
    "018f0000-0000-7000-8000-000000000000%0a",
    "%20018f0000-0000-7000-8000-000000000000",
    "1' OR '1'='1",
    "1;DROP TABLE bookings",
    "%27%20OR%201=1--",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "${jndi:ldap:x}",
    "%F0%9F%98%80",
    "%E2%80%AE",
    "%ff%fe",
    "\uff10\uff11\uff18f0000-0000-7000-8000-000000000000",
    "a" * 8_000,
]


async def test_what_is_no_id_finds_nothing_and_breaks_nothing(still, alice, flight):
    booking = await alice.book(flight)
    before = await written(still)
    for booking_id in BAD_IDS:
        for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"status": "cancelled"})):
            reply = await alice.send(method, f"bookings/{booking_id}", body)
            assert reply.status in {404, 405, 422}, (method, booking_id)
        body = {"booking_id": booking_id, "payment_token": "tok_visa"}
        assert (await alice.send("POST", "bookings/payments", body)).status in {404, 422}
    assert await written(still) == before
    assert (await alice.get(booking))["status"] == "held"


@pytest.mark.parametrize("path", ["bookings/", "bookings//", "Bookings", "bookings/../bookings/"])
async def test_other_spellings_of_a_path_lead_nowhere(still, alice, path):
    assert (await alice.send("GET", path)).status in {404, 422}


@pytest.mark.parametrize("method", ["PUT", "POST", "TRACE"])
async def test_other_methods_are_not_allowed(still, alice, method):
    refused = await alice.send(method, f"bookings/{new_id()}")
    assert refused.status == 405
    assert refused.headers["allow"] == "DELETE, GET, HEAD, PATCH"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
async def test_payments_is_an_address_and_no_bookings_id(still, alice, method):
    headers = {"authorization": f"Bearer {alice.token}"}
    address = "/api/v1/bookings/payments"
    refused = await still.bookings_http.request(method, address, headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


# --- who -------------------------------------------------------------------------------------


async def test_without_a_token_there_are_no_bookings(still, alice, flight):
    nobody = Traveller(still.bookings_http, "", "")
    booking = await alice.book(flight)
    for method, path, body in (
        ("GET", "bookings", None),
        ("POST", "bookings", a_body(flight)),
        ("GET", f"bookings/{booking['id']}", None),
        ("PATCH", f"bookings/{booking['id']}", {"status": "cancelled"}),
        ("DELETE", f"bookings/{booking['id']}", None),
        ("POST", "bookings/payments", {"booking_id": booking["id"], "payment_token": "tok_visa"}),
    ):
        refused = await nobody.send(method, path, body)
        assert (refused.status, refused.code) == (401, "unauthorized")
        headers = still.service()
        by_service = await still.bookings_http.request(
            method, f"/api/v1/{path}", json=body, headers=headers
        )
        assert by_service.status_code == 401
    assert (await alice.get(booking))["status"] == "held"


async def test_whose_booking_it_is_the_token_says_and_nothing_else(still, alice, bob, flight):
    booking = await alice.book(flight)
    kept, _ = await look(still, booking)
    for header in ("x-user-id", "x-forwarded-user", "user-id"):
        seen = await bob.send("GET", "bookings", **{header: kept.user_id})
        assert seen["data"] == []
    refused = await bob.send("GET", f"bookings?user_id={kept.user_id}")
    assert (refused.status, refused["errors"][0]["field"]) == (422, "query.user_id")


async def test_an_unsigned_or_foreign_token_is_nobodys(still, alice, flight):
    foreign = Tokens(PASSWORD * 2, access_kind(600), still.clock).issue(
        "018f", role="admin", sid="s1"
    )
    expired = Tokens(JWT_SECRET, access_kind(-1), still.clock).issue("018f", role="admin", sid="s1")
    head, claims, signature = alice.token.split(".")
    for token in (
        foreign,
        expired,
        f"{head}.{claims}.",
        f"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{claims}.",
        f"{head}.{claims}.{signature[::-1]}",
        alice.token + "x" * 5_000,
    ):
        refused = await Traveller(still.bookings_http, token, "").book(flight)
        assert (refused.status, refused.code) == (401, "invalid_token")


# --- what the flight service says ------------------------------------------------------------


async def test_its_refusals_are_passed_on_with_their_code(still, alice, flight):
    for refused, status, code in (
        (await alice.book("UA1-2026-12-01-EWR"), 404, "flight_not_found"),
        (await alice.book(flight, cabin="first"), 422, "unknown_cabin"),
        (await alice.book(flight, seats=["99K"]), 422, "unknown_seat"),
    ):
        assert (refused.status, refused.code) == (status, code)
        assert refused["detail"]
    assert (await alice.send("GET", "bookings"))["data"] == []


async def test_a_refusal_we_never_heard_of_is_passed_on_too(still, alice, world, flight):
    world.on("PUT hold", http(409, {"code": "strike", "detail": "The crew is on strike."}))
    refused = await alice.book(flight)
    assert (refused.status, refused.code, refused["detail"]) == (
        409,
        "strike",
        "The crew is on strike.",
    )
