"""Accounts: register, log in, who am I."""

from __future__ import annotations

from skyhold.booking import metrics
from skyhold.booking.errors import EmailTaken, LoginFailed
from skyhold.booking.models.user import Role, User, email_key
from skyhold.booking.repositories import users
from skyhold.kernel.auth import InvalidToken, Tokens
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate
from skyhold.kernel.ids import new_id
from skyhold.kernel.logging import get_logger
from skyhold.kernel.passwords import Passwords

log = get_logger(__name__)


class Users:
    """Registers people and recognises them again."""

    def __init__(self, db: Database, passwords: Passwords, tokens: Tokens, clock: Clock) -> None:
        self._db = db
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock

    async def register(
        self, name: str, email: str, password: str, *, role: Role = Role.CUSTOMER
    ) -> User:
        """A new account. Raises EmailTaken, whatever the case of its letters."""
        user = User(
            id=new_id(),
            name=name,
            email=email,
            email_key=email_key(email),
            password_hash=await self._passwords.hash(password),
            role=role,
            created_at=self._clock.now(),
        )
        try:
            await self._db.transact(lambda tx: users.add(tx, user))
        except Duplicate as error:
            if not (error.after_unknown and await self._is_written(user)):
                raise EmailTaken from None
        log.info("user.registered", user_id=user.id, role=role)
        return user

    async def login(self, email: str, password: str) -> tuple[User, str]:
        """The user and an access token. Raises LoginFailed, as slowly for an unknown e-mail."""
        async with self._db.read() as tx:
            user = await users.by_email_key(tx, email_key(email))
        hashed = None if user is None else user.password_hash
        if not await self._passwords.matches(password, hashed) or user is None:
            log.info("user.login_failed")
            metrics.sign_in(succeeded=False)
            raise LoginFailed
        await self._keep_hash_current(user, password)
        log.info("user.logged_in", user_id=user.id)
        metrics.sign_in(succeeded=True)
        return user, self._tokens.issue(user.id, role=user.role, sid=new_id())

    async def get(self, user_id: str) -> User:
        """The account behind a token. Raises InvalidToken when it is gone."""
        async with self._db.read() as tx:
            user = await users.by_id(tx, user_id)
        if user is None:
            raise InvalidToken
        return user

    async def _is_written(self, user: User) -> bool:
        """Whether it is this very account that stands in the way, committed by an earlier run."""
        async with self._db.read() as tx:
            return await users.by_id(tx, user.id) is not None

    async def _keep_hash_current(self, user: User, password: str) -> None:
        if not self._passwords.needs_rehash(user.password_hash):
            return
        new = await self._passwords.hash(password)
        await self._db.transact(
            lambda tx: users.change_password_hash(tx, user.id, old=user.password_hash, new=new)
        )
