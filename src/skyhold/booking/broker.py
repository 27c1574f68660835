"""What can be said of a broker, if there is one: for /metrics and for the desk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from skyhold.kernel.backlog import DEAD_LETTERS
from skyhold.kernel.logging import get_logger
from skyhold.kernel.messaging import Brokered, Bus
from skyhold.kernel.observatory import Probe, Readings

from .services.backlog import Backlog
from .services.overview import DeadLetters

log = get_logger(__name__)

BROKER_MAX_S = 2.0


def probes_of(backlog: Backlog, bus: Bus) -> Mapping[str, Probe]:
    """What /metrics asks for: the backlog, and dead letters where there is a broker."""
    if not isinstance(bus, Brokered):
        return {"booking": backlog.look}

    async def dead_letters() -> Readings:
        found = await bus.dead_letters() if bus.connected else {}
        return {DEAD_LETTERS: {(queue,): count for queue, count in found.items()}}

    return {"booking": backlog.look, "dead_letters": dead_letters}


def dead_letters_of(bus: Bus) -> DeadLetters:
    """What the desk is told of them."""

    async def dead_letters() -> Mapping[str, int] | str:
        if not isinstance(bus, Brokered):
            return "There is no broker: an event that fails stays unpublished and is told again."
        try:
            async with asyncio.timeout(BROKER_MAX_S):
                return await bus.dead_letters()
        except Exception as error:  # noqa: BLE001 - the desk looks when something is wrong
            log.warning("desk.no_dead_letters", error=repr(error))
            return "The broker did not answer."

    return dead_letters
