"""GET /metrics, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from skyhold.kernel.observatory import Observatory


def metrics(observatory: Observatory) -> APIRouter:
    """The route; nothing for a traveller, so the API's document does not show it."""
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(await observatory.report(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
