"""What is kept of a person, as that person sees it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from skyhold.booking.models.session import Place, Session, SessionEnd
from skyhold.booking.services.accounts import Kept, Known
from skyhold.booking.services.look import View
from skyhold.kernel.http.pages import Page, from_instant_cursor, to_instant_cursor

from .bookings import BookingOut
from .payment_out import PaymentOut
from .timeline import EntryOut
from .users import UserOut


class SessionOut(BaseModel):
    """A login that still lasts."""

    id: str
    user_agent: str | None = Field(description="What the program or browser calls itself")
    created_at: datetime
    last_seen_at: datetime = Field(description="When it last logged in or refreshed its tokens")
    ends_at: datetime = Field(description="When it ends, however often it is refreshed")
    current: bool = Field(description="Whether it is the one that asks")

    @classmethod
    def of(cls, session: Session, current_id: str) -> SessionOut:
        """The public form of a session, for the one with this id."""
        return cls(
            id=session.id,
            user_agent=session.user_agent,
            created_at=session.created_at.astimezone(UTC),
            last_seen_at=session.seen_at.astimezone(UTC),
            ends_at=session.ends_at.astimezone(UTC),
            current=session.id == current_id,
        )


class PastSessionOut(SessionOut):
    """A login, also one that is over."""

    ended_at: datetime | None
    ended_by: SessionEnd | None

    @classmethod
    def of(cls, session: Session, current_id: str) -> PastSessionOut:
        """As above, with how it ended."""
        return cls(
            **dict(SessionOut.of(session, current_id)),
            ended_at=session.ended_at,
            ended_by=session.ended_by,
        )


class BookingKept(BookingOut):
    """A booking with every attempt to pay for it, and what was done to it."""

    payments: list[PaymentOut]
    timeline: list[EntryOut]


class ExportOut(BaseModel):
    """Everything that is kept of a person; passwords and tokens are kept as digests only."""

    exported_at: datetime
    account: UserOut
    sessions: list[PastSessionOut]
    bookings: list[BookingKept]

    @classmethod
    def of(cls, known: Known, current_id: str) -> ExportOut:
        """The public form of all that is known, for the session with this id."""
        return cls(
            exported_at=known.at.astimezone(UTC),
            account=UserOut.of(known.user),
            sessions=[PastSessionOut.of(session, current_id) for session in known.sessions],
            bookings=[_kept(kept, known.at) for kept in known.bookings],
        )


def place_of(cursor: str | None) -> Place | None:
    """Where the page before ended. Raises InvalidCursor."""
    return None if cursor is None else Place(*from_instant_cursor(cursor))


def to_sessions_page(
    sessions: Sequence[Session], more: Place | None, current_id: str
) -> Page[SessionOut]:
    """One page of sessions."""
    cursor = None if more is None else to_instant_cursor(more.created_at, more.session_id)
    return Page(data=[SessionOut.of(session, current_id) for session in sessions], next=cursor)


def _kept(kept: Kept, at: datetime) -> BookingKept:
    last = kept.payments[-1] if kept.payments else None
    return BookingKept(
        **dict(BookingOut.of(View(kept.booking, last, at))),
        payments=[PaymentOut.of(paid) for paid in kept.payments],
        timeline=[EntryOut.of(entry, for_owner=True) for entry in kept.log],
    )
