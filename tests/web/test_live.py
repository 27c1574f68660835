"""Seats told while they are taken and freed, and how such a stream ends."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from skyhold.kernel.http.draining import STATE
from skyhold.web.api import Away, Refused
from skyhold.web.live import HEARTBEAT, Live, NotNow, Pace, Stream
from support.fleet import Fleet
from support.system import System, eventually, free_port, wait_until_ready

FLIGHT = "B61-2026-12-01-JFK"
QUICK = Pace(period_s=0.01, heartbeat_s=60, stream_s=60)
LONG_S = 30  # a busy machine may take its time


@dataclass
class Plane:
    """A flight of six seats whose seat map can be asked for, unless somebody is away."""

    taken: set[str] = field(default_factory=set)
    error: Exception | None = None
    asked: int = 0

    async def ask(self):
        self.asked += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        seats = [
            {"seat": seat, "status": "held" if seat in self.taken else "available"}
            for seat in ("1A", "1B", "1C", "2A", "2B", "2C")
        ]
        blocked = {"seat": "3A", "status": "blocked"}
        return {"flight_id": FLIGHT, "cabins": [{"rows": [{"seats": [*seats, blocked]}]}]}


def told(piece):
    """What an event says."""
    kind, data = piece.decode().strip().split("\n")
    assert kind == "event: seats"
    return json.loads(data.removeprefix("data: "))


async def news(looker):
    return await asyncio.wait_for(looker.news(), LONG_S)


@pytest.fixture
def plane():
    return Plane()


@pytest.fixture(autouse=True)
async def nothing_is_left_running():
    yield
    await asyncio.sleep(0)
    left = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in left if name.startswith("live")}


# --- what is told ----------------------------------------------------------------------------


async def test_first_all_seats_are_told_and_then_what_changes(plane):
    plane.taken = {"1A"}
    looker = await Live(QUICK).join(FLIGHT, plane.ask)
    assert told(await news(looker)) == {"taken": ["1A"], "free": ["1B", "1C", "2A", "2B", "2C"]}
    plane.taken = {"2A", "2B"}
    assert told(await news(looker)) == {"taken": ["2A", "2B"], "free": ["1A"]}
    looker.leave()


async def test_a_slow_reader_is_told_once_of_many_changes(plane):
    live = Live(QUICK)
    slow, quick = [await live.join(FLIGHT, plane.ask) for _ in range(2)]
    for looker in (slow, quick):
        await news(looker)
    for taken in ({"1A"}, {"1A", "1B"}, {"1B"}):
        plane.taken = taken
        await news(quick)
    assert told(await news(slow)) == {"taken": ["1B"], "free": []}
    slow.leave()
    quick.leave()


async def test_however_many_look_the_flight_is_asked_about_by_one(plane):
    live = Live(Pace(period_s=3600))
    lookers = [await live.join(FLIGHT, plane.ask) for _ in range(50)]
    for looker in lookers:
        await news(looker)
    assert plane.asked == 1
    for looker in lookers:
        looker.leave()


async def test_when_nobody_looks_nobody_asks(plane):
    live = Live(QUICK)
    looker = await live.join(FLIGHT, plane.ask)
    assert live.watched == {FLIGHT}
    looker.leave()
    looker.leave()
    assert live.watched == frozenset()
    asked = plane.asked
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert plane.asked <= asked + 1


async def test_silence_is_broken_by_a_heartbeat(plane):
    looker = await Live(Pace(period_s=3600, heartbeat_s=0.01)).join(FLIGHT, plane.ask)
    await news(looker)
    assert [await news(looker), await news(looker)] == [HEARTBEAT, HEARTBEAT]
    looker.leave()


async def test_an_api_that_is_away_ends_nothing(plane):
    plane.error = Away("gone")
    looker = await Live(QUICK).join(FLIGHT, plane.ask)
    plane.error = None
    assert told(await news(looker))["taken"] == []
    plane.error = Refused(429, "too_many_requests", "slowly")
    asked = plane.asked
    await eventually(lambda: asyncio.sleep(0, plane.asked > asked + 2))
    plane.error, plane.taken = None, {"1C"}
    assert told(await news(looker)) == {"taken": ["1C"], "free": []}
    looker.leave()


async def test_a_flight_that_is_not_there_cannot_be_looked_at(plane):
    plane.error = Refused(404, "flight_not_found", "There is no such flight.")
    live = Live(QUICK)
    refused = await asyncio.gather(
        *(live.join(FLIGHT, plane.ask) for _ in range(3)), return_exceptions=True
    )
    assert [error.code for error in refused] == ["flight_not_found"] * 3
    assert live.watched == frozenset()
    plane.error = None
    (await live.join(FLIGHT, plane.ask)).leave()


# --- bounds ----------------------------------------------------------------------------------


async def test_flights_and_lookers_are_bounded_and_room_comes_back(plane):
    live = Live(QUICK, flights_max=2, lookers_max=3)
    lookers = [await live.join(flight, plane.ask) for flight in ("one", "two")]
    with pytest.raises(NotNow):
        await live.join("three", plane.ask)
    lookers.append(await live.join("two", plane.ask))
    with pytest.raises(NotNow):
        await live.join("two", plane.ask)
    lookers.pop(0).leave()
    lookers.append(await live.join("three", plane.ask))
    for looker in lookers:
        looker.leave()


# --- how it ends -----------------------------------------------------------------------------


async def test_after_its_time_the_browser_has_to_come_again(plane):
    looker = await Live(Pace(period_s=0.01, heartbeat_s=3600, stream_s=0.2)).join(FLIGHT, plane.ask)
    pieces = []
    while (piece := await news(looker)) is not None:
        pieces.append(piece)
    assert len(pieces) <= 1
    looker.leave()


async def test_when_the_process_leaves_all_are_sent_home_and_nobody_comes_in(plane, monkeypatch):
    live = Live(Pace(period_s=3600, heartbeat_s=3600))
    lookers = [await live.join(FLIGHT, plane.ask) for _ in range(3)]
    for looker in lookers:
        await news(looker)
    monkeypatch.setattr(STATE, "on", True)
    assert [await news(looker) for looker in lookers] == [None] * 3
    with pytest.raises(NotNow):
        await live.join(FLIGHT, plane.ask)
    for looker in lookers:
        looker.leave()


async def test_when_the_client_goes_nothing_is_left_of_it(plane):
    live = Live(Pace(period_s=3600, heartbeat_s=3600))
    sent, goes = [], asyncio.Event()

    async def receive():
        await goes.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if message.get("more_body"):
            goes.set()

    stream = Stream(await live.join(FLIGHT, plane.ask))
    await asyncio.wait_for(stream({"type": "http"}, receive, send), LONG_S)
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers
    assert told(sent[1]["body"])["taken"] == []
    assert live.watched == frozenset()


async def test_a_client_that_reads_nothing_is_not_waited_for(plane, monkeypatch):
    monkeypatch.setattr("skyhold.web.live.SEND_MAX_S", 0.01)
    live = Live(QUICK)

    async def never(message=None):
        if message is None or message["type"] == "http.response.body":
            await asyncio.Event().wait()

    stream = Stream(await live.join(FLIGHT, plane.ask))
    await asyncio.wait_for(stream({"type": "http"}, never, never), LONG_S)
    assert live.watched == frozenset()


# --- in a process of its own -----------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path, template: Path):
    """`skyhold serve`, which waits ten minutes for requests in progress before it ends."""
    folder = shutil.copytree(template, tmp_path / "data")
    with Fleet(folder, drain_s=600, log_level="INFO") as fleet:
        server = fleet.start("serve", port=free_port())
        wait_until_ready(server)
        yield server


@asynccontextmanager
async def a_system(server):
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield System(client, client)


async def event(lines):
    """The next event of a stream."""
    async with asyncio.timeout(LONG_S):
        async for line in lines:
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
    return None


async def test_a_seat_held_by_somebody_is_told_and_a_cancelled_one_too(served):
    async with a_system(served) as system:
        flight, ada = await system.a_flight(), await system.traveller()
        async with system.bookings_http.stream("GET", f"/flights/{flight}/live") as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            lines = reply.aiter_lines()
            first = await event(lines)
            assert (first["taken"], len(first["free"])) == ([], 100)
            booking = await ada.book(flight, seats=["12A"])
            assert await event(lines) == {"taken": ["12A"], "free": []}
            await ada.cancel(booking)
            assert await event(lines) == {"taken": [], "free": ["12A"]}


async def test_a_flight_that_is_not_there_is_a_page_that_is_not_there(served):
    async with a_system(served) as system:
        for flight in ("B61-2026-12-01-JFK", "..%2Fusers", "nonsense"):
            reply = await system.bookings_http.get(f"/flights/{flight}/live")
            assert reply.status_code in {404, 422}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_an_open_stream_does_not_delay_a_stop(served, how):
    async with a_system(served) as system:
        flight = await system.a_flight()
        async with system.bookings_http.stream("GET", f"/flights/{flight}/live") as reply:
            lines = reply.aiter_lines()
            await event(lines)
            served.process.send_signal(how)
            assert (
                await event(lines) is None
            )  # it ended as an answer does, not by a lost connection
        await asyncio.to_thread(served.process.wait, LONG_S)
    assert "timeout graceful shutdown" not in served.log.read_text()
