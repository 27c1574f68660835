"""Flights at the desk: found, seen how full they are, cancelled and retimed with all who are on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from desk_stage import a_booking, at_the_desk

from skyhold.web.pages import desk_affected
from support.system import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def desk(system):
    return await at_the_desk(system)


@pytest_asyncio.fixture(loop_scope="module")
async def ada(system):
    return await system.traveller("Ada")


def later(instant, **much):
    """A local time as a form has it."""
    return (datetime.fromisoformat(instant) + timedelta(**much)).isoformat()[:16]


# --- finding -------------------------------------------------------------------------------------


async def test_a_flight_is_found_by_its_id(desk, flight):
    form = (await desk.open("/desk/flights")).form("/desk/flights")
    page = await desk.send(form, flight_id=flight.lower())
    assert page.url.endswith(f"/desk/flights/{flight}")
    assert "scheduled" in page.text


async def test_flights_of_a_route_and_day_show_how_full_they_are(system, desk, ada):
    flight = await system.a_flight()
    for _ in range(3):
        await a_booking(ada, flight, "Curie", "Curie", "Curie")
    day = (await system.flight(flight))["departing_at"][:10]
    form = (await desk.open("/desk/flights")).form("/desk/flights")
    page = await desk.send(form, origin="jfk", destination="lax", date=day)
    assert page.status == 200
    assert f'aria-label="Seats taken on {flight}. Economy: 9 of 100, 9 %."' in page.html


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("flight_id=B61-2090-01-01-JFK", "flight"),
        ("flight_id=nonsense", "must be the id of a flight"),
        ("flight_id=../../bookings", "must be the id of a flight"),
        ("origin=QQQ&destination=LAX&date=2090-01-01", "QQQ"),
        ("origin=JFK&destination=LAX", "date"),
    ],
)
async def test_what_is_not_there_or_makes_no_sense_is_said_at_the_form(desk, query, says):
    page = await desk.open(f"/desk/flights?{query}")
    assert page.status == 422
    assert 'role="alert"' in page.html
    assert says in page.text
    assert page.form("/desk/flights")


async def test_a_flights_page_tells_load_and_leads_to_its_bookings_and_seats(system, desk, ada):
    flight = await system.a_flight(aircraft="E90", economy="129.00")
    booking = await a_booking(ada, flight)
    page = await desk.open(f"/desk/flights/{flight}")
    assert "99 of 100" in page.text
    assert "1 %" in page.text
    assert f"/book?flight={flight}&cabin=economy" in page.link("/book?")
    page = await desk.open(page.link("/desk/bookings?flight_id"))
    assert booking["record_locator"] in page.text


# --- changing ------------------------------------------------------------------------------------


async def test_cancelling_a_flight_says_who_is_affected_and_cancels_them(system, desk, ada):
    flight = await system.a_flight()
    held, paid, gone = [await a_booking(ada, flight, "Curie", "Meitner") for _ in range(3)]
    await ada.pay(paid)
    await ada.cancel(gone)
    page = await desk.open(f"/desk/flights/{flight}")
    page = await desk.open(page.link("/cancel"))
    assert (
        "2 bookings with 4 passengers are affected: 1 confirmed, 0 being paid, 1 held" in page.text
    )
    assert held["record_locator"] in page.text
    assert paid["record_locator"] in page.text
    assert gone["record_locator"] not in page.text
    assert (await system.flight(flight))["status"] == "scheduled", "nothing is done yet"
    page = await desk.send(page.form("/cancel"))
    assert "The flight is cancelled" in page.text
    assert (await system.flight(flight))["status"] == "cancelled"
    assert not [link for link in page.links if link.endswith("/cancel")]

    async def cancelled():
        return (await ada.get(paid))["status"] == "cancelled"

    await eventually(cancelled, within_s=60)


async def test_retiming_a_flight_shows_old_and_new_times_and_who_is_affected(system, desk, ada):
    flight = await system.a_flight()
    booking = await a_booking(ada, flight)
    await ada.pay(booking)
    facts = await system.flight(flight)
    times = {
        name: later(facts[name], hours=2, minutes=7) for name in ("departing_at", "arriving_at")
    }
    form = (await desk.open(f"/desk/flights/{flight}")).form("/retime")
    assert dict(form.fields)["departing_at"] == facts["departing_at"][:16]
    page = await desk.send(form, **times)
    assert "1 booking with 1 passenger is affected: 1 confirmed" in page.text
    for instant in (facts["departing_at"], times["departing_at"], times["arriving_at"]):
        assert instant[11:16] in page.text
    assert (await system.flight(flight))["departing_at"] == facts["departing_at"]
    page = await desk.send(page.form("/retime"))
    assert "The flight has new times" in page.text
    now = await system.flight(flight)
    assert {name: now[name][:16] for name in times} == times

    async def told():
        return (await ada.get(booking))["changes"]

    await eventually(told, within_s=60)
    page = await desk.open(f"/desk/bookings/{booking['id']}")
    assert "It was to leave on" in page.text


async def test_times_that_can_not_be_are_refused_and_kept_in_the_form(system, desk):
    flight = await system.a_flight()
    facts = await system.flight(flight)
    times = {"departing_at": later(facts["arriving_at"], hours=9)}
    times["arriving_at"] = facts["arriving_at"][:16]
    page = await desk.open(f"/desk/flights/{flight}")
    page = await desk.send(page.form("/retime"), **times)
    assert "0 bookings with 0 passengers are affected." in page.text
    page = await desk.send(page.form("/retime"))
    assert page.status == 422
    assert 'role="alert"' in page.html
    assert f'value="{times["departing_at"]}"' in page.html
    assert (await system.flight(flight))["departing_at"] == facts["departing_at"]


@pytest.mark.parametrize("text", ["", "soon", "2026-12-01", "12:00"])
async def test_what_is_no_time_is_asked_for_again(desk, flight, text):
    page = await desk.open(
        f"/desk/flights/{flight}/retime?departing_at={text}&arriving_at=2026-12-01T05:15"
    )
    assert page.status == 422
    assert "Please say when" in page.text


async def test_a_flight_that_is_cancelled_already_stays_so(system, desk):
    flight = await system.a_flight()
    ask = await desk.open(f"/desk/flights/{flight}/cancel")
    await desk.send(ask.form("/cancel"))
    page = await desk.send(ask.form("/cancel"))
    assert page.status == 200
    assert (await system.flight(flight))["status"] == "cancelled"


async def test_more_bookings_than_are_listed_are_not_hidden(system, desk, ada, monkeypatch):
    monkeypatch.setattr(desk_affected, "PAGE", 1)
    monkeypatch.setattr(desk_affected, "PAGES_MAX", 2)
    flight = await system.a_flight()
    for _ in range(3):
        await a_booking(ada, flight)
    page = await desk.open(f"/desk/flights/{flight}/cancel")
    assert "At least 2 bookings" in page.text


async def test_a_flight_that_is_not_there_is_a_page_of_404(desk):
    for address in ("", "/cancel"):
        page = await desk.open(f"/desk/flights/B61-2090-01-01-JFK{address}")
        assert page.status == 404
