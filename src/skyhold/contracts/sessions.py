"""Sessions that have ended before their tokens: what the booking service tells those who ask."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict

SCOPE = "sessions"


class EndedSession(BaseModel):
    """One of them, and when it ended."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    session_id: str
    ended_at: AwareDatetime


class EndedSessionsPage(BaseModel):
    """Some of them, the oldest first. Whoever wants more asks again, after the last of these."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    data: list[EndedSession]
