"""Letters to travellers follow from what happens to bookings and payments."""

from __future__ import annotations

from skyhold.booking.services.notify import Notifier
from skyhold.contracts.queues import NOTIFICATIONS
from skyhold.kernel.messaging import Bus


def subscribe(bus: Bus, notifier: Notifier) -> None:
    """Let the notifier hear of everything it may have to write about. Before the bus starts."""
    bus.subscribe(NOTIFICATIONS, notifier.notify)
