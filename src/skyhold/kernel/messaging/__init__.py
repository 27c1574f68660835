"""Where published events go: the port, and the bus inside the process."""

from .bus import Bus, Event, MemoryBus, Subscription, log_event

__all__ = ["Bus", "Event", "MemoryBus", "Subscription", "log_event"]
