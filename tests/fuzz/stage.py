"""Both services as processes on SQLite, with something to book."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.system import PASSWORD, Servers, start_servers, stop

# What makes one person's bookings, or one address's requests, too many is another test's subject.
SETTINGS = {"log_level": "WARNING"}
FLIGHT = {
    "airline": "B6",
    "origin": "JFK",
    "destination": "LAX",
    "departing_at": "2090-12-01T08:00:00-05:00",
    "arriving_at": "2090-12-01T11:00:00-08:00",
    "aircraft": "E90",
    "fares": {"economy": {"amount": "129.00", "currency": "USD"}},
}
KNOWN = "known@example.com"  # an account for logging in
FLIGHTS = ("B61-2090-12-01-JFK", "B62-2090-12-01-JFK", "B63-2090-12-01-JFK")
# Known to no dictionary: the flight service's own run, beside, cancels any of those above.
SAFE_FLIGHT = "B68-2090-12-01-JFK"
FLIGHT_TO_PAY = "B69-2090-12-01-JFK"  # the other one may be sold out


@contextmanager
def stage(folder: Path) -> Iterator[Servers]:
    """Fresh servers, with the flights and the account that schemathesis.toml names."""
    servers = start_servers(folder / "data", **SETTINGS)
    try:
        asyncio.run(_furnish(servers))
        yield servers
    finally:
        for server in (servers.booking, servers.flight):
            stop(server)


async def _furnish(servers: Servers) -> None:
    who = {"name": "Ada", "email": KNOWN, "password": PASSWORD}
    async with servers.system() as system:
        reply = await system.bookings_http.post("/api/v1/users/register", json=who)
        assert reply.status_code == 201, reply.text
        for number in (1, 2, 3, 8, 9):
            reply = await system.flights_http.post(
                "/api/v1/flights", json=FLIGHT | {"number": number}, headers=system.staff()
            )
            assert reply.status_code == 201, reply.text
