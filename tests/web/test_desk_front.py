"""The desk's first page and its queues: how the service is doing, in words, pictures and tables."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import pytest_asyncio
from desk_stage import a_booking, at_the_desk
from web_stage import Reader

from skyhold.booking.errors import FlightServiceUnavailable
from skyhold.booking.models.audited import Audited, AuditOutcome
from skyhold.booking.repositories import audits
from skyhold.kernel.ids import new_id
from skyhold.web import charts
from skyhold.web.routes import PAGES
from support.system import one_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

GETS = sorted({path for path, method, _ in PAGES if path.startswith("/desk") and method == "GET"})
POSTS = sorted({path for path, method, _ in PAGES if path.startswith("/desk") and method == "POST"})
IN_PAGE = re.compile(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|data:|href=\"https?:")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory, template):
    """Both services with their pages; no audit but those that a test tells of."""
    folder = tmp_path_factory.mktemp("desk") / "data"
    async with one_process(folder, template, audit_period_s=0) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def desk(system):
    return await at_the_desk(system)


async def audited(system, outcome, **more):
    """An audit has just ended like this."""
    ended = Audited(new_id(), system.now(), outcome, **more)
    await system.bookings.db.transact(lambda tx: audits.add(tx, ended))


def address(path, flight="B61-2090-01-01-JFK"):
    return path.format(booking_id="018f0000-0000-7000-8000-000000000000", flight_id=flight)


async def test_the_front_tells_states_and_hours_in_pictures_and_tables(system, desk, flight):
    ada = await system.traveller("Ada")
    made = [await a_booking(ada, flight) for _ in range(3)]
    await ada.pay(made[0])
    await ada.cancel(made[1])
    page = await desk.open("/desk")
    assert page.status == 200
    assert re.search(r"Held 1 .*Confirmed 1 .*Cancelled 1", page.text)
    (states,) = re.findall(r'aria-label="(Bookings made[^"]+)"', page.html)
    assert "held: 1; paying: 0; confirmed: 1; expired: 0; cancelled: 1." in states
    hours = re.findall(r'aria-label="(\w+ by hour: \d+ in all)', page.html)
    assert hours == [
        "Created by hour: 3 in all",
        "Confirmed by hour: 1 in all",
        "Expired by hour: 0 in all",
        "Cancelled by hour: 1 in all",
    ]
    assert page.html.count("<details>") == 2, "the figures are there as tables too"
    rows = re.findall(r" \d\d:00 (\d+) (\d+) (\d+) (\d+)", page.text)
    assert len(rows) == 48
    assert [sum(map(int, column)) for column in zip(*rows, strict=True)] == [3, 1, 0, 1]


async def test_the_last_audit_is_told(system, desk):
    assert "No periodic audit has ended yet" in (await desk.open("/desk")).text
    await audited(system, AuditOutcome.COMPARED, bookings=12, holds=11, payments=10, took_ms=1_250)
    assert "all agree" in (await desk.open("/desk")).text
    page = await desk.open("/desk/queues")
    assert "12 bookings, 11 holds and 10 payments in 1.2 s" in page.text
    await audited(system, AuditOutcome.COMPARED, found={"seats_gone": 2, "hold_over": 1})
    assert "3 disagreements" in (await desk.open("/desk")).text
    page = await desk.open("/desk/queues")
    assert re.search(r"Hold over 1 .*Seats gone 2", page.text)
    await audited(system, AuditOutcome.NOT_COMPARED, not_compared=("the ledger: silent",))
    page = await desk.open("/desk/queues")
    assert "not everything could be compared" in page.text
    assert "the ledger: silent" in page.text
    await audited(system, AuditOutcome.FAILED)
    assert "it failed" in (await desk.open("/desk")).text
    assert "it failed" in (await desk.open("/desk/queues")).text


async def test_queues_tell_what_waits(desk, monkeypatch, system):
    page = await desk.open("/desk/queues")
    assert "Booking Held 0 0" in page.text
    assert "There is no broker" in page.text

    async def dead():
        return {"notifications": 3, "flight-changes": 0}

    monkeypatch.setattr(system.bookings.overview, "_dead_letters", dead)
    page = await desk.open("/desk/queues")
    assert "3 dead letters in notifications" in page.text
    assert "flight-changes 0" in page.text


async def test_bookings_can_be_looked_up_while_the_overview_is_away(desk, system, monkeypatch):
    async def away():
        raise FlightServiceUnavailable

    monkeypatch.setattr(system.bookings.overview, "look", away)
    page = await desk.open("/desk")
    assert page.status == 200
    assert "does not answer" in page.text
    assert page.form("/desk/bookings")


# --- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GETS)
async def test_whoever_is_not_signed_in_is_asked_who_they_are(reader, path):
    page = await reader.open(address(path))
    assert "/sign-in?next=" in page.url
    assert "Desk" not in page.text


@pytest.mark.parametrize("path", GETS)
async def test_to_a_traveller_there_is_no_desk(system, path):
    reader = Reader(system)
    await reader.registers()
    page = await reader.open(address(path))
    assert page.status == 404
    assert "There is no such page" in page.text
    assert "desk" not in page.html.lower()


@pytest.mark.parametrize("path", POSTS)
async def test_nobody_else_changes_anything_here(system, path):
    form = {"content-type": "application/x-www-form-urlencoded"}
    reader = Reader(system)
    reply = await reader.http.post(address(path), content="", headers=form)
    page = quote(address(path).rpartition("/")[0], safe="")  # the one that the form stands on
    assert (reply.status_code, reply.headers["location"]) == (303, f"/sign-in?next={page}")
    await reader.registers()
    assert (await reader.http.post(address(path), content="", headers=form)).status_code == 404


async def test_every_page_of_the_desk_is_for_staff_alone():
    for path, _, handler in PAGES:
        if path.startswith("/desk"):
            assert handler.__qualname__.startswith("signed_in"), path


async def test_pages_of_the_desk_run_nothing_that_stands_in_them(system, desk, flight):
    ada = await system.traveller("Ada")
    booking = (await a_booking(ada, flight))["id"]
    for path in GETS:
        page = await desk.open(path.format(booking_id=booking, flight_id=flight))
        assert page.status in (200, 422), path
        assert not IN_PAGE.search(page.html), path
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"


# --- charts --------------------------------------------------------------------------------------


async def test_what_is_not_nothing_can_be_seen_and_nothing_can_not():
    chart = charts.standing("Many", [("a", 0), ("b", 1), ("c", 100_000)], 100_000)
    assert [bar.height for bar in chart.bars] == [0, 1.0, chart.height]
    chart = charts.lying("Few", [("a", 0), ("b", 0)])
    assert [bar.width for bar in chart.bars] == [0, 0]


async def test_only_a_full_cabin_is_full_and_only_an_empty_one_is_empty():
    cabins = [
        {"cabin": "Economy", "seats_total": 1_000, "seats_available": left}
        for left in (1_000, 999, 500, 1, 0)
    ]
    chart = charts.load("Load", cabins)
    assert [bar.percent for bar in chart.bars] == [0, 1, 50, 99, 100]
    assert chart.bars[2].says == "Economy: 500 of 1000, 50 %"


async def test_bars_stay_in_their_picture():
    for chart in (
        charts.lying("Long", [(str(nth), nth) for nth in range(9)]),
        charts.standing("High", [(str(nth), nth * 1_000) for nth in range(48)], 47_000),
    ):
        for bar in chart.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= chart.width
            assert 0 <= bar.y <= bar.y + bar.height <= chart.height
