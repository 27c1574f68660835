"""The bus of events: one port, and an implementation for a single process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from structlog.contextvars import bound_contextvars

from skyhold.kernel import metrics, tracing
from skyhold.kernel.client import Unknown
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.failpoints import reach
from skyhold.kernel.ids import new_id
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to `subject`.

    `id` tells a repeat from a new event; `sequence` grows with every event of one subject, as its
    `source` counts them, the service that tells of it. `request_id` and `traceparent` (W3C Trace
    Context) say in the course of which request it happened.
    """

    id: str
    type: str
    subject: str
    sequence: int
    data: Mapping[str, Any]
    occurred_at: datetime
    source: str = ""
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A queue that outlives its readers, and the patterns of event types that go into it.

    In a pattern `*` stands for one word and `#` for any number of them: `booking.*`.
    """

    queue: str
    keys: tuple[str, ...]

    def wants(self, event_type: str) -> bool:
        """Whether events of this type go into the queue, by the rules of an AMQP topic exchange."""
        words = event_type.split(".")
        return any(_fits(key.split("."), words) for key in self.keys)


Handler = Callable[[Event], Awaitable[None]]


class Bus(Protocol):
    """Carries events to whoever subscribed to them, at least once.

    `connected` is whether publishing makes sense at the moment, and `lanes` how many events of
    different subjects it pays to publish at once.
    """

    @property
    def connected(self) -> bool:
        """Whether the bus is within reach."""
        ...

    @property
    def lanes(self) -> int:
        """How many events to publish at once."""
        ...

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        """Call `handler` with the events of this queue. Before `start`, once for each queue.

        An event whose handler raises comes again.
        """
        ...

    async def start(self) -> None:
        """Begin; a bus that is out of reach is no error, events flow once it is back."""
        ...

    async def close(self) -> None:
        """End, after the events in hand."""
        ...

    async def publish(self, event: Event) -> bool:
        """True once the event is safe with the bus; False or an exception means: try again."""
        ...


@runtime_checkable
class Brokered(Bus, Protocol):
    """A bus with a broker behind it, which keeps what a queue gave up on."""

    async def dead_letters(self) -> Mapping[str, int]:
        """How many events each queue has given up on. Raises when the broker is out of reach."""
        ...


class MemoryBus:
    """Hands every event to the handlers inside this process.

    Those of one subject one after the other; of different ones several at once, so that handlers
    can do together what waits for the same database. A handler that fails keeps the event
    unpublished, so it comes again, to all of them.
    """

    connected = True
    lanes = 32

    def __init__(self) -> None:
        self._handlers: dict[str, tuple[Subscription, Handler]] = {}
        self._trouble = Trouble()

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        """Call `handler` with the events of this queue from now on."""
        assert subscription.queue not in self._handlers, f"{subscription.queue} has its handler"
        self._handlers[subscription.queue] = (subscription, handler)

    async def start(self) -> None:
        """Nothing to begin."""

    async def close(self) -> None:
        """Nothing to end."""

    async def publish(self, event: Event) -> bool:
        """Hand the event to every handler that wants it; True when all of them took it."""
        for subscription, handler in list(self._handlers.values()):
            if subscription.wants(event.type) and not await self._hand(
                event, subscription.queue, handler
            ):
                return False
        return True

    async def _hand(self, event: Event, queue: str, handler: Handler) -> bool:
        with in_course_of(event):
            try:
                await hand_over(event, queue, handler)
            except Exception as error:  # noqa: BLE001 - whatever it was, the event comes again
                self._trouble.refused(event, queue, error)
                return False
        self._trouble.took(queue)
        return True


class Trouble:
    """Tells once what ails a handler, not again with every event while it lasts."""

    def __init__(self) -> None:
        self._ill: set[str] = set()

    def refused(self, event: Event, queue: str, error: Exception, **more: object) -> None:
        """The handler of `queue` raised `error`: logged with its trace if it was well before."""
        if queue not in self._ill:
            self._ill.add(queue)
            expected = isinstance(error, Unknown | Unavailable)
            tell = log.warning if expected else log.error
            tell(
                "event.refused",
                id=event.id,
                type=event.type,
                queue=queue,
                error=repr(error),
                exc_info=None if expected else error,
                **more,
            )

    def took(self, queue: str) -> None:
        """The handler of `queue` took an event."""
        self._ill.discard(queue)


@contextmanager
def in_course_of(event: Event) -> Iterator[None]:
    """What is logged inside belongs to the request that the event comes from, or to a new one."""
    with bound_contextvars(request_id=event.request_id or new_id()):
        yield


async def hand_over(event: Event, queue: str, handler: Handler) -> None:
    """Call the handler, as a step in the event's trace; raises what it raises."""
    attributes = {"messaging.destination.name": queue, "messaging.message.id": event.id}
    try:
        with (
            tracing.continue_from(event.traceparent),
            tracing.span(f"process {event.type}", "consumer", **attributes),
        ):
            reach("consume.received")
            await handler(event)
            reach("consume.handled")
    except Exception:
        metrics.consumed(queue, "failed")
        raise
    metrics.consumed(queue, "taken")


def _fits(pattern: Sequence[str], words: Sequence[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_fits(pattern[1:], words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and _fits(pattern[1:], words[1:])
