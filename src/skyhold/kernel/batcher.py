"""Whatever is waiting goes out together."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar

from . import tracing
from .errors import Unavailable
from .logging import get_logger
from .metrics import Batches

log = get_logger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")
# For looks and calls of which each stands for itself: a slow one does not hold up the next.
PATIENCE_S = 0.1
WAITING_MAX = 5_000
# An item, who waits for its result, and the trace it belongs to.
_Entry: TypeAlias = tuple[In, asyncio.Future[Out], str | None]


class Overloaded(Unavailable):
    """Too many requests are waiting for the same thing; please try again shortly."""

    code = "overloaded"


class Batcher(Generic[In, Out]):
    """Takes single calls and runs one function over all that are waiting.

    There is no timer: an item that finds nobody running goes out at once, alone. While a batch
    runs the next one gathers, so batches grow with the load and the cost per item falls.

    The contract:

    * order: items go out in the order they came, at most `batch_max` at a time, one batch at a
      time. With `patience_s` a batch that takes longer is not waited for: the next one goes out
      beside it, up to `lanes_max` of them;
    * isolation: `run` answers one result per item, in order; a result that is an exception is
      raised to that item's caller and to nobody else. When `run` itself raises and the batch has
      several items, each is run again alone, so one item cannot fail its neighbours (except for
      Unavailable, which says the same of all of them). `run` must therefore either take effect as
      a whole or not at all, as a transaction does;
    * cancellation: a caller that goes away before its item went out takes it along; after that
      the item is carried out, and its result dropped;
    * bounds: with `waiting_max` items waiting a further one is refused with Overloaded (503);
    * cancellation of the worker itself (the loop is being torn down) cancels who waits;
    * stopping: `close` refuses new items, lets everything that waits go out, and returns.

    In a trace a batch stands under the first of its items that has one, and is linked to the rest.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Awaitable[Sequence[Out | Exception]]],
        *,
        name: str,
        batch_max: int = 128,
        waiting_max: int = WAITING_MAX,
        patience_s: float | None = None,
        lanes_max: int = 8,
    ) -> None:
        self._run = run
        self._name = name
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._waiting: deque[_Entry[In, Out]] = deque()
        self._patience_s = patience_s
        self._lanes_max = lanes_max
        self._slow: set[asyncio.Task[None]] = set()
        self._told = Batches(name)
        self._worker: asyncio.Task[None] | None = None
        self._closed = False
        self._gone = 0  # callers that went away since the queue was last gone through

    async def submit(self, item: In) -> Out:
        """Send one item with the next batch and wait for its own result.

        Raises Overloaded when the queue is full or closed, or what `run` said of this item.
        """
        return await self._enter(item)

    async def submit_all(self, items: Sequence[In]) -> list[Out | Exception]:
        """Send them in their order and wait for all; each has its own result, or its exception."""
        entered: list[asyncio.Future[Out] | Overloaded] = []
        for item in items:
            try:
                entered.append(self._enter(item))
            except Overloaded as error:
                entered.append(error)
        answers = [one for one in entered if isinstance(one, asyncio.Future)]
        try:
            if answers:
                await asyncio.wait(answers)
        finally:
            for answer in answers:
                answer.cancel()  # for who went away; those that have come stay
        return list(map(_outcome, entered))

    def _enter(self, item: In) -> asyncio.Future[Out]:
        if self._closed or self._is_full():
            self._told.refused.inc()
            raise Overloaded
        answer: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(self._has_gone)
        self._waiting.append((item, answer, tracing.current_traceparent()))
        self._told.waiting.set(len(self._waiting))
        if self._worker is None:
            # In a context of its own: a batch belongs to no single request, in the logs either.
            self._worker = asyncio.create_task(
                self._drain(), name=f"batcher:{self._name}", context=Context()
            )
        return answer

    async def close(self) -> None:
        """Take no more items, and return when those that wait have their answers."""
        self._closed = True
        if self._worker is not None:
            # Not awaited itself: who stops waiting for it must not stop it.
            await asyncio.wait({self._worker})
        if self._slow:
            await asyncio.wait(self._slow)

    async def _drain(self) -> None:
        try:
            while batch := self._next_batch():
                await self._let_out(batch)
        finally:
            self._worker = None
            # Nobody waits by now, unless this worker was cancelled.
            for _, answer, _ in self._waiting:
                answer.cancel()
            self._waiting.clear()
            self._told.waiting.set(0)

    async def _let_out(self, batch: list[_Entry[In, Out]]) -> None:
        if self._patience_s is None:
            await self._send(batch)
            return
        sending = asyncio.create_task(self._send(batch), name=f"batch:{self._name}")
        self._slow.add(sending)
        sending.add_done_callback(self._slow.discard)
        try:
            await asyncio.wait({sending}, timeout=self._patience_s)
            if len(self._slow) >= self._lanes_max:
                await asyncio.wait(self._slow, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for slow in self._slow:
                slow.cancel()
            raise

    async def _send(self, batch: list[_Entry[In, Out]]) -> None:
        began_at = time.perf_counter()
        origins = [origin for _, _, origin in batch if origin is not None]
        try:
            with (
                tracing.continue_from(origins[0] if origins else None),
                tracing.span("batch", batcher=self._name, items=len(batch), links=origins[1:]),
            ):
                await self._carry_out(batch)
        finally:
            for _, answer, _ in batch:  # all are there by now, unless this was cancelled
                answer.cancel()
        self._told.items.observe(len(batch))
        self._told.duration.observe(time.perf_counter() - began_at)

    def _is_full(self) -> bool:
        if len(self._waiting) < self._waiting_max:
            return False
        # Callers that went away take their place along: looked for when some did, or a full queue
        # would be gone through for everybody who is turned away.
        if not self._gone:
            return True
        self._waiting = deque(entry for entry in self._waiting if not entry[1].done())
        self._gone = 0
        return len(self._waiting) >= self._waiting_max

    def _has_gone(self, answer: asyncio.Future[Out]) -> None:
        self._gone += answer.cancelled()

    def _next_batch(self) -> list[_Entry[In, Out]]:
        batch: list[_Entry[In, Out]] = []
        while self._waiting and len(batch) < self._batch_max:
            entry = self._waiting.popleft()
            if not entry[1].done():
                batch.append(entry)
        self._told.waiting.set(len(self._waiting))
        return batch

    async def _carry_out(self, batch: list[_Entry[In, Out]]) -> None:
        try:
            results = _one_each(await self._run([item for item, _, _ in batch]), len(batch))
        except Exception as error:  # noqa: BLE001 - it belongs to the callers
            if len(batch) == 1 or isinstance(error, Unavailable):
                for _, answer, _ in batch:
                    _answer(answer, error)
                return
            log.info("batch.split", batch=self._name, items=len(batch), error=repr(error))
            for single in batch:
                await self._carry_out([single])
            return
        for (_, answer, _), result in zip(batch, results, strict=True):
            _answer(answer, result)


def _one_each(results: Sequence[Out | Exception], items: int) -> Sequence[Out | Exception]:
    if len(results) != items:
        msg = f"{len(results)} results for {items} items"
        raise RuntimeError(msg)
    return results


def _outcome(entered: asyncio.Future[Out] | Overloaded) -> Out | Exception:
    if isinstance(entered, Overloaded):
        return entered
    error = entered.exception()
    if error is None:
        return entered.result()
    if not isinstance(error, Exception):
        raise error
    return error


def _answer(answer: asyncio.Future[Out], result: Out | Exception) -> None:
    if answer.done():  # the caller went away
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
