"""Is the process alive, and can it do its work?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from pydantic import BaseModel

from skyhold.kernel.errors import NotReady

from .draining import STATE
from .problems import documented


class Health(BaseModel):
    """All is well."""

    status: str = "ok"


def health(ready: Callable[[], Awaitable[None]]) -> APIRouter:
    """The two routes a supervisor asks; `ready` raises NotReady when work cannot be done."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="The process runs")
    async def livez() -> Health:
        return Health()

    @router.get("/readyz", summary="The process can serve requests", responses=documented(NotReady))
    async def readyz() -> Health:
        if STATE.on:
            raise NotReady("The process is stopping.")
        await ready()
        return Health()

    return router
