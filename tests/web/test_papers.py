"""The itinerary: what is on it, that readers read it off every screen and off paper; the file."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from icalendar import Calendar
from paper_stage import as_if_served, chromium, drawn, grey, read
from test_markup import KNOWN, Attributes

from skyhold.web.api import Api, Away, Refused
from skyhold.web.boarding_pass import boarding_passes

pytestmark = pytest.mark.asyncio(loop_scope="module")

A4 = (595, 842)  # points
NAMES = [("Zoë", "Müller-Lüdenscheidt"), ("Søren", "O'Brien"), ("小明", "王")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    async with chromium() as browser:
        yield browser


@pytest.fixture
def sends(system, reader):
    """The API, asked as whoever the reader is."""

    async def sends(method, path, body=None):
        headers = {"authorization": f"Bearer {reader.token}"}
        reply = await system.bookings_http.request(
            method, f"/api/v1/{path}", json=body, headers=headers
        )
        assert reply.is_success, reply.text
        return reply.json()

    return sends


@pytest.fixture
def a_booking(reader, sends):
    """Somebody new, and a booking of theirs; paid unless it is said that it is not."""

    async def a_booking(*flights, party=NAMES[:1], paid=True, cabin="economy"):
        await reader.registers()
        body = {
            "segments": [{"flight_id": flight, "cabin": cabin} for flight in flights],
            "passengers": [{"given_name": given, "family_name": name} for given, name in party],
        }
        booking = await sends("POST", "bookings", body)
        if not paid:
            return booking
        payment = {"booking_id": booking["id"], "payment_token": "tok_visa"}
        await sends("POST", "bookings/payments", payment)
        return await sends("GET", f"bookings/{booking['id']}")

    return a_booking


@pytest.fixture
def opened(browser, reader):
    """A booking's itinerary in a browser."""

    async def opened(booking, **context):
        page = await browser.new_page(base_url="http://skyhold.test", **context)
        await as_if_served(page, reader)
        await page.goto(f"/bookings/{booking['id']}/itinerary")
        return page

    return opened


def texts(booking):
    return [each.text for passes in boarding_passes(booking) for each in passes]


def address(booking, paper="itinerary"):
    return f"/bookings/{booking['id']}/{paper}"


# --- the itinerary ---------------------------------------------------------------------------


async def test_everything_one_needs_is_on_it(system, reader, a_booking):
    overnight = await system.a_flight(
        origin="JFK", destination="LHR", takes_h=23, aircraft="E90", economy="1129.00"
    )
    booking = await a_booking(overnight, party=NAMES[:2])
    page = await reader.open(address(booking))
    assert page.status == 200
    assert booking["record_locator"] in page.text
    assert "Paid 2258.00 USD" in page.text
    assert "Embraer 190" in page.text
    assert "Economy" in page.text
    (segment,) = booking["segments"]
    assert segment["departing_at"][11:16] in page.text
    assert segment["arriving_at"][11:16] in page.text
    assert "23 h 00 min" in page.text
    assert re.search(r"\+[12] days?", page.text)
    for who, seat in zip(booking["passengers"], segment["seats"], strict=True):
        assert f"{who['given_name']} {who['family_name']} {seat}" in page.text


async def test_everybody_has_a_code_and_its_text_stands_beside_it(
    system, reader, a_booking, flight
):
    onward = await system.a_flight(origin="LAX", destination="SEA", departs_in_h=260, takes_h=3)
    booking = await a_booking(flight, onward, party=NAMES)
    page = await reader.open(address(booking))
    symbols = re.findall(r"<svg[^>]*symbol.*?</svg>", page.html)
    assert [read(drawn(svg)) for svg in symbols] == [[text] for text in texts(booking)]
    assert re.findall(r"<pre>([^<]+)</pre>", page.html) == texts(booking)
    assert [text[:2] for text in texts(booking)] == ["M2"] * 3


async def test_it_runs_nothing_and_brings_no_style_of_its_own(reader, a_booking, flight):
    page = await reader.open(address(await a_booking(flight)))
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|data:", page.html)
    assert Attributes(page.html).found <= KNOWN


async def test_a_name_is_text_and_nothing_else(reader, a_booking, flight):
    booking = await a_booking(flight, party=[("<b>Bobby</b>", 'Tables"><script>alert(1)</script>')])
    page = await reader.open(address(booking))
    assert "<b>Bobby" not in page.html
    assert "<script>alert" not in page.html
    assert read(drawn(re.search(r"<svg[^>]*symbol.*?</svg>", page.html)[0])) == texts(booking)


@pytest.mark.parametrize("trouble", [Away("lost"), Refused(404, "flight_not_found", "")])
async def test_it_is_made_without_the_aircraft_when_nobody_can_say(
    reader, a_booking, flight, monkeypatch, trouble
):
    booking = await a_booking(flight)
    ask = Api.send

    async def send(self, method, path, *more, **named):
        if path.startswith("/api/v1/flights/"):
            raise trouble
        return await ask(self, method, path, *more, **named)

    monkeypatch.setattr(Api, "send", send)
    page = await reader.open(address(booking))
    assert (page.status, "Aircraft" in page.text) == (200, False)
    assert booking["record_locator"] in page.text


@pytest.mark.parametrize("paper", ["itinerary", "calendar.ics"])
async def test_before_it_is_paid_there_are_no_papers(reader, a_booking, flight, paper):
    booking = await a_booking(flight, paid=False)
    page = await reader.open(address(booking, paper))
    assert page.url.endswith(f"/bookings/{booking['id']}?notice=not_confirmed")
    assert "once a booking is confirmed" in page.text


async def test_once_it_is_cancelled_there_is_no_itinerary(reader, sends, a_booking, flight):
    booking = await a_booking(flight)
    await sends("DELETE", f"bookings/{booking['id']}")
    page = await reader.open(address(booking))
    assert page.url.endswith("?notice=not_confirmed")


@pytest.mark.parametrize("paper", ["itinerary", "calendar.ics"])
async def test_others_find_no_papers_there(system, reader, a_booking, flight, paper):
    booking = await a_booking(flight)
    other = type(reader)(system)
    assert "/sign-in?next=" in (await other.open(address(booking, paper))).url
    await other.registers()
    page = await other.open(address(booking, paper))
    assert page.status == 404
    assert booking["record_locator"] not in page.html


# --- in a browser ----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
async def test_a_reader_reads_the_codes_off_the_screen(
    a_booking, flight, opened, browser, scheme, width
):
    booking = await a_booking(flight, party=NAMES[:2])
    screen = {"width": width, "height": 900}
    page = await opened(booking, color_scheme=scheme, viewport=screen)
    for text, code in zip(texts(booking), await page.locator(".symbol").all(), strict=True):
        await code.scroll_into_view_if_needed()
        pixels = await grey(await browser.new_page(), await page.screenshot())
        assert text in read(pixels)
        assert await code.evaluate("it => it.getBoundingClientRect().right <= innerWidth")
    await page.evaluate(AXE_SCRIPT)
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    assert [(it["id"], it["nodes"][0]["html"]) for it in found["violations"]] == []


async def test_the_text_is_behind_a_click_that_no_script_has_to_hear(a_booking, flight, opened):
    booking = await a_booking(flight)
    page = await opened(booking, java_script_enabled=False)
    text = page.locator("pre")
    assert not await text.is_visible()
    await page.locator("summary").click()
    assert await text.is_visible()
    assert await text.text_content() == texts(booking)[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_reader_reads_the_code_off_paper(a_booking, flight, opened, browser, scheme):
    booking = await a_booking(flight)
    page = await opened(booking, viewport={"width": 794, "height": 1123})
    await page.emulate_media(media="print", color_scheme=scheme)
    pixels = await grey(await browser.new_page(), await page.screenshot(full_page=True))
    assert read(pixels) == texts(booking)
    assert pixels[0, 0] == 255, "paper is white"
    for hidden in (".top", ".foot", ".actions", "summary"):
        assert not await page.locator(hidden).first.is_visible()


@pytest.mark.parametrize(("party", "flights", "sheets"), [(1, 1, 1), (1, 2, 1), (3, 2, 2)])
async def test_one_passenger_fits_on_a_sheet_of_paper(
    system, a_booking, opened, party, flights, sheets
):
    journey = [
        await system.a_flight(departs_in_h=240 + 24 * at, takes_h=6) for at in range(flights)
    ]
    page = await opened(await a_booking(*journey, party=NAMES[:party]))
    pdf = await page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == sheets
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert len(boxes) in (1, sheets)
    for box in boxes:
        assert tuple(map(float, box)) == pytest.approx(A4, abs=1.5)


# --- the calendar file -----------------------------------------------------------------------


async def test_the_calendar_is_the_apis_file_as_it_is(reader, a_booking, flight):
    booking = await a_booking(flight)
    page = await reader.open(address(booking, "calendar.ics"))
    name = f"skyhold-{booking['record_locator']}.ics"
    assert page.headers["content-type"] == "text/calendar; charset=utf-8"
    assert page.headers["content-disposition"] == f'attachment; filename="{name}"'
    (event,) = Calendar.from_ical(page.html).events
    assert event["UID"] == f"{booking['id']}.{flight}@skyhold"


async def test_a_cancelled_booking_still_has_the_file_that_takes_its_flights_back(
    reader, sends, a_booking, flight
):
    booking = await a_booking(flight)
    await sends("DELETE", f"bookings/{booking['id']}")
    page = await reader.open(address(booking, "calendar.ics"))
    assert (page.status, Calendar.from_ical(page.html)["METHOD"]) == (200, "CANCEL")
