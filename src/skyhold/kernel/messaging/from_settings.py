"""The bus between processes, as the settings name it."""

from __future__ import annotations

from collections.abc import Sequence

from skyhold.kernel.settings import KernelSettings

from .bus import Subscription
from .rabbit import RabbitBus


def rabbit_bus(
    settings: KernelSettings, *, source: str, topology: Sequence[Subscription]
) -> RabbitBus | None:
    """The bus that the settings name, if they name one."""
    if settings.amqp_url is None:
        return None
    return RabbitBus(
        settings.amqp_url,
        source=source,
        topology=topology,
        publish_timeout_s=settings.publish_timeout_s,
        prefetch_max=settings.prefetch_max,
        delivery_limit=settings.delivery_limit,
        prefix=settings.amqp_prefix,
    )
