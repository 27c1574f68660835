from __future__ import annotations

import httpx
import pytest
from sandbox_stage import app_over, far, ledger_in, served

from skyhold.booking.clients.payments.sandbox import SandboxProvider


@pytest.fixture
async def ledger(tmp_path):
    ledger = ledger_in(tmp_path)
    yield ledger
    await ledger.close()


@pytest.fixture(params=["inside", "over HTTP"])
async def sandbox(request, ledger, tmp_path):
    """The provider as the booking service has it: its ledger inside, or a process elsewhere."""
    if request.param == "inside":
        yield SandboxProvider(ledger)
        return
    async with served(ledger, tmp_path) as url:
        provider = far(url)
        yield provider
        await provider.close()


@pytest.fixture
async def browser(ledger, tmp_path):
    """A payer's browser."""
    transport = httpx.ASGITransport(app=app_over(ledger, tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as client:
        yield client
