"""A user: someone who books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a user may do."""

    CUSTOMER = "customer"
    STAFF = "staff"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """An account. `email` is as it was given, `email_key` is what makes it unique.

    `pepper_id` tells which pepper its password was hashed with; None for a hash from before that
    was kept. Of an account that was deleted only `id`, `role` and the instants are left.
    """

    id: str
    name: str
    email: str
    email_key: str
    password_hash: str
    role: Role
    created_at: datetime
    pepper_id: str | None = None
    erased_at: datetime | None = None


def email_key(email: str) -> str:
    """Two addresses with the same key are the same account: case does not tell people apart.

    Lower case only: folding further would make one account of straße@ and strasse@.
    """
    return email.lower()
