"""The listener: a queue of our own on the broker, which gets every event that is told.

It is connected to the broker itself and not to the wire that the rig cuts: what does not come here
was not delivered.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from .run import Run

EXCHANGE = "skyhold.events"  # docs/asyncapi.json
PREFETCH_MAX = 100
RETRY_S = 0.5


class Listener:
    """Writes every message down, then acknowledges it."""

    def __init__(self, run: Run) -> None:
        assert run.amqp_url, "there is no broker to listen to"
        self._url = run.amqp_url
        self._exchange = f"{run.amqp_prefix}{EXCHANGE}"
        self._queue = f"{run.amqp_prefix}faults.listener"
        self._journal = run.journal("events")
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Once this returns nothing that is published escapes."""
        self._task = asyncio.create_task(self._run(), name="listener")
        await self._listening.wait()

    async def stop(self) -> None:
        """Stop, and remove the queue."""
        assert self._task is not None, "it was never started"
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        with suppress(Exception):
            connection = await aio_pika.connect(self._url, timeout=5)
            async with connection, connection.channel() as channel:
                await channel.queue_delete(self._queue)
        self._journal.close()

    async def _run(self) -> None:
        while True:
            with suppress(Exception):  # the broker went away: what is unanswered comes again
                await self._listen()
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        connection = await aio_pika.connect(self._url, timeout=5)
        async with connection, connection.channel() as channel:
            await channel.set_qos(prefetch_count=PREFETCH_MAX)
            exchange = await channel.declare_exchange(
                self._exchange, aio_pika.ExchangeType.TOPIC, durable=True
            )
            # A queue of the same kind as the services': what one keeps, so does the other.
            queue = await channel.declare_queue(
                self._queue, durable=True, arguments={"x-queue-type": "quorum"}
            )
            await queue.bind(exchange, "#")
            self._listening.set()
            async with queue.iterator() as messages:
                async for message in messages:
                    self._journal.write(_line(message))
                    await message.ack()


def _line(message: AbstractIncomingMessage) -> dict[str, object]:
    event = json.loads(message.body)
    return {
        "at": time.time(),
        "id": event["id"],
        "type": event["type"],
        "subject": event["subject"],
        "sequence": int(event["sequence"]),
        "redelivered": bool(message.redelivered),
        "data": event["data"],
    }
