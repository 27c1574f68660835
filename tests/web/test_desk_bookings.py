"""At the desk: a booking is looked up, its whole story is on one page, and it can be cancelled."""

from __future__ import annotations

import itertools
import re

import pytest
import pytest_asyncio
from desk_stage import a_booking, at_the_desk
from web_stage import Reader

from support.system import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = "018f0000-0000-7000-8000-000000000000"
_names = map("".join, itertools.product("abcdef", repeat=4))


@pytest_asyncio.fixture(loop_scope="module")
async def desk(system):
    return await at_the_desk(system)


@pytest_asyncio.fixture(loop_scope="module")
async def ada(system):
    return await system.traveller("Ada")


@pytest.fixture
def name():
    """A surname that nobody else has."""
    return f"Lovelace-{next(_names)}"


async def story(desk, booking):
    return await desk.open(f"/desk/bookings/{booking['id']}")


# --- looking up ----------------------------------------------------------------------------------


async def test_a_record_locator_leads_to_the_booking_at_once(desk, ada, flight):
    booking = await a_booking(ada, flight)
    form = (await desk.open("/desk")).form("/desk/bookings")
    page = await desk.send(form, record_locator=booking["record_locator"].lower())
    assert page.url.endswith(f"/desk/bookings/{booking['id']}")
    assert booking["record_locator"] in page.text


async def test_a_surname_lists_what_was_booked_for_it(desk, ada, flight, name):
    made = [await a_booking(ada, flight, name, "Byron", seats=None) for _ in range(2)]
    await ada.pay(made[1])
    form = (await desk.open("/desk")).form("/desk/bookings")
    page = await desk.send(form, family_name=name)
    assert page.status == 200
    for booking in made:
        assert booking["record_locator"] in page.text
        assert booking["segments"][0]["seats"][0] in page.text
    assert f"Ada {name}, Ada Byron" in page.text
    assert "258.00 USD Captured" in page.text
    assert page.text.index(made[1]["record_locator"]) < page.text.index(made[0]["record_locator"])


async def test_a_list_can_be_of_one_state_and_goes_on(desk, ada, flight, name):
    made = [await a_booking(ada, flight, name) for _ in range(21)]
    await ada.pay(made[0])
    page = await desk.open(f"/desk/bookings?family_name={name}")
    assert made[0]["record_locator"] not in page.text
    later = await desk.open(page.link("after="))
    assert made[0]["record_locator"] in later.text
    assert made[20]["record_locator"] not in later.text
    paid = await desk.open(page.link("status=confirmed"))
    assert made[0]["record_locator"] in paid.text
    assert made[1]["record_locator"] not in paid.text


async def test_what_is_not_there_is_said(desk):
    page = await desk.open("/desk/bookings?family_name=Nobody")
    assert (page.status, "Nothing was found" in page.text) == (200, True)
    page = await desk.open("/desk/bookings?record_locator=AAAAAA")
    assert "Nothing was found" in page.text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("record_locator=AAA", "must be 6 letters and digits"),
        ("flight_id=nowhere", "must be the id of a flight"),
        ("record_locator=AAAAAA&family_name=Curie", "one of the fields"),
    ],
)
async def test_what_is_wrong_with_a_question_is_said_and_what_was_typed_is_kept(desk, query, says):
    page = await desk.open(f"/desk/bookings?{query}")
    assert page.status == 422
    assert says in page.text
    for typed in re.findall(r"=(\w+)", query):
        assert f'value="{typed}"' in page.html


async def test_names_are_shown_as_text_whatever_is_in_them(desk, ada, flight):
    booking = await a_booking(ada, flight, "<b>Bold</b>")
    for address in (f"/desk/bookings/{booking['id']}", "/desk/bookings?family_name=<b>Bold</b>"):
        page = await desk.open(address)
        assert "<b>Bold" not in page.html
        assert "Ada <b>Bold</b>" in page.text


# --- the story -----------------------------------------------------------------------------------


async def test_the_whole_story_is_on_one_page(desk, ada, flight):
    booking = await a_booking(ada, flight, "Lovelace", seats=["7C"])
    await ada.pay(booking, "tok_declined")
    await ada.pay(booking)
    page = await story(desk, booking)
    for fact in (
        "Ada Lovelace 7C",
        "129.00 USD",
        booking["id"],
        flight,
        "Voided",
        "Failed Declined",
        "Captured",
        "Hold in the flight service Confirmed",
        f"{flight}: 7C",
        "booking.confirmed",
    ):
        assert fact in page.text, fact
    happened = ["Held by customer", "Payment started by customer", "Payment declined by skyhold"]
    happened += ["Payment started by customer", "Confirmed by skyhold", "Viewed by staff"]
    at = -1
    for what in happened:
        at = page.text.index(what, at + 1)
    assert "(held → paying)" in page.text
    assert f"account {await me(desk)}" in page.text


async def me(reader):
    reply = await reader.http.get("/api/v1/users/me")
    return reply.json()["id"]


async def test_a_refund_and_what_the_airline_changed_are_told(system, desk, ada):
    flight = await system.a_flight()
    booking = await a_booking(ada, flight)
    await ada.pay(booking)
    reply = await system.flights_http.patch(
        f"/api/v1/flights/{flight}", json={"status": "cancelled"}, headers=system.staff()
    )
    assert reply.status_code == 200

    async def refunded():
        page = await story(desk, booking)
        return page if "129.00 USD given back" in page.text else None

    page = await eventually(refunded, within_s=60)
    assert "The airline cancelled it" in page.text
    assert "Cancelled by airline" in page.text
    assert "Hold in the flight service Cancelled" in page.text
    assert not [link for link in page.links if link.endswith("/cancel")]


async def test_a_look_at_the_desk_is_in_the_travellers_timeline(desk, ada, flight):
    booking = await a_booking(ada, flight)
    await story(desk, booking)
    entries = (await ada.send("GET", f"bookings/{booking['id']}/timeline"))["data"]
    assert [(it["action"], it["by"]) for it in entries][-1] == ("viewed", "staff")


async def test_a_booking_that_is_not_there_is_a_page_of_404(desk):
    assert (await desk.open(f"/desk/bookings/{NOBODYS}")).status == 404


# --- cancelling ----------------------------------------------------------------------------------


async def test_cancelling_asks_says_what_goes_back_and_does_it(desk, ada, flight):
    booking = await a_booking(ada, flight)
    await ada.pay(booking)
    page = await story(desk, booking)
    page = await desk.open(page.link("/cancel"))
    assert "Goes back to the traveller 129.00 USD" in page.text
    assert (await ada.get(booking))["status"] == "confirmed", "nothing is done before one says so"
    page = await desk.send(page.form("/cancel"))
    assert page.url.endswith(f"/desk/bookings/{booking['id']}?notice=cancelled")
    assert "Cancelled by staff" in page.text
    assert (await ada.get(booking))["status"] == "cancelled"


async def test_what_can_not_be_cancelled_stays_and_it_is_said_why(system, desk, ada):
    booking = await a_booking(ada, await system.a_flight(departs_in_h=1))
    await ada.pay(booking)
    ask = await desk.open(f"/desk/bookings/{booking['id']}/cancel")
    system.advance(minutes=61)
    page = await desk.send(ask.form("/cancel"))
    assert page.status == 409
    assert 'role="alert"' in page.html
    assert (await ada.get(booking))["status"] == "confirmed"
    page = await desk.open(f"/desk/bookings/{booking['id']}/cancel")
    assert (page.status, "cannot be cancelled" in page.text) == (409, True)


# --- who may -------------------------------------------------------------------------------------


async def test_a_traveller_finds_no_desk_and_does_nothing_there(system, ada, flight):
    booking = await a_booking(ada, flight)
    reader = Reader(system)
    await reader.registers()
    for address in ("", f"/{booking['id']}", f"/{booking['id']}/cancel", "?family_name=Lovelace"):
        page = await reader.open(f"/desk/bookings{address}")
        assert page.status == 404
        assert booking["record_locator"] not in page.html
    reply = await reader.http.post(
        f"/desk/bookings/{booking['id']}/cancel",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert reply.status_code == 404
    assert (await ada.get(booking))["status"] == "held"
    entries = (await ada.send("GET", f"bookings/{booking['id']}/timeline"))["data"]
    assert [it["action"] for it in entries] == ["held"]
