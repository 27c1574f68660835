"""Queues of their own on RabbitMQ, for one stage."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel

from skyhold.contracts.queues import TOPOLOGY
from skyhold.kernel.messaging.plan import Plan
from support.servers import rabbitmq_url

EMPTY_WITHIN_S = 60
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Queues:
    """Queues of one system, and the settings that lead it to them."""

    channel: AbstractChannel
    settings: Mapping[str, str]
    names: Sequence[str]

    async def are_empty(self) -> None:
        """Wait until nothing is left to be delivered. Dead letters stay, so there may be none."""
        async with asyncio.timeout(EMPTY_WITHIN_S):
            for name in self.names:
                while await self._waiting(name):  # noqa: ASYNC110 - a broker tells when asked
                    await asyncio.sleep(0.05)

    async def _waiting(self, name: str) -> int | None:
        queue = await self.channel.declare_queue(name, passive=True)
        return queue.declaration_result.message_count


@asynccontextmanager
async def own_queues() -> AsyncIterator[Queues]:
    """Queues on RabbitMQ that nobody else has, deleted afterwards."""
    url, prefix = rabbitmq_url(), f"failpoints-{os.getpid()}-{next(_numbers)}."
    plan = Plan(TOPOLOGY, prefix, delivery_limit=0)
    names = [plan.name_of(one) for one in TOPOLOGY]
    names += [plan.dead_queue(one).name for one in TOPOLOGY]
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        try:
            yield Queues(channel, {"amqp_url": url, "amqp_prefix": prefix}, names)
        finally:
            for name in names:
                await channel.queue_delete(name)
            for exchange in (plan.events, plan.dead):
                await channel.exchange_delete(exchange.name)
