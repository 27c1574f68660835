"""Where published events go: the port, and the bus inside the process.

The bus between processes is in `rabbit`, which is imported only where it is used.
"""

from .bus import Brokered, Bus, Event, Handler, MemoryBus, Subscription

__all__ = ["Brokered", "Bus", "Event", "Handler", "MemoryBus", "Subscription"]
