"""The bus between processes: RabbitMQ.

What stands on the broker, all of it durable:

    skyhold.events   topic exchange     every event, its type as the routing key
    <queue>          quorum queue       one for each subscription, bound by its keys
    skyhold.dead     direct exchange    what a queue gave up on, by the name of the queue
    <queue>.dead     quorum queue       where that waits for a person

Every service declares all of it, so an event finds its queue before its reader ever ran.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from aio_pika.exceptions import PublishError
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker

from skyhold.kernel.errors import Unavailable
from skyhold.kernel.logging import get_logger

from .addresses import hosts, split, with_defaults
from .bus import Event, Handler, Subscription
from .cloudevents import CONTENT_TYPE, to_bytes
from .declared import dead_letters, declare
from .hands import Hands
from .leaving import Leaving
from .plan import Plan
from .roaming import RoamingBroker, Turn

log = get_logger(__name__)

LANES = 64
HEARTBEAT_S = 10  # a broker that is silent for three times as long counts as gone
CONNECT_MAX_S = 5.0
RECONNECT_FIRST_S = 0.2
RECONNECT_MAX_S = 10.0
RECONNECT_EVERY_S = 1.0
STOP_MAX_S = 2.0


class RabbitBus:
    """Publishes events to RabbitMQ, and hands the events of its queues to their handlers.

    An event is published once the broker confirmed that it is in a queue, on disk. It is
    acknowledged once its handler returned. When the handler raised, it goes back to its queue
    after a pause that doubles with every delivery, and to the dead letters once it has come
    `delivery_limit` times more. Events of one subject are handled in the order in which they came,
    those of different subjects at once, at most `prefetch_max` of a queue.

    A URL with several hosts is that of a cluster: who loses one node goes to the next, see
    `roaming`. `prefix` stands before the names of everything on the broker, for tests.
    """

    lanes = LANES

    def __init__(
        self,
        url: str,
        *,
        source: str,
        topology: Sequence[Subscription],
        publish_timeout_s: float = 5.0,
        prefetch_max: int = 20,
        delivery_limit: int = 10,
        prefix: str = "",
    ) -> None:
        self._hosts = hosts(url)
        name = source.strip("/").replace("/", "-")
        self._turn = Turn(
            [with_defaults(one, heartbeat_s=HEARTBEAT_S, name=name) for one in split(url)]
        )
        self._source = source
        self._plan = Plan(tuple(topology), prefix, delivery_limit)
        self._publish_timeout_s = publish_timeout_s
        self._prefetch_max = prefetch_max
        self._handlers: dict[str, Handler] = {}
        self._broker: RoamingBroker | None = None  # once everything is declared on it
        self._opening: asyncio.Task[None] | None = None
        self._hands = Hands(delivery_limit)
        self._leaving = Leaving(self._hands.closes_within)
        self._tried = asyncio.Event()
        self._connected = False
        self._told_lost = ""
        self._told_refused: set[str] = set()

    @property
    def connected(self) -> bool:
        """Whether the broker is within reach, with everything declared on it."""
        return self._connected

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        """Call `handler` with the events of this queue, which must be one of the topology."""
        assert self._opening is None, "subscribe before start"
        assert subscription in self._plan.topology, f"{subscription.queue} is not declared"
        assert subscription.queue not in self._handlers, f"{subscription.queue} has its handler"
        self._handlers[subscription.queue] = handler

    async def start(self) -> None:
        """Connect; when that fails the first time, go on trying in the background."""
        if self._opening is not None:
            return
        self._opening = asyncio.create_task(self._open(), name="rabbit")
        await self._tried.wait()

    async def close(self) -> None:
        """Finish the events in hand, as far as they end soon; the others come again."""
        self._hands.closing.set()
        if self._opening is not None:
            await self._opening  # not cancelled: what it has half opened would stay open
        await self._hands.close()
        await self._leaving.ended()
        if self._broker is not None:
            await _stop(self._broker)
            self._broker = None
        self._connected = False

    async def publish(self, event: Event) -> bool:
        """True once the broker has the event on disk in every queue that wants it.

        False when no queue does, when the broker is out of reach, and when its confirmation did
        not come in time: then it may have it all the same, so it may come twice.
        """
        if self._broker is None or not self._connected:
            return False
        if not event.source:
            event = replace(event, source=self._source)
        began_at = time.monotonic()
        try:
            async with asyncio.timeout(self._publish_timeout_s):
                await self._send(self._broker, event)
        except asyncio.CancelledError:
            # The client library cancels those who wait for a confirmation when it gives up a
            # connection. If it was not us who are cancelled, that is an answer like any other.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return False
        except (ConnectionError, RuntimeError):
            return False  # the connection is lost, or its channel; that is told where it happens
        except Exception as error:  # noqa: BLE001 - it was not confirmed, however it failed
            # By its name only: what it says may repeat the event.
            self._note_refused(event, type(error).__name__)
            nothing_is = not self._leaving.was_confirmed_since(began_at)
            if nothing_is and not isinstance(error, PublishError):
                self._leaving.begin(partial(self._leave, self._broker))
            return False
        self._told_refused.clear()
        self._leaving.confirmed()
        return True

    async def _leave(self, broker: RoamingBroker) -> None:
        log.info("bus.looks_elsewhere", hosts=self._hosts)
        await _quietly(broker.leave())

    async def _send(self, broker: RabbitBroker, event: Event) -> None:
        await broker.publish(
            to_bytes(event),
            exchange=self._plan.events,
            routing_key=event.type,
            mandatory=True,
            persist=True,
            message_id=event.id,
            message_type=event.type,
            correlation_id=event.request_id or event.id,
            content_type=CONTENT_TYPE,
            timestamp=event.occurred_at,
        )

    def _note_refused(self, event: Event, error: str) -> None:
        if error not in self._told_refused:
            self._told_refused.add(error)
            log.warning("event.not_taken", id=event.id, type=event.type, error=error)

    # --- the connection ----------------------------------------------------------------------

    async def _open(self) -> None:
        """Connect and declare everything, again and again until it is done.

        From then on the client library reconnects by itself, to the next node when there are
        several, and restores what it declared.
        """
        _silence()
        pause_s = RECONNECT_FIRST_S
        while True:
            broker = self._make_broker()
            try:
                await broker.connect()
                async with asyncio.timeout(CONNECT_MAX_S):
                    await declare(broker, self._plan)
            except Exception as error:  # noqa: BLE001 - whatever it is, events wait in the outbox
                self._lost(error)
                await _stop(broker)
            else:
                self._broker = broker
                self._found()
                return
            finally:
                self._tried.set()
            if await self._hands.closes_within(pause_s):
                return
            pause_s = min(pause_s * 2, RECONNECT_MAX_S)

    def _make_broker(self) -> RoamingBroker:
        def lost(_: object, error: BaseException | None) -> None:
            # One that was given up may tell of its end after the next one has begun.
            if broker is self._broker:
                self._lost(error)

        broker = RoamingBroker(
            self._turn,
            timeout=CONNECT_MAX_S,
            reconnect_interval=RECONNECT_EVERY_S,
            default_channel=Channel(on_return_raises=True),
            app_id=self._source,
            ack_policy=AckPolicy.MANUAL,
            graceful_timeout=STOP_MAX_S,
            on_close=[lost],
            on_reconnected=[lambda _: self._found()],
            apply_types=False,
            logger=None,
        )
        for subscription in self._plan.topology:
            handler = self._handlers.get(subscription.queue)
            if handler is not None:
                broker.subscriber(
                    self._plan.queue(subscription),
                    self._plan.events,
                    channel=Channel(prefetch_count=self._prefetch_max),
                    no_reply=True,
                    decoder=_as_it_is,
                )(self._hands.taker(subscription.queue, handler))
        return broker

    def _lost(self, error: BaseException | None) -> None:
        """Say it once for each kind of error, and not at every attempt to reconnect."""
        self._connected = False
        kind = type(error).__name__
        if self._told_lost != kind and not self._hands.closing.is_set():
            self._told_lost = kind
            log.warning(
                "bus.out_of_reach",
                host=self._hosts,
                error=repr(error),
                hint="it is tried again and again; if it runs, are address, account and vhost of "
                "AMQP_URL right, and is DELIVERY_LIMIT that of the queues?",
            )

    def _found(self) -> None:
        self._connected = True
        self._told_lost = ""
        log.info("bus.connected", queues=sorted(self._handlers))

    async def dead_letters(self) -> dict[str, int]:
        """How many events each queue has given up on. Raises when the broker is out of reach."""
        if self._broker is None or not self._connected:
            raise Unavailable
        return await dead_letters(self._broker, self._plan)


async def _as_it_is(message: Any) -> Any:  # noqa: ANN401 - FastStream's types of a decoder
    """FastStream's decoder: the handler gets the message itself, to answer it."""
    return message


async def _stop(broker: RabbitBroker) -> None:
    """Close its connection, whatever state it is in."""
    await _quietly(broker.stop())


async def _quietly(ending: Awaitable[None]) -> None:
    """Until it has ended, one way or another; not for ever."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(2 * STOP_MAX_S):
            await ending


def _silence() -> None:
    """The client library logs every attempt to reconnect; this module says once what matters."""
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
