"""Someone who books through the public API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Reply:
    """An answer: its status, body and headers."""

    status: int
    body: Any
    headers: httpx.Headers

    @classmethod
    def of(cls, reply: httpx.Response) -> Reply:
        """From an HTTP client's answer; every error must be problem+json."""
        if reply.status_code >= 400:
            assert reply.headers["content-type"] == "application/problem+json", reply.text
            assert reply.json()["status"] == reply.status_code
        return cls(reply.status_code, reply.json() if reply.content else None, reply.headers)

    @property
    def code(self) -> str | None:
        """The problem's code, None when there is no problem."""
        return self.body.get("code") if isinstance(self.body, dict) else None

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


@dataclass(frozen=True)
class Traveller:
    """Books, pays, looks and cancels with a token of their own."""

    http: httpx.AsyncClient
    token: str
    email: str

    async def send(self, method: str, path: str, json: Any = None, **headers: str) -> Reply:
        """Any request, as this person."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await self.http.request(
            method,
            f"/api/v1/{path}",
            json=json,
            headers={"authorization": f"Bearer {self.token}"} | named,
        )
        return Reply.of(reply)

    async def book(
        self,
        *flights: str,
        party: int = 1,
        seats: list[str] | None = None,
        cabin: str = "economy",
        key: str | None = None,
        **more: Any,
    ) -> Reply:
        """Book all these flights for a party; `seats` are asked for on every one of them."""
        segments = [
            {"flight_id": flight, "cabin": cabin} | ({"seats": seats} if seats else {})
            for flight in flights
        ]
        body = {"segments": segments, "passengers": passengers(party)} | more
        return await self.send("POST", "bookings", body, **_key(key))

    async def pay(self, booking: Any, token: str = "tok_visa", key: str | None = None) -> Reply:
        """Pay for a booking."""
        body = {"booking_id": booking["id"], "payment_token": token}
        return await self.send("POST", "bookings/payments", body, **_key(key))

    async def get(self, booking: Any) -> Reply:
        """Look at a booking."""
        return await self.send("GET", f"bookings/{booking['id']}")

    async def cancel(self, booking: Any) -> Reply:
        """Cancel a booking by DELETE."""
        return await self.send("DELETE", f"bookings/{booking['id']}")


def passengers(party: int) -> list[dict[str, str]]:
    """So many people."""
    return [{"given_name": f"Nr{n}", "family_name": "Tester"} for n in range(1, party + 1)]


def seats_of(booking: Any) -> list[str]:
    """The seats of a booking's first segment."""
    seats: list[str] = booking["segments"][0]["seats"]
    return seats


def _key(key: str | None) -> dict[str, str]:
    return {} if key is None else {"idempotency_key": key}
