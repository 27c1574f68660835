"""Users."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, insert, select, update

from skyhold.booking.models.tables import UserRow
from skyhold.booking.models.user import Role, User
from skyhold.kernel.db import ReadTx, Tx
from skyhold.kernel.passwords import Hashed


def _exists() -> Any:  # noqa: ANN401 - a SQL expression
    return UserRow.erased_at.is_(None)


# Built once: of a statement that is made anew each time, the making costs more than its run.
_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_BY_IDS = select(UserRow.__table__).where(UserRow.id.in_(_IDS))
_EXISTING = select(UserRow.id).where(UserRow.id.in_(_IDS), _exists())
_LOCK = update(UserRow).where(UserRow.id.in_(_IDS), _exists()).values(ver=UserRow.ver + 1)


async def add(tx: Tx, user: User) -> None:
    """Write a new user. Raises Duplicate when the e-mail is taken."""
    await tx.run(insert(UserRow), [asdict(user)])


async def by_email_key(tx: ReadTx, key: str) -> User | None:
    """The account with this e-mail."""
    row = await tx.row(select(UserRow.__table__).where(UserRow.email_key == key))
    return None if row is None else _user(row)


async def by_id(tx: ReadTx, user_id: str) -> User | None:
    """One account, also one that was deleted."""
    return (await by_ids(tx, [user_id])).get(user_id)


async def by_ids(tx: ReadTx, user_ids: Collection[str]) -> dict[str, User]:
    """Those of these accounts that there are, also deleted ones."""
    return {row.id: _user(row) for row in await tx.rows(_BY_IDS, {"ids": list(user_ids)})}


async def claim(tx: Tx, user_id: str, *, password_hash: str) -> User | None:
    """The account, locked until the transaction ends, if this is still the hash of its password.

    Whoever changes the password, or deletes the account, comes before it or after it.
    """
    claimed = await tx.run(
        update(UserRow)
        .where(UserRow.id == user_id, UserRow.password_hash == password_hash, _exists())
        .values(ver=UserRow.ver + 1)
    )
    return await by_id(tx, user_id) if claimed else None


async def lock(tx: Tx, user_ids: Sequence[str]) -> frozenset[str]:
    """Lock these accounts until the transaction ends; answers those of them that exist.

    By a write, not by FOR UPDATE: on a cluster only what is written is seen by the other nodes.
    """
    these = {"ids": list(user_ids)}
    locked = await tx.run(_LOCK, values=these)
    if locked == len(user_ids):
        return frozenset(user_ids)
    return frozenset(row.id for row in await tx.rows(_EXISTING, these))


async def change_password(tx: Tx, user_id: str, *, old: str, new: Hashed) -> bool:
    """Replace the hash of a password, unless it has changed meanwhile. Compare and set."""
    changed = await tx.run(
        update(UserRow)
        .where(UserRow.id == user_id, UserRow.password_hash == old, _exists())
        .values(password_hash=new.hash, pepper_id=new.pepper_id, ver=UserRow.ver + 1)
    )
    return changed == 1


async def change_role(tx: Tx, user_id: str, *, old: Role, new: Role) -> bool:
    """Give another role to an account that has `old`. Compare and set."""
    changed = await tx.run(
        update(UserRow)
        .where(UserRow.id == user_id, UserRow.role == old, _exists())
        .values(role=new, ver=UserRow.ver + 1)
    )
    return changed == 1


async def erase(tx: Tx, user_id: str, *, password_hash: str, now: datetime) -> bool:
    """Take everything personal out of an account, for good. Compare and set, as above."""
    nobody = f"{user_id}@deleted.invalid"
    erased = await tx.run(
        update(UserRow)
        .where(UserRow.id == user_id, UserRow.password_hash == password_hash, _exists())
        .values(
            name="",
            email=nobody,
            email_key=nobody,
            password_hash="",
            pepper_id=None,
            erased_at=now,
            ver=UserRow.ver + 1,
        )
    )
    return erased == 1


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        email=row.email,
        email_key=row.email_key,
        password_hash=row.password_hash,
        role=Role(row.role),
        created_at=row.created_at,
        pepper_id=row.pepper_id,
        erased_at=row.erased_at,
    )
