"""Every story, killed at every point of it: it goes on where it was, and no law is broken."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from support.servers import rabbitmq_url

from .broker import own_queues
from .stories import STORIES


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_killed_at_any_point_it_keeps_every_law(story, theatre):
    """One system for each point, some of them side by side."""
    if story.broker:
        rabbitmq_url()  # skips without one
    runs = (_run(story, point, theatre) for point in story.points)
    failures = [error for error in await asyncio.gather(*runs) if error is not None]
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(story.points)} points", failures)


async def _run(story, point, theatre) -> Exception | None:
    try:
        async with AsyncExitStack() as stack:
            queues = await stack.enter_async_context(own_queues()) if story.broker else None
            settings = {**story.settings, **(queues.settings if queues else {})}
            stage = await stack.enter_async_context(theatre.stage(point, **settings))
            await story.tell(stage)
            await stage.come_to_rest()
            if queues is not None:
                await queues.are_empty()
    except Exception as error:  # noqa: BLE001 - told together with those of the other points
        error.add_note(f"killed at {point}")
        return error
    return None
