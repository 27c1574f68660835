"""Which queues there are between the services, and which events go into them.

Both services declare all of them, so an event finds its queue before its reader ever ran.
"""

from __future__ import annotations

from skyhold.kernel.messaging import Subscription

FLIGHT_CHANGES = Subscription("booking.flight_changes", ("flight.*",))
NOTIFICATIONS = Subscription("booking.notifications", ("booking.*", "payment.*"))
TOPOLOGY = (FLIGHT_CHANGES, NOTIFICATIONS)
