"""The sandbox provider as a process of its own, over HTTP.

    PUT  /v1/payments/{id}                          amount_minor, currency, token
    POST /v1/payments/{id}/capture|cancel|refund
    GET  /v1/payments/{id}
    GET  /v1/payments?after=<id>&since=<time>&limit=

Each answers the payment as it then is: `state` is the answer, and 404 `payment_not_found` that
there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictStr
from starlette.types import ASGIApp

from skyhold.kernel import tracing
from skyhold.kernel.clock import Clock, clock_for
from skyhold.kernel.db import Database
from skyhold.kernel.errors import NotFound, Unavailable
from skyhold.kernel.http.application import application
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.ids import UUID
from skyhold.kernel.money import MINOR_MAX, Money

from .challenges import challenges
from .ledger import Ledger, Payment
from .settings import SandboxSettings

PAGE_MAX = 1_000


class PaymentNotFound(NotFound):
    """There is no such payment in this ledger."""

    code = "payment_not_found"


class NobodyWaits(Unavailable):
    """Whoever asked has hung up before there was an answer."""

    code = "nobody_waits"


class NewPayment(BaseModel):
    """What is to be reserved, and how the payer is charged."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    amount_minor: int = Field(ge=0, le=MINOR_MAX)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    token: StrictStr = Field(max_length=255)


class NextActionOut(BaseModel):
    """Where the payer has to go."""

    type: Literal["redirect"] = "redirect"
    url: str


class PaymentOut(BaseModel):
    """A payment as it stands."""

    id: str
    state: str
    amount_minor: int
    currency: str
    created_at: datetime
    next_action: NextActionOut | None

    @classmethod
    def of(cls, payment: Payment | None) -> PaymentOut:
        """The public form of a payment. Raises PaymentNotFound."""
        if payment is None:
            raise PaymentNotFound
        page = payment.challenge
        return cls(
            id=payment.id,
            state=payment.state,
            amount_minor=payment.amount.minor,
            currency=payment.amount.currency,
            created_at=payment.created_at.astimezone(UTC),
            next_action=None if page is None else NextActionOut(url=page),
        )


class PaymentsOut(BaseModel):
    """Some of the payments, by their ids."""

    data: list[PaymentOut]


PaymentId = Annotated[str, Path(), UUID]


def wire(settings: SandboxSettings, clock: Clock | None = None) -> Ledger:
    """The ledger that the settings name."""
    return Ledger(
        Database(settings.ledger(), name="sandbox"),
        clock or clock_for(settings.clock_file),
        slow_s=settings.sandbox_slow_s,
        page_url=settings.page_url,
    )


def create_app(ledger: Ledger, settings: SandboxSettings) -> ASGIApp:
    """The provider's interface and its page; on leaving, the ledger is closed."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await ledger.open()
        yield
        await ledger.close()
        await asyncio.to_thread(tracing.shutdown)

    routers = (payments(ledger), challenges(ledger))
    app = application("Skyhold sandbox provider", routers, lifespan, ledger.open)
    # It has no cookies; what matters is how payers reach its page.
    edge = replace(Edge.of(settings), secure=settings.page_url.startswith("https:"))
    return Gateway(app, service="sandbox", edge=edge)


def payments(ledger: Ledger) -> Routes:
    """What the customer's system calls."""
    router = Routes(prefix="/v1/payments", tags=["payments"])
    unknown = documented(PaymentNotFound)

    @router.put("/{payment_id}", summary="Reserve an amount")
    async def authorise(payment_id: PaymentId, body: NewPayment, request: Request) -> PaymentOut:
        amount = Money(body.amount_minor, body.currency)
        asked = ledger.authorise(payment_id, amount, body.token)
        return PaymentOut.of(await _while_somebody_waits(asked, request))

    @router.post("/{payment_id}/capture", summary="Collect it", responses=unknown)
    async def capture(payment_id: PaymentId) -> PaymentOut:
        return PaymentOut.of(await ledger.capture(payment_id))

    @router.post("/{payment_id}/cancel", summary="Drop it, also before it arrives")
    async def cancel(payment_id: PaymentId) -> PaymentOut:
        return PaymentOut.of(await ledger.cancel(payment_id))

    @router.post("/{payment_id}/refund", summary="Give it back", responses=unknown)
    async def refund(payment_id: PaymentId) -> PaymentOut:
        return PaymentOut.of(await ledger.refund(payment_id))

    @router.get("/{payment_id}", summary="One payment", responses=unknown)
    async def get(payment_id: PaymentId) -> PaymentOut:
        return PaymentOut.of(await ledger.get(payment_id))

    @router.get("", summary="Payments, by their ids")
    async def page(
        after: Annotated[str, Query(max_length=36)] = "",
        since: Annotated[AwareDatetime | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> PaymentsOut:
        found = await ledger.page(after=after, since=since, limit=limit)
        return PaymentsOut(data=[PaymentOut.of(payment) for payment in found])

    return router


async def _while_somebody_waits(work: Awaitable[Payment], request: Request) -> Payment:
    """An answer that never comes is not waited for once the caller has hung up."""
    answer = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise NobodyWaits
        return await answer
    finally:
        for task in (answer, gone):
            task.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
