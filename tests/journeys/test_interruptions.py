"""What goes wrong between the services, and why nobody has to clean up after it."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import httpx
import pytest

from skyhold.kernel.client import Unknown
from skyhold.kernel.ids import derived_id, new_id
from support.databases import ENGINES, databases
from support.system import (
    SETTINGS,
    System,
    eventually,
    free_port,
    start,
    start_servers,
    stop,
    wait_until_ready,
)
from support.traveller import Traveller


class LosesAnswers:
    """Carries every request out, and loses the first answers to those with `method`."""

    def __init__(self, way, method, count):
        self.way, self.method, self.left = way, method, count
        self.sent = 0

    async def send(self, method, path, headers, body):
        reply = await self.way.send(method, path, headers, body)
        self.sent += 1
        if method == self.method and self.left > 0:
            self.left -= 1
            raise Unknown("the answer got lost")
        return reply

    async def close(self):
        await self.way.close()


async def test_a_hold_whose_answer_is_lost_is_asked_for_again_and_is_one_hold(start_system):
    async with start_system(transport=lambda way: LosesAnswers(way, "PUT", 2)) as system:
        alice = await system.traveller()
        flight = await system.a_flight()
        booking = await alice.book(flight, party=2)
        assert booking.status == 201
        assert system.bookings.flights._client._transport.sent == 3
        assert await system.seats_left(flight) == 98
        assert (await alice.pay(booking)).status == 201


async def test_a_hold_that_never_answers_books_nothing_and_its_seats_come_back(start_system):
    async with start_system(transport=lambda way: LosesAnswers(way, "PUT", 10**9)) as system:
        alice = await system.traveller()
        flight = await system.a_flight()
        refused = await alice.book(flight, party=2)
        assert (refused.status, refused.code) == (503, "flight_service_unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert (await alice.send("GET", "bookings"))["data"] == []

        async def the_seats_are_back():
            return await system.seats_left(flight) == 100

        await eventually(the_seats_are_back)


async def test_a_process_gone_between_hold_and_record_costs_only_time(system, alice):
    """The hold is all that is left of it; its own time frees the seats."""
    flight = await system.a_flight()
    orphan = {"segments": [{"flight_id": flight, "seats": ["4A"]}], "ttl_s": 1020}
    assert (await system.hold("PUT", new_id(), orphan)).status == 201
    assert (await alice.book(flight, seats=["4A"])).code == "seat_unavailable"

    system.advance(seconds=1021)

    assert (await alice.book(flight, seats=["4A"])).status == 201


async def test_a_retry_with_its_key_completes_what_a_dead_process_began(system, alice):
    flight = await system.a_flight()
    user = (await alice.send("GET", "users/me"))["id"]
    wanted = {"segments": [{"flight_id": flight, "cabin": "economy", "seats": None, "count": 2}]}
    begun = derived_id(user, "my-key", "0")
    assert (await system.hold("PUT", begun, wanted | {"ttl_s": 1020})).status == 201

    booking = await alice.book(flight, party=2, key="my-key")
    assert (booking.status, booking["id"]) == (201, begun)
    assert await system.seats_left(flight) == 98


async def test_a_retry_after_its_hold_has_ended_gets_a_new_one(system, alice):
    flight = await system.a_flight()
    user = (await alice.send("GET", "users/me"))["id"]
    wanted = {"segments": [{"flight_id": flight, "cabin": "economy", "seats": None, "count": 2}]}
    spent = derived_id(user, "my-key", "0")
    assert (await system.hold("PUT", spent, wanted | {"ttl_s": 1020})).status == 201
    system.advance(minutes=18)

    booking = await alice.book(flight, party=2, key="my-key")
    assert booking.status == 201
    assert booking["id"] == derived_id(user, "my-key", "1")
    assert await system.seats_left(flight) == 98


@pytest.mark.parametrize("engine", ENGINES)
async def test_killed_and_restarted_everything_acknowledged_is_still_there(
    engine, tmp_path, template
):
    """kill -9 for both services while a payment waits for a provider that never answers."""
    with databases(engine, tmp_path) as where:
        await _killed_and_restarted(shutil.copytree(template, tmp_path / "data"), where)


async def _killed_and_restarted(folder: Path, where: dict[str, str]) -> None:
    servers = start_servers(folder, **where)
    try:
        async with servers.system() as system:
            alice = await system.traveller()
            flight = await system.a_flight()
            paid = await alice.book(flight, seats=["1A"])
            assert (await alice.pay(paid)).status == 201
            held = await alice.book(flight, seats=["2A"])
            waiting = await alice.book(flight, seats=["3A"])
            assert (await alice.pay(waiting, "tok_never")).status == 202
    finally:
        for server in (servers.booking, servers.flight):
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(10)

    servers = start_servers(folder, **where)
    try:
        async with servers.system() as system:
            alice = Traveller(system.bookings_http, alice.token, alice.email)
            assert (await alice.get(paid))["status"] == "confirmed"
            assert (await alice.get(held))["status"] == "held"
            assert (await alice.pay(held)).status == 201
            system.advance(minutes=17)

            async def it_is_given_up():
                seen = await alice.get(waiting)
                return (seen["status"], seen["payment"]["status"]) == ("expired", "voided")

            await eventually(it_is_given_up)
            states = await system.seat_states(flight)
            assert [states[seat] for seat in ("1A", "2A", "3A")] == [
                "occupied",
                "occupied",
                "available",
            ]
    finally:
        for server in (servers.booking, servers.flight):
            stop(server)


async def test_a_server_told_to_stop_finishes_what_it_has_begun(tmp_path, template):
    """SIGTERM while a payment waits for a slow provider: the traveller still gets the answer."""
    shutil.copytree(template, tmp_path / "data")
    servers = start_servers(tmp_path / "data")
    try:
        async with servers.system() as system:
            alice = await system.traveller()
            booking = await alice.book(await system.a_flight())
            paying = asyncio.create_task(alice.pay(booking, "tok_slow"))
            await asyncio.sleep(0.1)
            servers.booking.process.send_signal(signal.SIGTERM)
            assert (await paying).status == 201
            # The server ends by the signal it was sent, after everything is closed.
            assert servers.booking.process.wait(10) == -signal.SIGTERM
            assert "Application shutdown complete" in servers.booking.log.read_text()
    finally:
        stop(servers.flight)


async def test_without_the_flight_service_reading_works_and_booking_says_try_again(
    tmp_path, template
):
    shutil.copytree(template, tmp_path / "data")
    nobody = f"http://127.0.0.1:{free_port()}"
    settings = {name: str(value) for name, value in SETTINGS.items()}
    server = start(
        "booking",
        free_port(),
        tmp_path / "data",
        settings | {"data_dir": str(tmp_path / "data"), "flight_service": nobody},
    )
    try:
        wait_until_ready(server)
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            alice = await System(http, http).traveller()
            refused = await alice.book("B61-2030-01-01-JFK")
            assert (refused.status, refused.code) == (503, "flight_service_unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert (await alice.send("GET", "bookings")).status == 200
    finally:
        stop(server)
