"""Who works here."""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.booking.errors import AccountNotFound, RoleUnchanged
from skyhold.booking.models.session import SessionEnd
from skyhold.booking.models.user import Role, User, email_key
from skyhold.booking.repositories import sessions, users
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Staffing:
    """Makes staff of customers, and customers of staff. Their sessions end with it."""

    db: Database
    clock: Clock

    async def find(self, email: str) -> User | None:
        """The account with this e-mail."""
        async with self.db.read() as tx:
            return await users.by_email_key(tx, email_key(email))

    async def promote(self, email: str) -> None:
        """Let a customer work here. Raises AccountNotFound, RoleUnchanged."""
        await self._change(email, Role.CUSTOMER, Role.STAFF)

    async def revoke(self, email: str) -> None:
        """Let them be a customer again. Raises AccountNotFound, RoleUnchanged."""
        await self._change(email, Role.STAFF, Role.CUSTOMER)

    async def _change(self, email: str, old: Role, new: Role) -> None:
        user = await self.find(email)
        if user is None:
            raise AccountNotFound(f"There is no account with the e-mail {email}.")
        if user.role is not old:
            raise RoleUnchanged(f"{email} is {user.role}, not {old}; nothing was changed.")

        async def change(tx: Tx) -> int | None:
            if not await users.change_role(tx, user.id, old=old, new=new):
                return None
            by, now = SessionEnd.ROLE_CHANGED, self.clock.now()
            return len(await sessions.end_all(tx, user.id, by, now=now))

        ended = await self.db.transact(change)
        if ended is None:
            # Somebody was quicker; or an earlier run of ours was, and its COMMIT was not heard.
            known = await self.find(email)
            if known is None or known.role is not new:
                raise RoleUnchanged(f"{email} has changed just now; nothing was changed here.")
        log.warning("user.role_changed", user_id=user.id, was=old, now=new, sessions=ended)
