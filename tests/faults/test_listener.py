"""The listener is checked, against RabbitMQ itself."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import aio_pika
import pytest

from faults.listener import EXCHANGE, Listener
from faults.test_sampler import a_run
from support.servers import rabbitmq_url


@pytest.fixture
async def exchange(tmp_path):
    """An exchange of the test's own, and the run that it belongs to."""
    run = a_run(tmp_path, "", "")
    run.amqp_url, run.amqp_prefix = rabbitmq_url(), f"test-{uuid4().hex[:8]}."
    connection = await aio_pika.connect(run.amqp_url)
    async with connection, connection.channel() as channel:
        name = f"{run.amqp_prefix}{EXCHANGE}"
        yield run, await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
        await channel.exchange_delete(name)


async def test_every_event_is_written_down_and_acknowledged(exchange):
    run, events = exchange
    listener = Listener(run)
    await listener.start()
    try:
        for number, kind in enumerate(("booking.held", "payment.refunded", "flight.cancelled")):
            event = {"id": f"e{number}", "type": kind, "subject": "b", "data": {}}
            body = json.dumps(event | {"sequence": f"{number:019}"}).encode()
            await events.publish(aio_pika.Message(body), routing_key=kind)
        async with asyncio.timeout(20):
            while len(list(run.lines("events"))) < 3:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
    finally:
        await listener.stop()
    found = [(line["id"], line["type"], line["sequence"]) for line in run.lines("events")]
    assert found == [
        ("e0", "booking.held", 0),
        ("e1", "payment.refunded", 1),
        ("e2", "flight.cancelled", 2),
    ]
    async with (
        await aio_pika.connect(run.amqp_url) as connection,
        connection.channel() as channel,
    ):
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):  # it took its queue with it
            await channel.declare_queue(f"{run.amqp_prefix}faults.listener", passive=True)
