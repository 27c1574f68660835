"""RabbitMQ, where there is one: behind a wire that can be cut, under names of the run's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aio_pika

from support.cut import Cut
from support.servers import AMQP_DEFAULT, _speaks_amqp

from .run import Run

QUEUES = ("booking.flight_changes", "booking.notifications")
EXCHANGES = ("skyhold.events", "skyhold.dead")
VARIABLES = ("AMQP_URL", "SKYHOLD_TEST_AMQP_URL")


def url() -> str | None:
    """Where it is; None when nobody speaks AMQP there."""
    named = next((os.environ[name] for name in VARIABLES if os.environ.get(name)), AMQP_DEFAULT)
    parts = urlsplit(named)
    there = _speaks_amqp(parts.hostname or "127.0.0.1", parts.port or 5672)
    return named if there else None


@asynccontextmanager
async def wire(run: Run) -> AsyncIterator[Cut | None]:
    """The services' way to it. Afterwards nothing of the run is left on it."""
    if run.amqp_url is None:
        yield None
        return
    cut = Cut.before(run.amqp_url)
    await cut.start()
    try:
        yield cut
    finally:
        await cut.close()
        await _delete(run.amqp_url, run.amqp_prefix)


async def _delete(where: str, prefix: str) -> None:
    async with await aio_pika.connect(where) as connection, connection.channel() as channel:
        for queue in QUEUES:
            await channel.queue_delete(f"{prefix}{queue}")
            await channel.queue_delete(f"{prefix}{queue}.dead")
        for exchange in EXCHANGES:
            await channel.exchange_delete(f"{prefix}{exchange}")
