"""What pages say and do when something is in the way, or somebody means ill."""

from __future__ import annotations

import re

import pytest
from structlog.testing import capture_logs
from test_first_pages import a_booking

from skyhold.kernel.client import PyreqwestTransport, Unknown
from skyhold.web.session import Session
from skyhold.web.visit import Visit
from support.system import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def away(system, monkeypatch):
    """Let some calls of the pages have no answer."""
    send = PyreqwestTransport.send

    def let(method, part):
        async def lost(self, verb, path, headers, body):
            if verb == method and part in path and "x-deadline-ms" not in headers:
                raise Unknown("lost")
            return await send(self, verb, path, headers, body)

        monkeypatch.setattr(PyreqwestTransport, "send", lost)

    return let


async def test_what_the_api_refuses_is_a_page_and_no_fault(reader):
    await reader.registers()
    with capture_logs() as lines:
        assert (await reader.open("/bookings/x")).status == 422
        assert (await reader.open("/flights/none/live")).status in (404, 422)
        assert (await reader.open("/nowhere/at/all")).status == 404
    assert [line for line in lines if line["event"] == "http.failed"] == []


@pytest.mark.parametrize("notice", ["paid", "cancelled", "settling", "flight_cancelled"])
async def test_an_address_cannot_make_a_page_say_what_is_not_so(system, reader, flight, notice):
    booking = await a_booking(system, reader, flight)
    page = await reader.open(f"/bookings/{booking['id']}?notice={notice}")
    assert 'class="notice"' not in page.html
    assert 'class="notice"' not in (await reader.open(f"/?notice={notice}")).html


async def test_without_scripts_a_page_comes_again_without_its_notice(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    page = await reader.open(f"/bookings/{booking['id']}?notice=held")
    assert re.search(
        rf'http-equiv="refresh" content="\d+; url=/bookings/{booking["id"]}"', page.html
    )


async def test_a_payment_without_a_clear_answer_can_be_sent_again_and_counts_once(
    system, reader, flight, away
):
    booking = await a_booking(system, reader, flight)
    page = await reader.open(f"/bookings/{booking['id']}")
    key = dict(page.form("/pay").fields)["key"]
    away("POST", "/payments")
    page = await reader.send(page.form("/pay"))
    assert (page.status, "no clear answer" in page.text) == (503, True)
    assert dict(page.form("/pay").fields)["key"] == key
    away("POST", "/never")
    assert "Ready to fly" in (await reader.send(page.form("/pay"))).text


async def test_who_cannot_be_recognised_can_search_and_sign_out(reader, away):
    await reader.registers()
    away("GET", "/users/me")
    assert (await reader.open("/")).status == 200
    assert (await reader.open("/bookings")).status == 503
    assert reader.token is not None
    away("POST", "/users/logout")
    reply = await reader.http.post(
        "/sign-out", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert reply.headers["location"] == "/?notice=signed_out_here"
    assert reader.token is None


@pytest.mark.parametrize("back", ["//[", "http://[", "/\\[", "/a\nb"])
async def test_no_way_back_breaks_the_form(reader, back):
    page = await reader.registers(back=back)
    assert page.url == "http://skyhold.test/?notice=registered"
    assert (await reader.open("/sign-in", follow=False)).status == 303


async def test_a_header_that_a_browser_adds_by_itself_opens_nothing(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    stranger = {
        "sec-fetch-site": "same-site",
        "origin": "https://evil.skyhold.test",
        "authorization": "Basic YTpi",
        "content-type": "application/x-www-form-urlencoded",
    }
    for address in ("/sign-out", f"/bookings/{booking['id']}/cancel", "/sign-in"):
        assert (await reader.http.post(address, headers=stranger)).status_code == 403
    assert "held" in (await reader.open(f"/bookings/{booking['id']}")).text


async def test_with_https_a_cookie_that_a_neighbour_could_set_is_not_believed():
    planted = {"skyhold_access": "x", "skyhold_session": "y"}
    assert Session(planted, secure=True).token is None
    kept = {"__Host-skyhold_access": "x"}
    assert Session(kept, secure=True).token == "x"


async def test_who_pays_without_a_session_comes_back_to_the_booking(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    reader.http.cookies.clear()
    reply = await reader.http.post(
        f"/bookings/{booking['id']}/pay",
        content="token=tok_visa",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert reply.headers["location"] == f"/sign-in?next=%2Fbookings%2F{booking['id']}"


@pytest.mark.parametrize("dots", ["%2e", "%2e%2e"])
async def test_dots_lead_nowhere(reader, dots):
    await reader.registers()
    with capture_logs() as lines:
        assert (await reader.open(f"/bookings/{dots}")).status == 404
    asked = [line["path"] for line in lines if line["event"] == "http.request"]
    assert not any("/api/v1/bookings/." in path for path in asked)


async def test_signing_in_anew_ends_the_session_before(system, reader):
    await reader.registers()
    before = reader.token
    reader.http.headers["user-agent"] = "A Browser/1"
    # The form is not shown to whoever is signed in; another tab may still have it.
    reply = await reader.http.post(
        "/sign-in",
        data={"email": reader.email, "password": PASSWORD, "next": "/"},
    )
    assert reply.status_code == 303
    me = "/api/v1/users/me"
    ask = system.bookings_http.get
    assert (await ask(me, headers={"authorization": f"Bearer {before}"})).status_code == 401
    sessions = await ask(f"{me}/sessions", headers={"authorization": f"Bearer {reader.token}"})
    assert [it["user_agent"] for it in sessions.json()["data"]] == ["A Browser/1"]


async def test_a_provider_of_real_money_is_not_called_a_test(system, reader, flight, monkeypatch):
    booking = await a_booking(system, reader, flight)
    show = Visit.show

    def without_tokens(visit, template, status=200, **context):
        return show(visit, template, status, **context | {"tokens": ()})

    monkeypatch.setattr(Visit, "show", without_tokens)
    page = await reader.open(f"/bookings/{booking['id']}")
    assert "no money moves" not in page.text
    assert "The token of your card" in page.text


async def test_a_bank_that_this_page_cannot_show_is_not_denied(system, reader, flight, monkeypatch):
    booking = await a_booking(system, reader, flight)
    await reader.send(
        (await reader.open(f"/bookings/{booking['id']}")).form("/pay"), token="tok_3ds"
    )
    show = Visit.show

    def by_library(visit, template, status=200, **context):
        context["booking"]["payment"]["next_action"] |= {"type": "use_sdk", "url": None}
        return show(visit, template, status, **context)

    monkeypatch.setattr(Visit, "show", by_library)
    page = await reader.open(f"/bookings/{booking['id']}")
    assert "Nothing is to be done" not in page.text
    assert "Your bank wants to ask you" in page.text
