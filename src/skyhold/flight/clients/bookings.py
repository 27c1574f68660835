"""The booking service, as the flight service sees it: it knows the people that both let in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from skyhold.contracts.sessions import EndedSessionsPage
from skyhold.flight.errors import SessionsUnknown
from skyhold.kernel.client import Reply, ServiceClient, Unknown
from skyhold.kernel.ended_sessions import Ended


class Bookings:
    """Asks about the sessions behind access tokens, and for the keys that those are signed with."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def ended_after(self, after: Ended) -> Sequence[Ended]:
        """Sessions that ended after this one. Raises SessionsUnknown when nobody answers."""
        place = urlencode({"ended_after": after.at.isoformat(), "session_after": after.session_id})
        try:
            reply = await self._client.call("GET", f"/api/v1/sessions/ended?{place}")
            page = EndedSessionsPage.model_validate(_answered(reply))
        except (Unknown, ValidationError) as error:
            raise SessionsUnknown from error
        return [Ended(one.ended_at, one.session_id) for one in page.data]

    async def keys(self) -> list[Mapping[str, Any]]:
        """The published keys as JWKs (RFC 7517). Raises Unknown."""
        keys = _answered(await self._client.call("GET", "/.well-known/jwks.json")).get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            msg = "an answer that is no set of keys"
            raise Unknown(msg)
        return keys

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


def _answered(reply: Reply) -> Mapping[str, Any]:
    if reply.status != HTTPStatus.OK:
        msg = f"status {reply.status}: {reply.body.get('code')}"
        raise Unknown(msg)
    return reply.body
