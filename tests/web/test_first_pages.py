"""Search, accounts, a booking's page, paying and cancelling: without JavaScript."""

from __future__ import annotations

import re

import pytest

from support.system import PASSWORD, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def a_booking(system, reader, flight, *, party=1):
    """Somebody signed in, and a booking of theirs by the API."""
    await reader.registers()
    body = {
        "segments": [{"flight_id": flight}],
        "passengers": [{"given_name": "Ada", "family_name": "Lovelace"}] * party,
    }
    reply = await system.bookings_http.post(
        "/api/v1/bookings", json=body, headers={"authorization": f"Bearer {reader.token}"}
    )
    assert reply.status_code == 201, reply.text
    return reply.json()


# --- search ----------------------------------------------------------------------------------


async def test_a_search_by_city_shows_what_flies_in_local_times(system, reader, flight):
    facts = await system.flight(flight)
    form = (await reader.open("/")).form("/flights")
    page = await reader.send(
        form, origin="jfk", destination="Los Angeles (LAX)", date=facts["departing_at"][:10]
    )
    assert page.status == 200
    assert facts["flight_number"] in page.text
    assert facts["departing_at"][11:16] in page.text
    assert "129.00 USD" in page.text
    assert f"/book?flight={flight}&cabin=economy&passengers=1" in page.link(f"flight={flight}")


async def test_a_search_can_be_changed_from_its_results(reader):
    page = await reader.open("/flights?origin=JFK&destination=LAX&date=2027-01-01&passengers=3")
    page = await reader.open(page.link("/?origin"))
    form = dict(page.form("/flights").fields)
    assert form | {"origin": "JFK", "date": "2027-01-01", "passengers": "3"} == form


async def test_a_city_with_several_airports_asks_which(reader):
    page = await reader.open("/flights?origin=New York&destination=LAX&date=2027-01-01")
    assert page.status == 422
    assert "Several airports match" in page.text
    assert 'value="JFK"' in page.html


async def test_what_is_wrong_with_a_search_is_said_at_its_fields(
    reader,
):
    page = await reader.open("/flights?origin=Nowhere&destination=LAX&date=2027-01-01")
    assert (page.status, "no such airport" in page.text) == (422, True)
    page = await reader.open("/flights?origin=JFK&destination=LAX&date=&passengers=400")
    assert page.status == 422
    assert page.html.count('class="problem"') == 2
    assert 'value="JFK"' in page.html


# --- accounts --------------------------------------------------------------------------------


async def test_whoever_registers_is_signed_in_and_where_they_wanted_to_be(reader):
    page = await reader.registers(back="/bookings")
    assert page.url.endswith("/bookings?notice=registered")
    assert "Sign out" in page.text


async def test_a_weak_password_and_a_taken_address_are_said_at_their_fields(system, reader):
    form = (await reader.open("/register")).form("/register")
    page = await reader.send(form, name="Ada", email="nobody", password="password")
    assert page.status == 422
    assert "most common passwords" in page.text
    assert 'value="nobody"' in page.html
    assert "password123" not in page.html
    await reader.registers()
    other = type(reader)(system)
    form = (await other.open("/register")).form("/register")
    page = await other.send(form, name="Ada", email=reader.email, password=PASSWORD)
    assert (page.status, 'id="email-problem"' in page.html) == (409, True)


async def test_a_wrong_password_is_said_and_a_right_one_leads_on(system, reader):
    await reader.registers()
    other = type(reader)(system)
    page = await other.open("/bookings")
    assert "/sign-in?next=%2Fbookings" in page.url
    page = await other.send(page.form("/sign-in"), email=reader.email, password="wrong, alas")
    assert page.status == 401
    page = await other.send(page.form("/sign-in"), email=reader.email, password=PASSWORD)
    assert page.url.endswith("/bookings")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"]
)
async def test_nobody_is_led_to_another_site(reader, elsewhere):
    page = await reader.registers(back=elsewhere)
    assert page.url == "http://skyhold.test/?notice=registered"


async def test_signing_out_ends_the_session_everywhere(system, reader):
    await reader.registers()
    token = reader.token
    page = await reader.send((await reader.open("/")).form("/sign-out"))
    assert "Sign in" in page.text
    assert reader.token is None
    reply = await system.bookings_http.get(
        "/api/v1/users/me", headers={"authorization": f"Bearer {token}"}
    )
    assert reply.status_code == 401


async def test_a_session_goes_on_when_its_token_has_run_out(reader):
    await reader.registers()
    reader.http.cookies.delete("skyhold_access")
    assert "Sign out" in (await reader.open("/")).text
    assert reader.token is not None


async def test_a_form_of_another_site_does_nothing(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    reader.http.headers["sec-fetch-site"] = "cross-site"
    form = (await reader.open(f"/bookings/{booking['id']}/cancel")).form("/cancel")
    page = await reader.send(form)
    assert page.status == 403
    del reader.http.headers["sec-fetch-site"]
    page = await reader.open(f"/bookings/{booking['id']}")
    assert "held" in page.text


# --- a booking -------------------------------------------------------------------------------


async def test_a_held_booking_is_paid_on_its_page(system, reader, flight):
    booking = await a_booking(system, reader, flight, party=2)
    page = await reader.open(f"/bookings/{booking['id']}")
    assert booking["record_locator"] in page.text
    assert "258.00 USD" in page.text
    assert re.search(r"1[45] min \d\d s left", page.text)
    page = await reader.send(page.form("/pay"))
    assert page.url.endswith("?notice=paid")
    assert "Ready to fly" in page.text
    assert "Payment started by you" in page.text


async def test_a_declined_card_is_said_and_another_one_pays(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    page = await reader.open(f"/bookings/{booking['id']}")
    page = await reader.send(page.form("/pay"), token="tok_declined")
    assert page.status == 402
    assert "trouble" in page.html
    page = await reader.send(page.form("/pay"), token="tok_visa")
    assert "Ready to fly" in page.text


async def test_a_payer_who_has_to_approve_is_sent_there_first(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    page = await reader.open(f"/bookings/{booking['id']}")
    page = await reader.send(page.form("/pay"), token="tok_3ds")
    assert "has to be approved" in page.text
    assert "data-look-again" in page.html
    approve = page.link("/sandbox/").partition("/sandbox/")
    await reader.http.post(f"/sandbox/{approve[2]}/approve")

    async def confirmed():
        return "Ready to fly" in (await reader.open(f"/bookings/{booking['id']}")).text

    await eventually(confirmed, within_s=30)


async def test_an_expired_booking_says_so_and_takes_no_money(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    page = await reader.open(f"/bookings/{booking['id']}")
    system.advance(minutes=15, seconds=1)
    page = await reader.send(page.form("/pay"))
    assert page.status == 409

    async def expired():
        return "has run out" in (await reader.open(f"/bookings/{booking['id']}")).text

    await eventually(expired)


async def test_cancelling_asks_says_what_is_given_back_and_does_it(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    page = await reader.open(f"/bookings/{booking['id']}")
    await reader.send(page.form("/pay"))
    page = await reader.open(f"/bookings/{booking['id']}")
    page = await reader.open(page.link("/cancel"))
    assert "You get back 129.00 USD" in page.text
    page = await reader.send(page.form("/cancel"))
    assert "The booking is cancelled" in page.text
    assert "Your money back" in page.text
    assert "/cancel" not in "".join(page.links)


async def test_what_belongs_to_somebody_else_is_not_there(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    other = type(reader)(system)
    await other.registers()
    for address in ("", "/cancel"):
        page = await other.open(f"/bookings/{booking['id']}{address}")
        assert page.status == 404
        assert booking["record_locator"] not in page.html


async def test_my_bookings_lists_them_by_state(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    page = await reader.open("/bookings")
    assert booking["record_locator"] in page.text
    assert booking["record_locator"] not in (await reader.open("/bookings?status=confirmed")).text


# --- all pages -------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/bookings/x/y/z", "/flights/none/at-all", "/static/none.css"])
async def test_what_is_not_there_is_a_page_of_404(reader, address):
    assert (await reader.open(address)).status == 404


async def test_whoever_is_nowhere_is_still_signed_in(reader):
    await reader.registers()
    page = await reader.open("/bookings/x/y/z")
    assert (page.status, "Sign out" in page.text) == (404, True)
    assert page.html == (await reader.open("/desk")).html


async def test_a_page_runs_nothing_but_our_own_files(reader):
    page = await reader.open("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page.html)


async def test_files_are_kept_for_good_at_an_address_of_their_version(reader):
    page = await reader.open("/")
    address = re.search(r'href="(/static/skyhold.css[^"]+)"', page.html)[1]
    reply = await reader.http.get(address)
    assert "immutable" in reply.headers["cache-control"]
    again = await reader.http.get(
        "/static/skyhold.css", headers={"if-none-match": reply.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_json_is_not_taken_for_a_form(reader):
    reply = await reader.http.post("/sign-in", json={"email": "a@example.com"})
    assert reply.status_code == 415
