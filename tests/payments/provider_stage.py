"""Payment providers behind one port, each with the levers that a test needs to pull."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from skyhold.booking.clients.payments.port import Answer, Charge, PaymentProvider
from skyhold.booking.clients.payments.sandbox import RemoteBooks, SandboxProvider
from skyhold.booking.clients.payments.stripe.provider import StripeProvider
from skyhold.booking.clients.payments.stripe.wire import Wire
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import RawReply, ServiceClient, Unknown
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from skyhold.kernel.ids import new_id
from skyhold.kernel.money import Money
from skyhold.sandbox.app import create_app
from skyhold.sandbox.ledger import Ledger
from skyhold.sandbox.settings import SandboxSettings
from support.stripe_process import API_KEY, CHALLENGED, DECLINED, VISA, StandIn

PRICE = Money(12_900, "USD")
RETURN_URL = "https://shop.example/paid"
TRIES = 4


@dataclass
class Till:
    """A provider, its tokens by what they do, and its levers."""

    provider: PaymentProvider
    clock: FrozenClock
    visa: str
    declined: str
    challenged: str
    decide: Callable[[Answer, Charge, bool], Awaitable[None]]
    refuse_captures: Callable[[Charge], Charge]
    fail_refund: Callable[[Charge], Charge]
    lose_answer: Callable[[str], None]

    def charge(self, token: str | None = None, **changed: Any) -> Charge:
        """A new attempt to pay."""
        given = {"amount": PRICE, "token": token or self.visa, "reference": None}
        return Charge(id=new_id(), created_at=self.clock.now(), **given | changed)

    async def ask(self, what: str, charge: Charge) -> Answer:
        """Ask until there is an answer, as the driver does."""
        for _ in range(TRIES):
            try:
                return await getattr(self.provider, what)(charge)
            except Unknown:
                continue
        raise AssertionError(f"no answer to {what}")

    async def state(self, charge: Charge) -> str | None:
        answer = await self.provider.get(charge)
        return None if answer is None else str(answer.state)

    async def authorised(self, charge: Charge) -> Charge:
        """The charge with its amount reserved, and with the reference that we keep then."""
        return heard(charge, await self.ask("authorise", charge))


def heard(charge: Charge, answer: Answer) -> Charge:
    """What we know of the attempt after this answer."""
    return replace(charge, reference=answer.reference or charge.reference)


@asynccontextmanager
async def sandbox(folder):
    """The ledger in this process."""
    ledger, clock = _ledger(folder)
    yield _sandbox_till(SandboxProvider(ledger), ledger, clock, _nothing_to_lose)
    await ledger.close()


@asynccontextmanager
async def remote_sandbox(folder):
    """The same as a service: everything goes over HTTP."""
    ledger, clock = _ledger(folder)
    settings = SandboxSettings(_env_file=None, data_dir=folder)
    app = httpx.ASGITransport(app=create_app(ledger, settings))
    way = _Lossy(httpx.AsyncClient(transport=app, base_url="http://sandbox.test"))
    client = ServiceClient(
        way,
        party="sandbox",
        breaker=Breaker("sandbox", failures_max=1000, pause_s=1),
        authorize=lambda: "sandbox",
        deadline_s=10,
    )
    provider = SandboxProvider(RemoteBooks(client))
    yield _sandbox_till(provider, ledger, clock, way.lose_answer)
    await provider.close()
    await ledger.close()


@asynccontextmanager
async def stripe(stand_in: StandIn, **changed: Any):
    """Stripe's library against the stand-in."""
    clock = FrozenClock(datetime.now(UTC))
    provider = stripe_provider(stand_in, clock, **changed)

    async def decide(answer: Answer, _: Charge, approve: bool) -> None:
        (intent,) = [i for i in stand_in.all_intents() if i["id"] == answer.reference]
        stand_in.answer(intent, approve=approve)

    def refuse_captures(charge: Charge) -> Charge:
        stand_in.fault("capture", "refuse", times=-1)
        return charge

    def fail_refund(charge: Charge) -> Charge:
        stand_in.refunds_become("failed")
        return charge

    yield Till(
        provider,
        clock,
        VISA,
        DECLINED,
        CHALLENGED,
        decide,
        refuse_captures,
        fail_refund,
        lambda what: stand_in.fault(OPS[what], "lose_answer"),
    )
    await provider.close()


def stripe_provider(stand_in: StandIn, clock: Any, **changed: Any) -> StripeProvider:
    breaker = Breaker("stripe", failures_max=changed.pop("failures_max", 1000), pause_s=60)
    wire = Wire(timeout_s=changed.pop("timeout_s", 10), breaker=breaker, proxies=False)
    given = {"api_key": API_KEY, "api_base": stand_in.url} | changed
    return StripeProvider(given.pop("api_key"), wire, clock, **given)


# Where a lost answer hurts most in each operation of the port.
OPS = {"authorise": "confirm", "capture": "capture", "cancel": "cancel", "refund": "refund"}


def _ledger(folder):
    clock = FrozenClock(datetime(2026, 12, 1, tzinfo=UTC))
    db = Database(f"sqlite:///{folder / 'sandbox.db'}", name="sandbox")
    return Ledger(db, clock, slow_s=0, page_url="http://sandbox.test"), clock


def _sandbox_till(provider, ledger, clock, lose_answer) -> Till:
    async def decide(_: Answer, charge: Charge, approve: bool) -> None:
        await (ledger.approve if approve else ledger.refuse)(charge.id)

    return Till(
        provider,
        clock,
        "tok_visa",
        "tok_declined",
        "tok_3ds",
        decide,
        lambda charge: replace(charge, token="tok_capture_refused"),
        lambda charge: replace(charge, token="tok_refund_fails"),
        lose_answer,
    )


def _nothing_to_lose(what: str) -> None:
    del what


class _Lossy:
    """A way on which answers get lost."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._lost: list[str] = []

    def lose_answer(self, what: str) -> None:
        self._lost.append("PUT" if what == "authorise" else f"/{what}")

    async def send(self, method, path, headers, body):
        reply = await self._http.request(method, path, headers=headers, content=body)
        for mark in self._lost:
            if f"{method}{path}".startswith(mark) or path.endswith(mark):
                self._lost.remove(mark)
                raise Unknown("lost")
        return RawReply(reply.status_code, reply.content)

    async def close(self):
        await self._http.aclose()
