"""Buyers who race for the same seats, change their minds, and do not trust silence."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .desk import Desk, Told
from .staff import CABIN, SEATS

PASSWORD = "correct horse battery staple"
SETTLED = frozenset({"confirmed", "cancelled", "expired"})
# What they pay with, and how often of a hundred.
TOKENS = {
    "tok_visa": 52,
    "tok_declined": 9,
    "tok_capture_refused": 7,
    "tok_slow": 12,
    "tok_never": 5,
    "tok_refund_fails": 7,
    "tok_3ds": 8,
}
SIGN_UP_TRIES_MAX = 20
TRIES_MAX = 4
LOOKS_MAX = 6
LOOK_EVERY_S = 1.0
KEEPS_MAX = 2


@dataclass
class Buyer:
    """One of them. All it does follows from its own `chance`, and from what it is told."""

    name: str
    url: str
    desk: Desk
    flights: Sequence[str]
    chance: random.Random
    think_s: float
    _token: str = ""
    _keys: int = 0
    _mine: list[str] = field(default_factory=list)

    async def sign_up(self) -> None:
        """An account, and a token that outlives the run."""
        who = {"email": f"{self.name}@example.com", "password": PASSWORD}
        await self._until_heard("register", who | {"name": self.name})
        self._token = (await self._until_heard("login", who)).body["access_token"]

    async def _until_heard(self, path: str, body: Any) -> Told:
        for _ in range(SIGN_UP_TRIES_MAX):
            told = await self._ask(path, "POST", f"users/{path}", body)
            if told.type == "fail" and told.code != "email_taken":  # an answer was lost
                raise RuntimeError(f"{path} is refused: {told.status} {told.code}")
            if told.type != "unknown":
                return told
        raise TimeoutError(f"no answer to {path}, again and again, and nobody means harm yet")

    async def trade(self) -> None:
        """Trip after trip, until cancelled."""
        while True:
            await self._think()
            booking_id = await self._book()
            if booking_id is not None:
                await self._decide(booking_id)
            if len(self._mine) > KEEPS_MAX:  # so that there is something left to sell
                await self._cancel(self._mine.pop(0))
            if self._is(0.1):
                await self._ask("list", "GET", "bookings?limit=5")

    async def _decide(self, booking_id: str) -> None:
        await self._think()
        match self._one_of({"pay": 66, "expire": 18, "cancel": 10, "hesitate": 6}):
            case "pay":
                await self._pay(booking_id)
            case "cancel":
                await self._cancel(booking_id)
            case "hesitate":  # until the very last moment
                await asyncio.sleep(self.chance.uniform(4, 11))
                await self._pay(booking_id)
            case _:
                pass  # nobody ever comes back for it

    # --- booking -----------------------------------------------------------------------------

    async def _book(self) -> str | None:
        """The id of a booking, if there is one now as far as we know."""
        flight_id = self.chance.choice(self.flights)
        party = self._number_of({1: 50, 2: 30, 3: 20})
        seats = self._neighbours(party) if self._is(0.4) else None
        segment = {"flight_id": flight_id, "cabin": CABIN} | ({"seats": seats} if seats else {})
        people = [
            {"given_name": f"Nr{n}", "family_name": self.name.title()} for n in range(1, party + 1)
        ]
        told = await self._insist(
            "book",
            "bookings",
            {"segments": [segment], "passengers": people},
            key=self._key(0.6),
            flight_id=flight_id,
            seats=seats,
            party=party,
        )
        return told.body["id"] if told.type == "ok" else None

    def _neighbours(self, party: int) -> list[str]:
        first = self.chance.randrange(len(SEATS) - party + 1)
        return SEATS[first : first + party]

    # --- paying ------------------------------------------------------------------------------

    async def _pay(self, booking_id: str) -> None:
        token = self._one_of(TOKENS)
        key = self._key(0.6)
        times = 2 if self._is(0.15) else 1  # impatient: the button is pressed twice
        together = [self._pay_once(booking_id, token, key) for _ in range(times)]
        if self._is(0.08):  # or the page is open in two windows
            together.append(self._pay_once(booking_id, "tok_visa", self._key(0.6)))
        if self._is(0.08):
            together.append(self._cancel_soon(booking_id))
        results = await asyncio.gather(*together)
        declined = any(told is not None and told.code == "payment_declined" for told in results)
        if declined and self._is(0.7):
            results.append(await self._pay_once(booking_id, "tok_visa", self._key(0.6)))
        status = await self._follow(booking_id, results)
        if status == "confirmed":
            if self._is(0.35):
                await self._think()
                await self._cancel(booking_id)
            else:
                self._mine.append(booking_id)

    async def _pay_once(self, booking_id: str, token: str, key: str | None) -> Told | None:
        body = {"booking_id": booking_id, "payment_token": token}
        told = await self._insist(
            "pay", "bookings/payments", body, key=key, booking_id=booking_id, token=token
        )
        action = told.body.get("next_action") if told.type == "ok" else None
        if action:
            await self._answer_challenge(booking_id, action)
        return told

    async def _answer_challenge(self, booking_id: str, action: Mapping[str, Any]) -> None:
        """Approve, refuse, or close the window."""
        answer = self._one_of({"approve": 60, "refuse": 20, "": 20})
        if not answer or not action.get("url"):
            return
        await self._think()
        url = f"{action['url']}/{answer}"
        await self.desk.ask(self.name, "approve", "POST", url, bearer=None, booking_id=booking_id)

    async def _follow(self, booking_id: str, results: Sequence[Told | None]) -> str | None:
        """What has become of it; looked up, when the answers did not say."""
        for told in results:
            if told is not None and told.status == 201 and told.type == "ok":
                return "confirmed"
        status = None
        for _ in range(LOOKS_MAX):
            told = await self._read(booking_id)
            status = told.body.get("status") if told.type == "ok" else status
            if status in SETTLED or status == "held":
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return status

    async def _read(self, booking_id: str) -> Told:
        return await self._ask("read", "GET", f"bookings/{booking_id}", booking_id=booking_id)

    async def _cancel_soon(self, booking_id: str) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        await self._cancel(booking_id)

    async def _cancel(self, booking_id: str) -> None:
        for _ in range(TRIES_MAX):
            told = await self._ask(
                "cancel", "DELETE", f"bookings/{booking_id}", booking_id=booking_id
            )
            if told.type == "ok" or (told.type == "fail" and told.code != "payment_in_progress"):
                break
            await self._think()

    # --- asking ------------------------------------------------------------------------------

    async def _insist(self, f: str, path: str, body: Any, *, key: str | None, **facts: Any) -> Told:
        """With a key it is safe to ask again, so most do when they hear nothing."""
        told = await self._ask(f, "POST", path, body, key=key, **facts)
        for _ in range(TRIES_MAX):
            if told.type != "unknown" or key is None or self._is(0.15):
                break
            await self._think()
            told = await self._ask(f, "POST", path, body, key=key, **facts)
        return told

    async def _ask(
        self,
        f: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        **facts: Any,
    ) -> Told:
        url = f"{self.url}/api/v1/{path}"
        return await self.desk.ask(
            self.name, f, method, url, bearer=self._token or None, json=body, key=key, **facts
        )

    # --- chance ------------------------------------------------------------------------------

    async def _think(self) -> None:
        await asyncio.sleep(self.chance.expovariate(1 / self.think_s))

    def _is(self, share: float) -> bool:
        return self.chance.random() < share

    def _one_of(self, shares: Mapping[str, int]) -> str:
        return self.chance.choices(list(shares), weights=list(shares.values()))[0]

    def _number_of(self, shares: Mapping[int, int]) -> int:
        return self.chance.choices(list(shares), weights=list(shares.values()))[0]

    def _key(self, share: float) -> str | None:
        if not self._is(share):
            return None
        self._keys += 1
        return f"{self.name}-{self._keys}"


async def trade(buyers: Sequence[Buyer], enough: Awaitable[None]) -> None:
    """Let all of them trade at once, until it is enough."""
    trading = [asyncio.create_task(buyer.trade(), name=buyer.name) for buyer in buyers]
    until = asyncio.ensure_future(enough)
    try:
        # None of them ever ends by itself: one that does has met something it does not understand.
        ended, _ = await asyncio.wait([until, *trading], return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in (until, *trading):
            task.cancel()
        await asyncio.gather(until, *trading, return_exceptions=True)
