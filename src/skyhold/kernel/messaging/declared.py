"""What stands on the broker: declared by every process, and counted."""

from __future__ import annotations

from faststream.rabbit import RabbitBroker

from .plan import Plan


async def declare(broker: RabbitBroker, plan: Plan) -> None:
    """All that the plan names, and then its readers."""
    await broker.declare_exchange(plan.events)
    dead_letters = await broker.declare_exchange(plan.dead)
    for subscription in plan.topology:
        dead = await broker.declare_queue(plan.dead_queue(subscription))
        await dead.bind(dead_letters, plan.name_of(subscription))
    # Only now the readers, each of which declares its queue on a channel of its own: what
    # one of them rejects must find its way to the dead letters.
    await broker.start()
    events = await broker.declare_exchange(plan.events)
    for subscription in plan.topology:
        queue = await broker.declare_queue(plan.queue(subscription))
        for key in subscription.keys:
            await queue.bind(events, key)


async def dead_letters(broker: RabbitBroker, plan: Plan) -> dict[str, int]:
    """How many events each queue has given up on."""
    connection = await broker.connect()
    # A channel of its own: asking for a queue that is not there would close it.
    async with connection.channel() as channel:
        found = {}
        for subscription in plan.topology:
            name = plan.dead_queue(subscription).name
            queue = await channel.declare_queue(name, passive=True)
            found[subscription.queue] = queue.declaration_result.message_count or 0
        return found
