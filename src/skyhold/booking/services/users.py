"""Accounts: register, log in, who am I."""

from __future__ import annotations

from dataclasses import replace

from skyhold.booking import metrics
from skyhold.booking.errors import EmailTaken, LoginFailed
from skyhold.booking.models.user import Role, User, email_key
from skyhold.booking.repositories import users
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate
from skyhold.kernel.ids import new_id
from skyhold.kernel.logging import get_logger
from skyhold.kernel.passwords import Hashed, Passwords

from .sessions import Granted, Sessions
from .throttle import Throttle, Visitor

log = get_logger(__name__)

# A password that is changed, or hashed anew, just while it is looked at is looked at again.
ATTEMPTS_MAX = 3


class Users:
    """Registers people and recognises them again."""

    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        sessions: Sessions,
        throttle: Throttle,
        clock: Clock,
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = throttle
        self._clock = clock

    async def register(
        self, name: str, email: str, password: str, *, role: Role = Role.CUSTOMER
    ) -> User:
        """A new account. Raises EmailTaken, whatever the case of its letters."""
        hashed = await self._passwords.hash(password)
        user = User(
            id=new_id(),
            name=name,
            email=email,
            email_key=email_key(email),
            password_hash=hashed.hash,
            pepper_id=hashed.pepper_id,
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

    async def sign_up(self, name: str, email: str, password: str, address: str | None) -> User:
        """As above, for somebody who comes from there. Raises TooManyAttempts, EmailTaken."""
        await self._throttle.admit_registration(address)
        return await self.register(name, email, password)

    async def login(self, email: str, password: str, visitor: Visitor) -> Granted:
        """A new session. Raises TooManyAttempts; LoginFailed, as slowly for an unknown e-mail."""
        await self._throttle.admit_login(email_key(email), visitor.address)
        for _ in range(ATTEMPTS_MAX):
            user = await self._recognise(email, password)
            if user is None:
                break
            granted = await self._sessions.begin(user, visitor.user_agent)
            if granted is not None:
                await self._throttle.logged_in(user.email_key, visitor.address)
                log.info("user.logged_in", user_id=user.id, session_id=granted.session_id)
                metrics.sign_in(succeeded=True)
                return granted
        log.info("user.login_failed")
        metrics.sign_in(succeeded=False)
        raise LoginFailed

    async def get(self, user_id: str) -> User:
        """The account behind a token. Raises InvalidToken when it is gone."""
        async with self._db.read() as tx:
            user = await users.by_id(tx, user_id)
        if user is None or user.erased_at is not None:
            raise InvalidToken
        return user

    async def _recognise(self, email: str, password: str) -> User | None:
        async with self._db.read() as tx:
            user = await users.by_email_key(tx, email_key(email))
        hashed = None if user is None else Hashed(user.password_hash, user.pepper_id)
        if not await self._passwords.matches(password, hashed):
            return None
        assert user is not None, "no password matches nobody"
        assert hashed is not None, "(the same)"
        if not self._passwords.needs_rehash(hashed):
            return user
        return await self._hash_anew(user, password)

    async def _hash_anew(self, user: User, password: str) -> User:
        """Keep the hash as strong as the settings want it, now that the password is at hand."""
        new = await self._passwords.hash(password)
        await self._db.transact(
            lambda tx: users.change_password(tx, user.id, old=user.password_hash, new=new)
        )
        # If it was changed by somebody else meanwhile, this hash is not the account's, and no
        # session begins with it.
        return replace(user, password_hash=new.hash, pepper_id=new.pepper_id)

    async def _is_written(self, user: User) -> bool:
        """Whether it is this very account that stands in the way, committed by an earlier run."""
        async with self._db.read() as tx:
            return await users.by_id(tx, user.id) is not None
