"""What is told of a flight's seats while somebody looks at them."""

from __future__ import annotations

from typing import Any

from starlette.responses import PlainTextResponse, Response

from skyhold.web.api import Api
from skyhold.web.live import NotNow, Stream
from skyhold.web.visit import Handler, Visit, for_anybody


@for_anybody
async def seats(visit: Visit) -> Response:
    """Events for as long as it is looked at; see `skyhold.web.live`."""
    flight_id, nobody = visit.part("flight_id"), Api(visit.site)

    async def ask() -> Any:  # noqa: ANN401 - JSON
        return await nobody.get(f"/api/v1/flights/{flight_id}/seats")

    try:
        return Stream(await visit.site.live.join(flight_id, ask))
    except NotNow as error:
        headers = {"retry-after": str(error.retry_after_s)}
        return PlainTextResponse("Too many look just now.", 503, headers)


ROUTES: list[tuple[str, str, Handler]] = [
    ("/flights/{flight_id}/live", "GET", seats),
]
