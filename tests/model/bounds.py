"""How much of the world one scenario has, and the mistake that is planted in it, if any."""

from __future__ import annotations

from dataclasses import dataclass

from .mutations import Mutation
from .world import NEVER, World


@dataclass(frozen=True)
class Bounds:
    """Who takes part, what may go wrong, and whether there is a clock that all can trust."""

    start: World
    bodies: tuple[str, ...] = ()  # the requests that Alice's page sends under her key
    rival: bool = False
    owner_cancels: bool = False
    airline_cancels: bool = False
    provider_forgets: bool = False  # a cancel that came first does not keep it from authorising
    # Without a horizon every timer may fire at any moment, as clocks that jump would have it. With
    # one all clocks run alike until then, and these are the last moments at which Alice asks for a
    # hold, and at which that request still arrives.
    horizon: int | None = None
    asks_until: int = NEVER
    arrives_until: int = NEVER
    mutation: Mutation | None = None

    def has(self, mutation: Mutation) -> bool:
        """Whether this mistake is planted."""
        return self.mutation is mutation
