"""Holds, for other services only. Every call may be repeated without harm."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from skyhold.contracts.holds import IDS_MAX, PAGE_MAX, Hold, HoldFacts, HoldsPage, HoldWanted
from skyhold.flight.errors import (
    FlightNotFound,
    HoldConfirmed,
    HoldEnded,
    HoldNotFound,
    HoldRequestDiffers,
    PriceChanged,
    SeatUnavailable,
    SoldOut,
)
from skyhold.flight.schemas.holds import to_wire
from skyhold.flight.services.holds import Holds
from skyhold.flight.services.inventory import Inventory
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.errors import Unauthorized, Unavailable, Unprocessable
from skyhold.kernel.http.identity import DOCUMENTED, ServicesOnly, calling_service
from skyhold.kernel.http.problems import documented
from skyhold.kernel.ids import UUID

router = APIRouter(
    prefix="/api/v1/holds",
    tags=["holds"],
    dependencies=DOCUMENTED,
    responses=documented(Unauthorized, InvalidToken, ServicesOnly, HoldNotFound, Unavailable),
)


def holds_of(request: Request) -> Holds:
    """The holds that this application was wired with."""
    holds: Holds = request.app.state.flight.holds
    return holds


def inventory_of(request: Request) -> Inventory:
    """The inventory that this application was wired with."""
    inventory: Inventory = request.app.state.flight.inventory
    return inventory


Service = Annotated[str, Depends(calling_service("holds"))]
SeatHolds = Annotated[Holds, Depends(holds_of)]
SeatInventory = Annotated[Inventory, Depends(inventory_of)]
HoldId = Annotated[str, Path(description="Chosen by the caller"), UUID]
After = Annotated[
    str | None, Query(max_length=36, description="Where the page before ended: its `next`")
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Ids = Annotated[
    list[Annotated[str, UUID]] | None,
    Query(alias="id", max_length=IDS_MAX, description="These, instead of a page"),
]


@router.get("", summary="Holds and their claims, for comparing")
async def list_holds(
    inventory: SeatInventory,
    client: Service,
    after: After = None,
    limit: Limit = PAGE_MAX,
    ids: Ids = None,
) -> HoldsPage:
    """In the order of their ids, with claims that belong to no hold among them."""
    if ids:
        return await inventory.of(client, ids)
    return await inventory.page(client, after, limit)


@router.put(
    "/{hold_id}",
    status_code=201,
    summary="Hold seats: all of them or none",
    responses=documented(
        FlightNotFound,
        SeatUnavailable,
        SoldOut,
        PriceChanged,
        HoldEnded,
        HoldRequestDiffers,
        Unprocessable,
    )
    | {200: {"model": Hold, "description": "The hold was there already"}},
)
async def put_hold(
    holds: SeatHolds, client: Service, hold_id: HoldId, body: HoldWanted, response: Response
) -> Hold:
    """The same id and request answer the same hold, however often they come."""
    decision = await holds.put(hold_id, client, body)
    response.status_code = 201 if decision.created else 200
    return to_wire(decision.hold, holds.now())


@router.put("/{hold_id}/confirmation", summary="Make a hold final", responses=documented(HoldEnded))
async def confirm_hold(holds: SeatHolds, client: Service, hold_id: HoldId) -> Hold:
    """After this the seats are sold; only a cancellation frees them."""
    return to_wire(await holds.confirm(hold_id, client), holds.now())


@router.put(
    "/{hold_id}/claims",
    summary="Let the claims be what the hold says",
    responses=documented(SeatUnavailable),
)
async def mend_claims(inventory: SeatInventory, client: Service, hold_id: HoldId) -> HoldFacts:
    """All its seats while it is held or confirmed, none once it has ended or where there is none.

    That is so by itself, unless the database was repaired or restored in parts.
    """
    facts = await inventory.mend(client, hold_id)
    if facts is None:
        raise HoldNotFound
    return facts


@router.delete("/{hold_id}", summary="Give the seats back", responses=documented(HoldConfirmed))
async def release_hold(
    holds: SeatHolds,
    client: Service,
    hold_id: HoldId,
    cancel: Annotated[bool, Query(description="Also when the hold is confirmed")] = False,  # noqa: FBT002 - a query parameter
) -> Hold:
    """An id that is not known yet is spent by this: a PUT that arrives later is refused."""
    return to_wire(await holds.release(hold_id, client, cancel=cancel), holds.now())


@router.get("/{hold_id}", summary="How a hold stands")
async def get_hold(holds: SeatHolds, client: Service, hold_id: HoldId) -> Hold:
    """For its own service; for any other it does not exist."""
    return to_wire(await holds.get(hold_id, client), holds.now())
