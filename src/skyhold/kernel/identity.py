"""Who somebody is, once they have been recognised."""

from __future__ import annotations

from dataclasses import dataclass

STAFF_ROLES = frozenset({"staff", "admin"})


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who has logged in, and in which session."""

    user_id: str
    role: str
    session_id: str

    @property
    def is_staff(self) -> bool:
        """Whether they work here."""
        return self.role in STAFF_ROLES
