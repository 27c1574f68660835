"""Seats chosen, passengers typed, seats held: without JavaScript."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest
from web_stage import Reader

from skyhold.kernel.client import Unknown

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def the_form(reader, *flights, party=1, cabin="economy"):
    """The booking page of these flights, as somebody signed in comes to it from a search."""
    if reader.token is None:
        await reader.registers()
    query = "".join(f"flight={flight}&" for flight in flights)
    page = await reader.open(f"/book?{query}cabin={cabin}&passengers={party}")
    assert page.status == 200, page.text
    return page.form("/book")


async def holds(reader, form, *names, **typed):
    """Type these given names, and press the button."""
    names = names or ("Ada",)
    return await reader.send(
        form, given_name=list(names), family_name=["Lovelace"] * len(names), **typed
    )


async def bookings_of(reader):
    reply = await reader.http.get(
        "/api/v1/bookings", headers={"authorization": f"Bearer {reader.token}"}
    )
    return reply.json()["data"]


def seat(page, number):
    """How a seat is drawn."""
    return re.search(rf'<g class="seat (\w+)" data-seat="{number}"', page.html)[1]


def chosen(page):
    """The seats in the lists."""
    return [value for name, value in page.form("/book").fields if name == "seat"]


# --- a booking -------------------------------------------------------------------------------


async def test_a_seat_for_each_and_the_booking_is_held(system, reader, flight):
    form = await the_form(reader, flight, party=2)
    page = await holds(reader, form, "Ada", "Charles", seat=["12A", "12C"])
    assert "/bookings/" in page.url
    assert "notice=held" in page.url
    (booking,) = await bookings_of(reader)
    assert booking["segments"][0]["seats"] == ["12A", "12C"]
    assert [who["given_name"] for who in booking["passengers"]] == ["Ada", "Charles"]
    assert booking["total"] == {"amount": "258.00", "currency": "USD"}


async def test_whoever_does_not_choose_is_given_seats(system, reader, flight):
    page = await holds(reader, await the_form(reader, flight, party=3), "Ada", "Charles", "Grace")
    assert "notice=held" in page.url
    (booking,) = await bookings_of(reader)
    assert len(booking["segments"][0]["seats"]) == 3


async def test_a_journey_has_a_map_for_each_flight(system, reader):
    flights = [await system.a_flight(departs_in_h=hours) for hours in (200, 300)]
    form = await the_form(reader, *flights)
    assert [name for name, _ in form.fields].count("seat") == 2
    page = await holds(reader, form, seat=["3A", "4D"])
    assert "notice=held" in page.url
    (booking,) = await bookings_of(reader)
    assert [segment["seats"] for segment in booking["segments"]] == [["3A"], ["4D"]]


async def test_the_page_says_what_flies_what_is_free_and_what_it_costs(system, reader):
    flight = await system.a_flight(aircraft="738", economy="129.00", first="500.00")
    other = await system.traveller("Bob")
    await other.book(flight, seats=["12A"])
    await reader.registers()
    page = await reader.open(f"/book?flight={flight}&cabin=economy&passengers=2")
    assert {"258.00 USD", "JFK", "LAX"} <= set(page.text.split()) | {"258.00 USD"}
    assert "258.00 USD" in page.text
    assert (seat(page, "12A"), seat(page, "12B")) == ("taken", "available")
    assert 'aria-label="12A, window, taken"' in page.html
    assert 'aria-label="15B, middle, exit row, 129.00 USD, free"' in page.html
    assert '<option value="12A"' not in page.html
    assert 'data-seat="1A"' not in page.html  # first class is drawn, and cannot be chosen here
    assert page.html.count('tabindex="0"') == 1


async def test_whoever_is_not_signed_in_does_that_first_and_comes_back(system, reader, flight):
    page = await reader.open(f"/book?flight={flight}&cabin=economy&passengers=1")
    assert "/sign-in?next=" in page.url
    page = await reader.registers(back=f"/book?flight={flight}&cabin=economy&passengers=1")
    assert page.form("/book")


async def test_addresses_that_make_no_sense_lead_nowhere(system, reader, flight):
    await reader.registers()
    for query in ("", f"flight={flight}&passengers=10", f"flight={flight}&passengers=x"):
        assert (await reader.open(f"/book?{query}")).url == "http://skyhold.test/"
    page = await reader.open(f"/book?flight={flight}&cabin=first")
    assert (page.status, "not sold here" in page.text) == (404, True)
    assert (await reader.open("/book?flight=B61-2026-12-01-JFK")).status == 404
    assert (await reader.open("/book?flight=..%2Fairports")).status in {404, 422}


# --- once ------------------------------------------------------------------------------------


async def test_pressed_twice_at_once_it_is_one_booking(system, reader, flight):
    form = await the_form(reader, flight)
    pages = await asyncio.gather(*(holds(reader, form, seat=["9A"]) for _ in range(3)))
    assert len({page.url for page in pages}) == 1
    assert len(await bookings_of(reader)) == 1


async def test_the_form_is_the_same_after_a_reload_and_makes_the_same_booking(
    system, reader, flight
):
    await reader.registers()
    page = await reader.open(f"/book?flight={flight}")
    again = await reader.open(page.url)
    assert again.form("/book").action == page.form("/book").action
    first = await holds(reader, page.form("/book"))
    second = await holds(reader, again.form("/book"))
    assert first.url == second.url
    assert len(await bookings_of(reader)) == 1


async def test_a_form_that_has_booked_and_is_changed_books_only_when_asked_again(
    system, reader, flight
):
    form = await the_form(reader, flight)
    await holds(reader, form, "Ada", seat=["7A"])
    page = await holds(reader, form, "Grace", seat=["7C"])  # after the back button
    assert (page.status, "was sent before" in page.text) == (422, True)
    assert "You hold seats on" in page.text
    assert 'value="Grace"' in page.html
    assert chosen(page) == ["7C"]
    assert len(await bookings_of(reader)) == 1
    page = await holds(reader, page.form("/book"), "Grace", seat=["7C"])
    assert "notice=held" in page.url
    assert len(await bookings_of(reader)) == 2


async def test_back_to_the_page_after_booking_it_says_what_is_held(system, reader, flight):
    form = await the_form(reader, flight)
    await holds(reader, form, seat=["20A"])
    (booking,) = await bookings_of(reader)
    page = await reader.open(form.action)
    assert "You hold seats on" in page.text
    assert booking["record_locator"] in page.text


async def test_a_form_whose_booking_is_over_says_so_and_books_when_asked_again(
    system, reader, flight
):
    form = await the_form(reader, flight)
    page = await holds(reader, form)
    (booking,) = await bookings_of(reader)
    await reader.send((await reader.open(f"/bookings/{booking['id']}/cancel")).form("/cancel"))
    page = await holds(reader, form)
    assert (page.status, "it is cancelled" in page.text) == (409, True)
    page = await holds(reader, page.form("/book"))
    assert "notice=held" in page.url


async def test_without_a_clear_answer_the_same_form_makes_the_booking_once(start_system):
    lost = []

    class Lossy:
        def __init__(self, way):
            self.way = way

        async def send(self, method, path, headers, body):
            reply = await self.way.send(method, path, headers, body)
            if lost and "holds" in path:
                raise Unknown("the answer was lost")
            return reply

        async def close(self):
            await self.way.close()

    async with start_system(transport=Lossy, pages=True) as system:
        reader, flight = Reader(system), await system.a_flight()
        form = await the_form(reader, flight)
        lost.append(True)
        page = await holds(reader, form, seat=["5A"])
        assert (page.status, "no clear answer" in page.text) == (503, True)
        assert chosen(page) == ["5A"]
        assert "data-live" not in page.html
        lost.clear()
        page = await holds(reader, page.form("/book"), seat=["5A"])
        assert "notice=held" in page.url
        assert len(await bookings_of(reader)) == 1


# --- what stands in the way ------------------------------------------------------------------


async def test_a_seat_that_somebody_else_took_is_named_and_all_else_is_kept(system, reader, flight):
    form = await the_form(reader, flight, party=2)
    await (await system.traveller("Bob")).book(flight, seats=["14A"])
    page = await holds(reader, form, "Ada", "Charles", seat=["14A", "14C"])
    assert page.status == 409
    assert "Seat 14A was taken by somebody else just now." in page.text
    assert chosen(page) == ["", "14C"]
    assert (seat(page, "14A"), seat(page, "14C")) == ("taken", "chosen")
    assert 'value="Charles"' in page.html
    page = await holds(reader, page.form("/book"), "Ada", "Charles", seat=["15A", "14C"])
    assert "notice=held" in page.url


async def test_a_price_that_changed_is_said_with_the_old_one(system, reader, flight):
    form = await the_form(reader, flight)
    fares = {"fares": {"economy": {"amount": "139.00", "currency": "USD"}}}
    await system.flights_http.patch(f"/api/v1/flights/{flight}", json=fares, headers=system.staff())
    page = await holds(reader, form)
    assert page.status == 409
    assert "it was 129.00 USD, and now it is 139.00 USD" in page.text
    assert await bookings_of(reader) == []
    assert "notice=held" in (await holds(reader, page.form("/book"))).url


async def test_what_is_missing_or_wrong_is_said_at_its_field(system, reader, flight):
    form = await the_form(reader, flight, party=2)
    page = await holds(reader, form, "Ada", "", seat=["16A", ""], born_on=["2999-01-01", ""])
    assert page.status == 422
    assert 'id="given-name-2-problem"' in page.html
    assert 'id="seat-0-2-problem"' in page.html
    assert chosen(page) == ["16A", ""]
    page = await holds(reader, form, "Ada", "Charles", born_on=["2999-01-01", ""], seat=["", ""])
    assert page.status == 422
    assert 'id="born-on-1-problem"' in page.html
    assert 'value="2999-01-01"' in page.html
    page = await holds(reader, form, "Ada", "Charles", seat=["16A", "16A"])
    assert (page.status, "named twice" in page.text) == (422, True)
    page = await holds(reader, form, "Ada", "Charles", seat=["99A", "98A"])
    assert (page.status, "There is no seat 99A" in page.text) == (422, True)


async def test_names_are_shown_as_text(system, reader, flight):
    form = await the_form(reader, flight)
    page = await holds(reader, form, '"><script>alert(1)</script>', type="baby")
    assert page.status == 422
    assert "<script>alert" not in page.html
    assert "<script>alert" in unescape(page.html)
