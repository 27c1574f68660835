"""What stands on the broker, by its name there."""

from __future__ import annotations

from dataclasses import dataclass

from faststream.rabbit import ExchangeType, QueueType, RabbitExchange, RabbitQueue

from .bus import Subscription

EVENTS = "skyhold.events"
DEAD = "skyhold.dead"


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands on the broker, by its name there."""

    topology: tuple[Subscription, ...]
    prefix: str
    delivery_limit: int

    @property
    def events(self) -> RabbitExchange:
        """Where events are published."""
        return RabbitExchange(f"{self.prefix}{EVENTS}", type=ExchangeType.TOPIC)

    @property
    def dead(self) -> RabbitExchange:
        """What queues give up on goes here."""
        return RabbitExchange(f"{self.prefix}{DEAD}", type=ExchangeType.DIRECT)

    def name_of(self, subscription: Subscription) -> str:
        """What its queue is called."""
        return f"{self.prefix}{subscription.queue}"

    def queue(self, subscription: Subscription) -> RabbitQueue:
        """Its queue, bound by the first of its keys."""
        name = self.name_of(subscription)
        return RabbitQueue(
            name,
            QueueType.QUORUM,
            routing_key=subscription.keys[0],
            arguments={
                "x-delivery-limit": self.delivery_limit,
                "x-dead-letter-exchange": f"{self.prefix}{DEAD}",
                "x-dead-letter-routing-key": name,
            },
        )

    def dead_queue(self, subscription: Subscription) -> RabbitQueue:
        """Where the dead letters of its queue wait."""
        return RabbitQueue(f"{self.name_of(subscription)}.dead", QueueType.QUORUM)
