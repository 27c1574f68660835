"""The bus between processes, as the settings name it."""

from __future__ import annotations

from collections.abc import Sequence

from skyhold.kernel.settings import KernelSettings

from .bus import Brokered, Subscription


def rabbit_bus(
    settings: KernelSettings, *, source: str, topology: Sequence[Subscription]
) -> Brokered | None:
    """The bus that the settings name, if they name one."""
    if settings.amqp_url is None:
        return None
    from .rabbit import RabbitBus  # noqa: PLC0415 - a tenth of a start, for those who have a broker

    return RabbitBus(
        settings.amqp_url,
        source=source,
        topology=topology,
        publish_timeout_s=settings.publish_timeout_s,
        prefetch_max=settings.prefetch_max,
        delivery_limit=settings.delivery_limit,
        prefix=settings.amqp_prefix,
    )
