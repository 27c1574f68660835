"""My account: another password, all that is known of me, and its end."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import pytest_asyncio
from booking_stage import look, written
from sqlalchemy import select

from skyhold.booking.models.tables import Base
from support.browser import a_browser, ask, logged_in, registered
from support.system import PASSWORD
from support.traveller import Traveller

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module")
async def browser(still):
    async with a_browser(still) as client:
        yield client


class Person:
    """Someone who is logged in."""

    def __init__(self, system, browser, email, tokens):
        self.system, self.browser, self.email = system, browser, email
        self.token = tokens["access_token"]
        self.traveller = Traveller(system.bookings_http, self.token, email)

    async def asks(self, method, path, body=None):
        self.browser.cookies.clear()
        return await ask(self.browser, method, f"users/{path}", body, token=self.token)

    async def logs_in(self, password=PASSWORD):
        reply = await logged_in(self.browser, self.email, password)
        self.browser.cookies.clear()
        return reply


@pytest.fixture
def someone(still, browser):
    async def make(name="person"):
        email = f"{name}-{next(_numbers)}@example.com"
        await registered(browser, email)
        return Person(still, browser, email, await logged_in(browser, email))

    return make


# --- the password ----------------------------------------------------------------------------

NEW = "another horse battery"


async def test_another_password_logs_in_and_the_old_one_does_not(someone):
    ada = await someone()
    other = await ada.logs_in()
    change = {"current_password": PASSWORD, "new_password": NEW}
    assert (await ada.asks("PUT", "me/password", change)).status == 204
    assert (await ada.logs_in()).code == "login_failed"
    assert (await ada.logs_in(NEW)).status == 200
    # This session goes on, and every other one is over.
    assert (await ada.asks("GET", "me")).status == 200
    refresh = {"refresh_token": other["refresh_token"]}
    assert (await ask(ada.browser, "POST", "users/refresh", refresh)).status == 401


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [
        ("wrong", NEW, 403, "wrong_password"),
        ("", NEW, 403, "wrong_password"),
        (PASSWORD, "password1", 422, "invalid"),
        (PASSWORD, "short", 422, "invalid"),
        (PASSWORD, None, 422, "invalid"),
    ],
)
async def test_a_password_is_changed_by_its_owner_to_a_good_one(
    someone, current, new, status, code
):
    ada = await someone()
    other = await ada.logs_in()
    refused = await ada.asks(
        "PUT", "me/password", {"current_password": current, "new_password": new}
    )
    assert (refused.status, refused.code) == (status, code)
    assert (await ada.logs_in()).status == 200
    assert (await ask(ada.browser, "GET", "users/me", token=other["access_token"])).status == 200


async def test_of_two_changes_at_once_one_is_made(someone):
    ada = await someone()
    wishes = [f"horse number {number}" for number in range(4)]
    replies = await asyncio.gather(
        *(
            ada.asks("PUT", "me/password", {"current_password": PASSWORD, "new_password": wish})
            for wish in wishes
        )
    )
    assert sorted(reply.status for reply in replies) == [204, 403, 403, 403]
    made = wishes[[reply.status for reply in replies].index(204)]
    assert (await ada.logs_in(made)).status == 200


# --- all that is known of me -----------------------------------------------------------------


async def test_i_can_have_all_that_is_known_of_me(someone, flight):
    ada = await someone()
    held = await ada.traveller.book(flight)
    paid = await ada.traveller.book(flight)
    await ada.traveller.pay(paid, token="tok_declined")
    await ada.traveller.pay(paid)
    export = await ada.asks("GET", "me/export")
    assert export.status == 200
    assert export.headers["content-disposition"].startswith("attachment;")
    assert export["account"]["email"] == ada.email
    assert [one["current"] for one in export["sessions"]] == [True]
    kept = {booking["id"]: booking for booking in export["bookings"]}
    assert kept.keys() == {held["id"], paid["id"]}
    assert kept[paid["id"]]["passengers"] == paid["passengers"]
    assert [it["failure"] for it in kept[paid["id"]]["payments"]] == ["declined", None]
    done = [entry["action"] for entry in kept[paid["id"]]["timeline"]]
    assert done == ["held", "payment_started", "payment_declined", "payment_started", "confirmed"]
    assert "$2b$" not in repr(export.body)


async def test_more_bookings_than_a_page_are_all_in_it(someone, flight, monkeypatch):
    monkeypatch.setattr("skyhold.booking.services.accounts.PAGE_MAX", 2)
    ada = await someone()
    booked = [(await ada.traveller.book(flight))["id"] for _ in range(5)]
    export = await ada.asks("GET", "me/export")
    assert [booking["id"] for booking in export["bookings"]] == booked[::-1]


# --- its end ---------------------------------------------------------------------------------


async def everything(system):
    """Every cell of the booking database."""
    async with system.bookings.db.read() as tx:
        tables = Base.metadata.sorted_tables
        return "".join([repr(await tx.rows(select(table))) for table in tables])


async def test_a_deleted_account_leaves_no_name_behind_and_the_books_add_up(still, someone, flight):
    ada = await someone("erasable")
    who = [{"given_name": "Erasable", "family_name": "Unusualname", "born_on": "1979-03-05"}]
    booking = await ada.traveller.book(flight, passengers=who, key="erasable-key")
    await ada.traveller.pay(booking, key="erasable-pay")
    await ada.traveller.cancel(booking)
    found, payment = await look(still, booking)
    before, content = await written(still), await everything(still)
    personal = [
        "erasable",
        "Erasable",
        "Unusualname",
        "date(1979, 3, 5)",
        "erasable-key",
        "erasable-pay",
    ]
    assert [it for it in personal if it not in content] == []
    assert (await ada.asks("POST", "me/deletion", {"password": PASSWORD})).status == 204
    content = await everything(still)
    assert [it for it in [*personal, ada.email, found.request_digest] if it in content] == []
    assert await written(still) == before
    after, paid = await look(still, booking)
    assert (after.status, after.total, after.segments) == (
        found.status,
        found.total,
        found.segments,
    )
    assert (paid.status, paid.amount) == (payment.status, payment.amount)


async def test_a_deleted_account_is_nobodys_any_more(someone):
    ada = await someone()
    other = await ada.logs_in()
    assert (await ada.asks("POST", "me/deletion", {"password": PASSWORD})).status == 204
    for token in (ada.token, other["access_token"]):
        for path in ("users/me", "bookings", "users/me/sessions"):
            assert (await ask(ada.browser, "GET", path, token=token)).status == 401
    refresh = {"refresh_token": other["refresh_token"]}
    assert (await ask(ada.browser, "POST", "users/refresh", refresh)).status == 401
    assert (await ada.logs_in()).code == "login_failed"
    # The address is free again, and whoever takes it sees nothing of before.
    assert (await registered(ada.browser, ada.email)).status == 201
    tokens = await ada.logs_in()
    assert (await ask(ada.browser, "GET", "bookings", token=tokens["access_token"]))["data"] == []


async def test_only_with_its_password(still, someone):
    ada = await someone()
    before = await written(still)
    for password, status in (("wrong", 403), ("", 403), (None, 422)):
        refused = await ada.asks("POST", "me/deletion", {"password": password})
        assert refused.status == status
    assert (await ada.asks("GET", "me"))["email"] == ada.email
    assert await written(still) == before


async def test_not_while_a_booking_is_not_over(still, someone, flight):
    ada = await someone()
    booking = await ada.traveller.book(flight)
    for _ in ("held", "confirmed"):
        refused = await ada.asks("POST", "me/deletion", {"password": PASSWORD})
        assert (refused.status, refused.code) == (409, "account_in_use")
        assert (await ada.asks("GET", "me"))["email"] == ada.email
        assert (await ada.traveller.get(booking))["passengers"] == booking["passengers"]
        await ada.traveller.pay(booking)


async def test_but_once_it_was_flown(start):
    async with start() as system, a_browser(system) as browser:
        await registered(browser, "ada@example.com")
        ada = Person(
            system, browser, "ada@example.com", await logged_in(browser, "ada@example.com")
        )
        booking = await ada.traveller.book(await system.a_flight(departs_in_h=3, takes_h=6))
        await ada.traveller.pay(booking)
        system.advance(minutes=8 * 60)
        assert (await ada.asks("POST", "me/deletion", {"password": PASSWORD})).status == 409
        system.advance(minutes=2 * 60)
        assert (await ada.asks("POST", "me/deletion", {"password": PASSWORD})).status == 204


async def test_of_two_deletions_at_once_both_find_it_deleted(someone):
    ada = await someone()
    replies = await asyncio.gather(
        *(ada.asks("POST", "me/deletion", {"password": PASSWORD}) for _ in range(3))
    )
    assert {reply.status for reply in replies} <= {204, 401}
    assert 204 in {reply.status for reply in replies}
