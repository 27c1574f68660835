"""My account: its password, its sessions, all that is known of me, its end."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request, Response

from skyhold.booking.errors import AccountInUse, SessionNotFound, WrongPassword
from skyhold.booking.schemas.account import (
    ExportOut,
    SessionOut,
    place_of,
    to_sessions_page,
)
from skyhold.booking.schemas.users import Deletion, PasswordChange
from skyhold.booking.services.accounts import Accounts
from skyhold.kernel.http.cookies import clear_cookies
from skyhold.kernel.http.identity import DOCUMENTED, Person
from skyhold.kernel.http.pages import PAGE_DEFAULT, After, InvalidCursor, Limit, Page
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.ids import UUID
from skyhold.kernel.limiter import TooManyAttempts

from .users import Guest, OwnSessions

router = Routes(
    prefix="/api/v1/users/me",
    tags=["account"],
    dependencies=DOCUMENTED,
)


async def accounts_of(request: Request) -> Accounts:
    """The accounts that this application was wired with."""
    accounts: Accounts = request.app.state.booking.membership.accounts
    return accounts


OwnAccount = Annotated[Accounts, Depends(accounts_of)]
SessionId = Annotated[str, Path(), UUID]


@router.put(
    "/password",
    status_code=204,
    summary="Change my password",
    responses=documented(WrongPassword, TooManyAttempts),
)
async def change_password(
    account: OwnAccount, person: Person, guest: Guest, body: PasswordChange
) -> None:
    """Every other session of mine ends."""
    await account.change_password(person, body.current_password, body.new_password, guest.address)


@router.get("/sessions", summary="Where I am logged in", responses=documented(InvalidCursor))
async def list_sessions(
    sessions: OwnSessions, person: Person, limit: Limit = PAGE_DEFAULT, after: After = None
) -> Page[SessionOut]:
    """The newest first."""
    page = await sessions.page(person.user_id, after=place_of(after), limit=limit)
    return to_sessions_page(*page, person.session_id)


@router.delete("/sessions", status_code=204, summary="Log me out everywhere else")
async def end_other_sessions(sessions: OwnSessions, person: Person) -> None:
    """Ends every session of mine but this one."""
    await sessions.end_others(person.user_id, person.session_id)


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    summary="End one of my sessions",
    responses=documented(SessionNotFound),
)
async def end_session(sessions: OwnSessions, person: Person, session_id: SessionId) -> None:
    """Also the one that asks: then it is the same as logging out."""
    await sessions.end_one(person.user_id, session_id)


@router.get("/export", summary="All that is known of me")
async def export(account: OwnAccount, person: Person, response: Response) -> ExportOut:
    """The account, its sessions, its bookings with passengers, payments and timeline."""
    response.headers["Content-Disposition"] = 'attachment; filename="skyhold.json"'
    response.headers["Cache-Control"] = "no-store"
    return ExportOut.of(await account.export(person.user_id), person.session_id)


@router.post(
    "/deletion",
    status_code=204,
    summary="Delete my account",
    responses=documented(WrongPassword, AccountInUse, TooManyAttempts),
)
async def delete_account(
    account: OwnAccount, person: Person, guest: Guest, body: Deletion, response: Response
) -> None:
    """For good. What was booked and paid is kept for the books, without names."""
    await account.delete(person.user_id, body.password, guest.address)
    clear_cookies(response)
