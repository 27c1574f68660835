"""A session that ends has ended everywhere: in other processes, and at the other service."""

from __future__ import annotations

import shutil
import time

import httpx
import pytest

from skyhold.booking.models.user import Role
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import wire
from skyhold.kernel.ended_sessions import LAG_MAX_S
from skyhold.kernel.keys import make_key
from support.browser import ask, logged_in
from support.databases import databases, migrate
from support.fleet import Fleet
from support.system import PASSWORD, SETTINGS, eventually, free_port

EMAIL = "grace@example.com"
# To be read beside the two seconds: how long the polling of this test itself may take.
POLL_S = 0.5


@pytest.fixture
def folder(tmp_path, template):
    return shutil.copytree(template, tmp_path / "data")


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def database(request, tmp_path):
    if request.param == "sqlite":
        yield {}
        return
    with databases(request.param, tmp_path) as where:
        for url in set(where.values()):
            migrate(url)
        yield where


async def a_member_of_the_staff(folder, **where):
    settings = SETTINGS | {"data_dir": folder} | where
    known = {name: it for name, it in settings.items() if name in BookingSettings.model_fields}
    service = wire(BookingSettings(_env_file=None, **known))
    await service.users.register("Grace", EMAIL, PASSWORD, role=Role.STAFF)
    await service.close()


async def cancels_a_flight(flights: httpx.AsyncClient, token: str) -> int:
    """The status of what only staff may do; there is no such flight, so nothing happens."""
    path = "/api/v1/flights/UA1545-2026-12-01-EWR"
    headers = {"authorization": f"Bearer {token}"}
    return (await flights.patch(path, json={"status": "cancelled"}, headers=headers)).status_code


async def status_of(http: httpx.AsyncClient, token: str) -> int:
    return (await ask(http, "GET", "users/me", token=token)).status


async def test_logging_out_at_one_process_is_known_to_all_within_two_seconds(folder, database):
    await a_member_of_the_staff(folder, **database)
    ports = [free_port() for _ in range(3)]
    where = {
        "booking_service": f"http://127.0.0.1:{ports[0]}",
        "flight_service": f"http://127.0.0.1:{ports[2]}",
    }
    with Fleet(folder, **where, **database) as fleet:
        servers = [
            fleet.start("booking", "serve", port=ports[0]),
            fleet.start("booking", "serve", port=ports[1]),
            fleet.start("flight", "serve", port=ports[2]),
        ]
        await fleet.ready(*servers)
        async with (
            httpx.AsyncClient(base_url=servers[0].url, timeout=30) as here,
            httpx.AsyncClient(base_url=servers[1].url, timeout=30) as there,
            httpx.AsyncClient(base_url=servers[2].url, timeout=30) as flights,
        ):
            token = (await logged_in(here, EMAIL))["access_token"]
            here.cookies.clear()
            assert await status_of(there, token) == 200
            assert await cancels_a_flight(flights, token) == 404
            assert (await ask(here, "POST", "users/logout", token=token)).status == 204
            assert await status_of(here, token) == 401  # where it happened, at once
            out_at = time.monotonic()

            async def out_everywhere() -> bool:
                return (
                    await status_of(there, token) == 401
                    and await cancels_a_flight(flights, token) == 401
                )

            await eventually(out_everywhere)
            assert time.monotonic() - out_at < LAG_MAX_S + POLL_S


async def test_the_flight_service_verifies_by_published_keys_without_the_secret(folder):
    await a_member_of_the_staff(folder)
    make_key(folder / "keys" / "2026.pem", "EdDSA")
    ports = free_port(), free_port()
    where = {
        "booking_service": f"http://127.0.0.1:{ports[0]}",
        "flight_service": f"http://127.0.0.1:{ports[1]}",
        "jwt_keys": folder / "keys",
        "jwt_keys_published": True,
    }
    with Fleet(folder, **where) as fleet:
        booking = fleet.start("booking", "serve", port=ports[0])
        fleet.environment = dict(fleet.environment) | {"JWT_SECRET": "x" * 32}  # another one
        flight = fleet.start("flight", "serve", port=ports[1])
        await fleet.ready(booking, flight)
        async with (
            httpx.AsyncClient(base_url=booking.url, timeout=30) as bookings,
            httpx.AsyncClient(base_url=flight.url, timeout=30) as flights,
        ):
            token = (await logged_in(bookings, EMAIL))["access_token"]
            (key,) = (await bookings.get("/.well-known/jwks.json")).json()["keys"]
            assert key["alg"] == "EdDSA"
            assert await cancels_a_flight(flights, token) == 404
            assert await cancels_a_flight(flights, token[:-4] + "AAAA") == 401
            assert booking.process.poll() is None
            booking.process.kill()
            booking.process.wait(10)
            # Nobody can say whether it is still a session, so nothing is done.
            assert (await eventually(lambda: _unless_fresh(flights, token))) == 503


async def _unless_fresh(flights, token):
    status = await cancels_a_flight(flights, token)
    return status if status != 404 else 0
