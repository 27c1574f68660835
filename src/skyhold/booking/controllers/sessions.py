"""For those who verify the tokens we issue: the keys, and which sessions have ended."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import AwareDatetime

from skyhold.contracts.sessions import SCOPE, EndedSession, EndedSessionsPage
from skyhold.kernel.ended_sessions import Ended
from skyhold.kernel.http.identity import SERVICE_DOCUMENTED, ServicesOnly, calling_service
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.types import WRITTEN_OUT, Matching

from .users import OwnSessions

KEYS_MAX_AGE_S = 300

router = Routes(tags=["for services"])
services_router = Routes(prefix="/api/v1/sessions", tags=["for services"])

Service = Annotated[str, Depends(calling_service(SCOPE))]
EndedAfter = Annotated[AwareDatetime, Query(description="An instant, with its offset"), WRITTEN_OUT]
SessionAfter = Annotated[
    Annotated[str, Matching(r"[\x21-\x7e]{0,36}", says="must be the id of a session")],
    Query(description="And of those at that very instant, after this id"),
]


@router.get("/.well-known/jwks.json", summary="The public keys of access tokens")
async def jwks(request: Request, response: Response) -> dict[str, list[dict[str, Any]]]:
    """RFC 7517; empty while tokens are signed with a shared secret."""
    response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE_S}"
    pairs = request.app.state.booking.membership.key_pairs
    return {"keys": [] if pairs is None else pairs.jwks()}


@services_router.get(
    "/ended",
    summary="Sessions that have ended before their tokens",
    dependencies=SERVICE_DOCUMENTED,
    responses=documented(ServicesOnly),
)
async def list_ended(
    sessions: OwnSessions, _: Service, ended_after: EndedAfter, session_after: SessionAfter = ""
) -> EndedSessionsPage:
    """The oldest first, up to 1,000 of them."""
    found = await sessions.ended_after(Ended(ended_after, session_after))
    told = [EndedSession(session_id=one.session_id, ended_at=one.at) for one in found]
    return EndedSessionsPage(data=told)
