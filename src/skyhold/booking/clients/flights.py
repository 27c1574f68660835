"""The flight service, as the booking service sees it.

Every call is idempotent and carries the booking's id as the hold's. It ends in one of three ways:
an answer, a refusal, or Unknown; an answer that does not make sense counts as Unknown.

Calls that are waiting travel together, see `flights_batch`.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from skyhold.booking.errors import FlightRefusal
from skyhold.contracts.holds import (
    ConfirmCommand,
    Hold,
    HoldCommand,
    HoldFacts,
    HoldsPage,
    HoldStatus,
    HoldWanted,
    ReleaseCommand,
)
from skyhold.kernel.client import Reply, ServiceClient, Unknown
from skyhold.kernel.logging import get_logger

from .flights_batch import Together, path_of

log = get_logger(__name__)

REFUSALS = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE, HTTPStatus.UNPROCESSABLE_ENTITY}
)


# What an application answers that does not know our calls at all.
NOT_OURS = frozenset({"not_found", "method_not_allowed"})


class HoldGone(Exception):
    """The hold has ended, for good."""


class HoldIsConfirmed(Exception):
    """The hold is confirmed, so a plain release does not touch it."""


class Flights:
    """Holds seats, makes holds final, gives seats back."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._together = Together(client)

    async def hold(self, hold_id: str, wanted: HoldWanted) -> Hold:
        """Hold all of these seats, or none.

        Raises HoldGone when the id is spent, FlightRefusal when the seats cannot be had, Unknown.
        """
        reply = _admitted(
            await self._together.call(HoldCommand(do="hold", hold_id=hold_id, wanted=wanted))
        )
        if _says(reply, HTTPStatus.GONE, "hold_ended"):
            raise HoldGone
        hold = _hold(reply, hold_id)
        if hold.status is not HoldStatus.HELD or hold.expires_in_s is None or hold.total is None:
            msg = f"held, and yet {hold.status}"
            raise Unknown(msg)
        if [(s.flight_id, s.cabin, len(s.seats)) for s in hold.segments] != [
            (s.flight_id, s.cabin, s.party) for s in wanted.segments
        ]:
            msg = "other seats than asked for"
            raise Unknown(msg)
        return hold

    async def confirm(self, hold_id: str) -> None:
        """Make the hold final. Raises HoldGone when it has ended, Unknown."""
        reply = _admitted(await self._together.call(ConfirmCommand(do="confirm", hold_id=hold_id)))
        # An id the flight service does not know cannot be confirmed later either.
        gone = _says(reply, HTTPStatus.GONE, "hold_ended")
        if gone or _says(reply, HTTPStatus.NOT_FOUND, "hold_not_found"):
            raise HoldGone
        if _hold(reply, hold_id).status is not HoldStatus.CONFIRMED:
            msg = "confirmed, and yet not"
            raise Unknown(msg)

    async def release(self, hold_id: str) -> None:
        """Give the seats of an unconfirmed hold back. Raises HoldIsConfirmed, Unknown."""
        reply = _admitted(await self._together.call(ReleaseCommand(do="release", hold_id=hold_id)))
        if _says(reply, HTTPStatus.CONFLICT, "hold_confirmed"):
            raise HoldIsConfirmed
        _ended(_hold(reply, hold_id))

    async def cancel(self, hold_id: str) -> None:
        """Give the seats back, confirmed or not. Raises Unknown."""
        command = ReleaseCommand(do="release", hold_id=hold_id, cancel=True)
        _ended(_hold(_admitted(await self._together.call(command)), hold_id))

    async def look(self, hold_id: str) -> Hold | None:
        """The hold as it stands, None when there is none. Raises FlightRefusal, Unknown."""
        reply = await self._call("GET", path_of(hold_id))
        if _says(reply, HTTPStatus.NOT_FOUND, "hold_not_found"):
            return None
        return _hold(reply, hold_id)

    async def page(self, after: str | None, limit: int) -> HoldsPage:
        """Our holds in the order of their ids, with claims of no hold among them. Raises Unknown.

        One that the flight service does not show on any page, it does not have.
        """
        query = {"limit": limit} | ({} if after is None else {"after": after})
        return _page(await self._call("GET", f"/api/v1/holds?{urlencode(query)}"))

    async def facts(self, hold_ids: Collection[str]) -> dict[str, HoldFacts]:
        """What there is of these holds, at one moment. Raises Unknown."""
        query = urlencode([("id", hold_id) for hold_id in hold_ids])
        page = _page(await self._call("GET", f"/api/v1/holds?{query}"))
        return {facts.hold_id: facts for facts in page.data}

    async def mend(self, hold_id: str) -> None:
        """Let the claims be what the hold says.

        Raises FlightRefusal when there is no such hold, or its seats are another's; Unknown.
        """
        reply = await self._call("PUT", f"{path_of(hold_id)}/claims")
        if reply.status in REFUSALS:
            raise _refusal(reply)

    async def close(self) -> None:
        """Let every waiting call have its answer, and close every connection."""
        await self._together.close()
        await self._client.close()

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Reply:
        return _admitted(await self._client.call(method, path, body))


def _admitted(reply: Reply) -> Reply:
    """Raises Unknown for an answer that says that we are at the wrong door."""
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        log.error("flights.not_admitted", status=reply.status, hint="is SERVICE_SECRET equal?")
        msg = f"status {reply.status}"
        raise Unknown(msg)
    if reply.body.get("code") in NOT_OURS:
        log.error("flights.not_there", status=reply.status, hint="is FLIGHT_SERVICE right?")
        msg = f"status {reply.status}, as of another service"
        raise Unknown(msg)
    return reply


def _says(reply: Reply, status: HTTPStatus, code: str) -> bool:
    """Whether this is that refusal. A proxy's 404 has the status, but not the code."""
    return reply.status == status and reply.body.get("code") == code


def _hold(reply: Reply, hold_id: str) -> Hold:
    """The hold in an answer. Raises FlightRefusal for a refusal, Unknown for nonsense."""
    if reply.status in REFUSALS:
        raise _refusal(reply)
    if reply.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
        msg = f"status {reply.status}"
        raise Unknown(msg)
    try:
        hold = Hold.model_validate(reply.body)
    except ValidationError as error:
        msg = "a hold that is none"
        raise Unknown(msg) from error
    if hold.hold_id != hold_id:
        msg = "another hold"
        raise Unknown(msg)
    return hold


def _page(reply: Reply) -> HoldsPage:
    if reply.status != HTTPStatus.OK:
        msg = f"status {reply.status}"
        raise Unknown(msg)
    try:
        return HoldsPage.model_validate(reply.body)
    except ValidationError as error:
        msg = "a page of holds that is none"
        raise Unknown(msg) from error


def _refusal(reply: Reply) -> FlightRefusal:
    code, detail = reply.body.get("code"), reply.body.get("detail")
    if not isinstance(code, str) or not isinstance(detail, str):
        msg = f"status {reply.status} without a code"
        raise Unknown(msg)
    return FlightRefusal(reply.status, code, detail)


def _ended(hold: Hold) -> None:
    if hold.status in {HoldStatus.HELD, HoldStatus.CONFIRMED}:
        msg = f"released, and yet {hold.status}"
        raise Unknown(msg)
