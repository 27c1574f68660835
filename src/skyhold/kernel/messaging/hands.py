"""The events of a broker that are in hand: each is handled in its turn, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from faststream.rabbit import RabbitMessage

from skyhold.kernel.failpoints import reach
from skyhold.kernel.logging import get_logger

from .bus import Event, Handler, Trouble, hand_over, in_course_of
from .cloudevents import NotAnEvent, from_bytes

log = get_logger(__name__)

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 60.0
DOUBLINGS_MAX = 12
CLOSE_MAX_S = 10.0
# What was sent back is soon here again, unless another process has it now.
BACK_WITHIN_S = 5.0


class Hands:
    """Takes messages, hands their events over, and acknowledges them or sends them back.

    What is sent back comes again after a pause that doubles with every delivery, at most
    `delivery_limit` times.
    """

    def __init__(self, delivery_limit: int) -> None:
        self.closing = asyncio.Event()
        self._delivery_limit = delivery_limit
        self._trouble = Trouble()
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._in_hand: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Finish what is in hand, as far as it ends soon; the rest comes again."""
        self.closing.set()
        if not self._in_hand:
            return
        _, late = await asyncio.wait(self._in_hand, timeout=CLOSE_MAX_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def taker(self, queue: str, handler: Handler) -> Callable[[RabbitMessage], Awaitable[None]]:
        """What a queue's messages are given to."""

        async def take(message: RabbitMessage) -> None:
            # A task of our own: the client library cancels its own when the connection is lost,
            # and a handler that is cut off in the middle may have had half of its effect.
            task = asyncio.create_task(self._take(queue, handler, message), name=f"take {queue}")
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)
            await asyncio.shield(task)

        return take

    async def _take(self, queue: str, handler: Handler, message: RabbitMessage) -> None:
        """Handle one message; it is answered, unless the connection it came by is gone."""
        try:
            event = from_bytes(message.body)
        except NotAnEvent as error:
            log.warning("event.junk", queue=queue, id=message.message_id, error=str(error))
            await _answer(message.reject(requeue=False))
            return
        async with self._in_turn(queue, event) as lane:
            if self.closing.is_set():
                return  # unanswered, it comes again
            if lane is None:
                self._expect(queue, event)
                await _answer(message.nack(requeue=True))
                return
            with in_course_of(event):
                await self._handle(queue, handler, event, message, lane)

    async def _handle(
        self, queue: str, handler: Handler, event: Event, message: RabbitMessage, lane: _Lane
    ) -> None:
        before = _deliveries_before(message)
        try:
            await hand_over(event, queue, handler)
        except Exception as error:  # noqa: BLE001 - whatever it was, the event comes again
            self._trouble.refused(event, queue, error, deliveries=before + 1)
            if before < self._delivery_limit:
                # So an outage of the handler's database does not use up all the deliveries.
                await self.closes_within(_pause_s(before))
                lane.sent_back += 1
                self._expect(queue, event)
            else:
                _note_dead(event, queue)
            reach("consume.before_send_back")
            await _answer(message.nack(requeue=True))
            reach("consume.sent_back")
        else:
            self._trouble.took(queue)
            await _answer(message.ack())
            reach("consume.acknowledged")

    async def closes_within(self, pause_s: float) -> bool:
        """Wait so long, or until it is closing; then True."""
        try:
            await asyncio.wait_for(self.closing.wait(), pause_s)
        except TimeoutError:
            return False
        return True

    @asynccontextmanager
    async def _in_turn(self, queue: str, event: Event) -> AsyncIterator[_Lane | None]:
        """Wait for the events of the same subject that came before this one.

        Also for an older one that was sent back and is not here again: a broker with a slow disk
        may be that late. Answers None when one of them was sent back to the queue meanwhile: this
        one has to go behind it, or the inbox would take it for the newer one and the other would
        never count.
        """
        key = (queue, event.subject)
        lane = self._lanes.setdefault(key, _Lane())
        lane.users += 1
        sent_back = lane.sent_back
        try:
            for older in lane.older_than(event):
                await older.has_its_turn.wait()
            async with lane.lock:
                self._expect_no_more(key, event.id)
                yield lane if lane.sent_back == sent_back else None
        finally:
            lane.users -= 1
            self._tidy(key)

    def _expect(self, queue: str, event: Event) -> None:
        """It is sent back: newer events of its subject wait for it, though not for long."""
        key = (queue, event.subject)
        self._expect_no_more(key, event.id)  # another copy of it
        timer = asyncio.get_running_loop().call_later(
            BACK_WITHIN_S, self._expect_no_more, key, event.id
        )
        self._lanes[key].expected[event.id] = _Expected(event.sequence, timer)

    def _expect_no_more(self, key: tuple[str, str], event_id: str) -> None:
        lane = self._lanes[key]
        if expected := lane.expected.pop(event_id, None):
            expected.timer.cancel()
            expected.has_its_turn.set()
        self._tidy(key)

    def _tidy(self, key: tuple[str, str]) -> None:
        lane = self._lanes[key]
        if not lane.users and not lane.expected:
            del self._lanes[key]


@dataclass(slots=True)
class _Expected:
    """An event that was sent back, until it has its turn again or its time is over."""

    sequence: int
    timer: asyncio.TimerHandle
    has_its_turn: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Lane:
    """The events of one subject that are in hand, in the order in which they came."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    sent_back: int = 0
    expected: dict[str, _Expected] = field(default_factory=dict)

    def older_than(self, event: Event) -> list[_Expected]:
        """Those that were sent back and have to come before this one."""
        return [one for one in self.expected.values() if one.sequence < event.sequence]


async def _answer(answering: Awaitable[None]) -> None:
    """Acknowledge or send back, if the connection is still there; if not, it comes again."""
    try:
        await answering
    except Exception as error:  # noqa: BLE001 - nothing else can be said about it any more
        log.debug("event.unanswered", error=repr(error))


def _deliveries_before(message: RabbitMessage) -> int:
    counted = message.headers.get("x-delivery-count")  # by a quorum queue
    return counted if isinstance(counted, int) else 0


def _note_dead(event: Event, queue: str) -> None:
    log.error("event.dead", id=event.id, type=event.type, queue=queue)


def _pause_s(deliveries: int) -> float:
    return min(RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(deliveries, DOUBLINGS_MAX))
