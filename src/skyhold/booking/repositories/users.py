"""Users."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select, update

from skyhold.booking.models.tables import UserRow
from skyhold.booking.models.user import Role, User
from skyhold.kernel.db import ReadTx, Tx


async def add(tx: Tx, user: User) -> None:
    """Write a new user. Raises Duplicate when the e-mail is taken."""
    await tx.run(insert(UserRow), [asdict(user)])


async def by_email_key(tx: ReadTx, key: str) -> User | None:
    """The account with this e-mail."""
    row = await tx.row(select(UserRow.__table__).where(UserRow.email_key == key))
    return None if row is None else _user(row)


async def by_id(tx: ReadTx, user_id: str) -> User | None:
    """One account."""
    row = await tx.row(select(UserRow.__table__).where(UserRow.id == user_id))
    return None if row is None else _user(row)


async def change_password_hash(tx: Tx, user_id: str, *, old: str, new: str) -> bool:
    """Replace a hash by another one of the same password, unless it has changed meanwhile."""
    changed = await tx.run(
        update(UserRow)
        .where(UserRow.id == user_id, UserRow.password_hash == old)
        .values(password_hash=new)
    )
    return changed == 1


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        email=row.email,
        email_key=row.email_key,
        password_hash=row.password_hash,
        role=Role(row.role),
        created_at=row.created_at,
    )
