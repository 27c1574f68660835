"""A circuit breaker: who does not answer is left alone for a while, and then tried once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from purgatory import AsyncCircuitBreakerFactory, ContextChanged
from purgatory.domain.model import CLOSED, HALF_OPENED, OpenedState

from .logging import get_logger
from .metrics import Calls

log = get_logger(__name__)


class LeftAlone(Exception):
    """The other party has failed again and again, so it was not even asked."""


class Breaker:
    """Guards the calls to one party.

    After `failures_max` failures in a row nobody is let through for `pause_s` seconds; then one
    call is, and by how that ends all are again, or none for another pause.
    """

    def __init__(self, party: str, *, failures_max: int, pause_s: float) -> None:
        self._party = party
        self._calls = Calls(party)
        self._probing = False
        self._library = AsyncCircuitBreakerFactory(failures_max, pause_s)
        self._library.add_listener(self._heard)
        self._calls.breaker(CLOSED)

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Around one call; an exception that leaves it is a failure. Raises LeftAlone."""
        if self._probing:
            raise LeftAlone
        breaker = await self._library.get_breaker(self._party)
        async with AsyncExitStack() as inside:
            try:
                await inside.enter_async_context(breaker)
            except OpenedState as error:
                error.__traceback__ = None  # the library raises one object again and again
                raise LeftAlone from None
            if breaker.context.state == HALF_OPENED:
                self._probing = True
                inside.callback(self._probed)
            yield

    def _probed(self) -> None:
        self._probing = False

    def _heard(self, party: str, what: str, event: object) -> None:
        if isinstance(event, ContextChanged):
            self._calls.breaker(event.state)
            log.warning("breaker.changed", party=party, state=event.state)
        del what
