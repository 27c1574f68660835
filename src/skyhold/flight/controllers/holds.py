"""Holds, for other services only. Every call may be repeated without harm."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response

from skyhold.contracts.holds import (
    IDS_MAX,
    PAGE_MAX,
    CommandAnswers,
    Commands,
    Hold,
    HoldFacts,
    HoldsPage,
    HoldWanted,
)
from skyhold.contracts.refusals import HOLD_REFUSALS
from skyhold.flight.errors import (
    HoldConfirmed,
    HoldEnded,
    HoldNotFound,
    HoldRequestDiffers,
    SeatUnavailable,
    SessionsUnknown,
)
from skyhold.flight.schemas.holds import to_answers, to_wire
from skyhold.flight.services.holds import Holds
from skyhold.flight.services.inventory import Inventory
from skyhold.kernel.http.identity import SERVICE_DOCUMENTED, ServicesOnly, calling_service
from skyhold.kernel.http.openapi import answers
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.http.written import Written
from skyhold.kernel.ids import UUID
from skyhold.kernel.types import PLAIN_NUMBER, Matching

router = Routes(
    prefix="/api/v1/holds",
    tags=["holds"],
    dependencies=SERVICE_DOCUMENTED,
    responses=documented(ServicesOnly, SessionsUnknown),
)


async def holds_of(request: Request) -> Holds:
    """The holds that this application was wired with."""
    holds: Holds = request.app.state.flight.holds
    return holds


async def inventory_of(request: Request) -> Inventory:
    """The inventory that this application was wired with."""
    inventory: Inventory = request.app.state.flight.inventory
    return inventory


_THIS = {"hold_id": "$response.body#/hold_id"}
_MOVES = dict.fromkeys(("get_hold", "confirm_hold", "mend_claims", "release_hold"), _THIS)

Service = Annotated[str, Depends(calling_service("holds"))]
SeatHolds = Annotated[Holds, Depends(holds_of)]
SeatInventory = Annotated[Inventory, Depends(inventory_of)]
HoldId = Annotated[str, Path(description="Chosen by the caller"), UUID]
After = Annotated[
    Annotated[str, Matching(r"[\x21-\x7e]{1,36}", says="must be the `next` of a page")] | None,
    Query(description="Where the page before ended: its `next`"),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX), PLAIN_NUMBER]
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


@router.post("/batch", summary="Many of the calls below in one", response_model=CommandAnswers)
async def carry_out(holds: SeatHolds, client: Service, body: Commands) -> Written:
    """Carried out in their order; each is answered, or refused, as if it had come alone."""
    outcomes = await holds.carry_out(client, body.commands)
    return to_answers(outcomes, holds.now())


@router.put(
    "/{hold_id}",
    status_code=201,
    summary="Hold seats: all of them or none",
    responses=documented(*HOLD_REFUSALS, HoldNotFound, HoldEnded, HoldRequestDiffers)
    | answers(200, model=Hold, description="The hold was there already", leads_to=_MOVES)
    | answers(201, leads_to=_MOVES),
)
async def put_hold(
    holds: SeatHolds, client: Service, hold_id: HoldId, body: HoldWanted, response: Response
) -> Hold:
    """The same id and request answer the same hold, however often they come."""
    decision = await holds.put(hold_id, client, body)
    response.status_code = 201 if decision.created else 200
    return to_wire(decision.hold, holds.now())


@router.put(
    "/{hold_id}/confirmation",
    summary="Make a hold final",
    responses=documented(HoldNotFound, HoldEnded),
)
async def confirm_hold(holds: SeatHolds, client: Service, hold_id: HoldId) -> Hold:
    """After this the seats are sold; only a cancellation frees them."""
    return to_wire(await holds.confirm(hold_id, client), holds.now())


@router.put(
    "/{hold_id}/claims",
    summary="Let the claims be what the hold says",
    responses=documented(HoldNotFound, SeatUnavailable),
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


@router.get("/{hold_id}", summary="How a hold stands", responses=documented(HoldNotFound))
async def get_hold(holds: SeatHolds, client: Service, hold_id: HoldId) -> Hold:
    """For its own service; for any other it does not exist."""
    return to_wire(await holds.get(hold_id, client), holds.now())
