"""The staff: puts flights on sale, and now and then cancels or retimes one."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt

from .desk import Desk
from .system import JWT_SECRET

# Twelve seats in three rows, so that twenty buyers are too many for them.
AIRCRAFT, CABIN = "319", "first"
SEATS = [f"{row}{letter}" for row in (1, 2, 3) for letter in "ABEF"]
FARE = {"amount": "129.00", "currency": "USD"}
PAUSE_S = 0.5
# Nobody's mischief: the rig itself asks for something wrong, and would ask for ever.
OUR_OWN_FAULT = frozenset({400, 401, 403, 405, 415, 422})


@dataclass
class Staff:
    """Keeps so many flights on sale; one that was sold for a while makes way for a new one."""

    desk: Desk
    url: str
    chance: random.Random
    on_sale: list[str] = field(default_factory=list)
    _number: int = 0

    async def open_sale(self, flights: int) -> None:
        """The first flights; without them there is nothing to do."""
        for _ in range(flights):
            self.on_sale.append(await self._add())

    async def work(self, *, every_s: float, changes_until: float) -> None:
        """Until cancelled: a new flight in the place of the oldest, and sometimes trouble."""
        trouble = ["none", "cancel", "retime"]
        while True:
            await asyncio.sleep(every_s * self.chance.uniform(0.7, 1.3))
            old = self.on_sale[0]
            trouble.append(trouble.pop(0))
            self.on_sale[:] = [*self.on_sale[1:], await self._add()]
            if time.monotonic() > changes_until:
                continue
            if trouble[0] == "cancel":
                await self._change(old, "flight_cancel", {"status": "cancelled"})
            elif trouble[0] == "retime":
                later = self._departure() + timedelta(hours=2)
                times = {"departing_at": later, "arriving_at": later + timedelta(hours=6)}
                body = {name: at.isoformat() for name, at in times.items()}
                await self._change(old, "flight_retime", body)

    async def _add(self) -> str:
        self._number += 1
        departing_at = self._departure()
        body = {
            "airline": "B6",
            "number": self._number,
            "origin": "JFK",
            "destination": "LAX",
            "departing_at": departing_at.isoformat(),
            "arriving_at": (departing_at + timedelta(hours=6)).isoformat(),
            "aircraft": AIRCRAFT,
            "fares": {CABIN: FARE},
        }
        # The id follows from the airline, the number, the local date and the airport.
        return str(await self._ask("flight_add", "POST", "", body))

    async def _change(self, flight_id: str, f: str, body: dict[str, Any]) -> None:
        await self._ask(f, "PATCH", f"/{flight_id}", body, flight_id=flight_id)

    async def _ask(
        self, f: str, method: str, path: str, body: dict[str, Any], flight_id: str | None = None
    ) -> str | None:
        """Again and again until there is an answer; None when it is no."""
        url = f"{self.url}/api/v1/flights{path}"
        while True:
            told = await self.desk.ask(
                "staff", f, method, url, bearer=_token(), json=body, flight_id=flight_id
            )
            if told.type == "ok":
                return str(told.body["id"])
            if told.status in OUR_OWN_FAULT:
                raise RuntimeError(f"{f} is refused: {told.status} {told.code} {told.body}")
            if told.code == "flight_exists":  # a first try whose answer was lost
                self._number += 1
                body = {**body, "number": self._number}
            elif told.type == "fail" and f != "flight_add":
                return None
            await asyncio.sleep(PAUSE_S)

    def _departure(self) -> datetime:
        return datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=30)


def _token() -> str:
    now = int(time.time())
    claims = {"iss": "skyhold-booking", "aud": "skyhold", "sub": "staff", "role": "staff"}
    # From some minutes ago: the clock of a flight service may be behind.
    times = {"iat": now - 300, "nbf": now - 300, "exp": now + 86_400}
    headers = {"typ": "at+jwt"}
    ids = {"jti": str(uuid4()), "sid": str(uuid4())}
    return jwt.encode(claims | times | ids, JWT_SECRET, "HS256", headers)
