"""The sandbox provider, near and far."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from uvicorn import Config, Server

from skyhold.booking.clients.payments.port import Charge
from skyhold.booking.clients.payments.sandbox import RemoteBooks, SandboxProvider
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import PyreqwestTransport, ServiceClient
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from skyhold.kernel.ids import new_id
from skyhold.kernel.money import Money
from skyhold.sandbox.app import create_app
from skyhold.sandbox.ledger import Ledger
from skyhold.sandbox.settings import SandboxSettings
from support.system import eventually

PRICE = Money(12_900, "USD")
CLOCK = FrozenClock(datetime(2026, 12, 1, tzinfo=UTC))


def ledger_in(folder, *, clock=CLOCK, slow_s=0.5):
    """The sandbox's ledger in this folder."""
    db = Database(f"sqlite:///{folder / 'sandbox.db'}")
    return Ledger(db, clock, slow_s=slow_s, page_url="http://sandbox.test")


def app_over(ledger, folder):
    """The sandbox provider's application over this ledger."""
    return create_app(ledger, SandboxSettings(_env_file=None, data_dir=folder))


@asynccontextmanager
async def served(ledger, folder):
    """The sandbox provider on a port of this machine; answers where."""
    config = Config(app_over(ledger, folder), port=0, log_config=None, timeout_graceful_shutdown=1)
    server = Server(config)
    serving = asyncio.create_task(server._serve())

    async def it_listens():
        return server.started

    await eventually(it_listens)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def far(url, *, timeout_s=5.0):
    """The provider as it is called over HTTP."""
    client = ServiceClient(
        PyreqwestTransport(url, timeout_s=timeout_s),
        party="sandbox",
        breaker=Breaker("sandbox", failures_max=1_000, pause_s=1),
        authorize=lambda: "sandbox",
        deadline_s=timeout_s,
    )
    return SandboxProvider(RemoteBooks(client))


def a_charge(token="tok_visa", amount=PRICE):
    """A payment that nobody has asked for yet."""
    return Charge(new_id(), amount, token, None, CLOCK.now())
