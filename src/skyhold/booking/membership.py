"""Accounts, sessions and tokens, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from skyhold.kernel.auth import Tokens, access_kind, service_kind
from skyhold.kernel.clock import Clock
from skyhold.kernel.counters import DatabaseCounters
from skyhold.kernel.db import Database
from skyhold.kernel.ended_sessions import Ended, EndedSessions
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.keys import KeyPairs, key_pairs
from skyhold.kernel.limiter import Limiter
from skyhold.kernel.passwords import Passwords
from skyhold.kernel.people import People
from skyhold.kernel.quotas import Quota
from skyhold.kernel.settings import secret

from .models.tables import Base, LimitCounterRow
from .repositories import sessions as session_rows
from .services.accounts import Accounts
from .services.refresh import Lifetimes
from .services.sessions import Sessions
from .services.throttle import Throttle
from .services.users import Users
from .settings import BookingSettings

PURGE_PERIOD_S = 60.0
PURGE_MAX = 500


@dataclass(frozen=True, slots=True)
class Membership:
    """Everything that knows people: their accounts, their sessions, the tokens they show.

    `key_pairs` is None while tokens are signed with a shared secret.
    """

    users: Users
    accounts: Accounts
    sessions: Sessions
    people: People
    passwords: Passwords
    throttle: Throttle
    service_tokens: Tokens
    key_pairs: KeyPairs | None
    jobs: tuple[Periodic, ...]

    async def close(self) -> None:
        """Ask nobody any more, and stop the threads."""
        await self.people.ended.close()
        await self.throttle.limiter.close()
        self.passwords.close()


def membership_of(
    settings: BookingSettings, db: Database, clock: Clock, service_key: str
) -> Membership:
    """Accounts, sessions and tokens as the settings want them."""
    data_dir = settings.data_dir
    user_key = secret(settings.jwt_secret, name="jwt_secret", data_dir=data_dir)
    pairs = (
        None
        if settings.jwt_keys is None
        else key_pairs(settings.jwt_keys, settings.jwt_signing_key)
    )
    tokens = Tokens(pairs or user_key, access_kind(settings.access_token_ttl_s), clock)
    ended = EndedSessions(_asking(db), ttl_s=settings.access_token_ttl_s, clock=clock)
    lifetimes = Lifetimes(
        idle_max=timedelta(seconds=settings.session_idle_max_s),
        life_max=timedelta(seconds=settings.session_max_s),
        repeat_max=timedelta(seconds=settings.refresh_repeat_max_s),
    )
    sessions = Sessions(db, tokens, ended, clock, lifetimes, user_key)
    counters = DatabaseCounters(db, Base.metadata.tables[LimitCounterRow.__tablename__], clock)
    throttle = _throttle(settings, counters, clock)
    passwords = Passwords(
        secret(settings.password_pepper, name="password_pepper", data_dir=data_dir),
        cost=settings.bcrypt_cost,
        waiting_max=settings.password_waiting_max,
        older=settings.older_peppers,
    )
    purge = partial(sessions.purge, PURGE_MAX)
    return Membership(
        users=Users(db, passwords, sessions, throttle, clock),
        accounts=Accounts(db, passwords, sessions, throttle, clock),
        sessions=sessions,
        people=People(tokens, ended),
        passwords=passwords,
        throttle=throttle,
        service_tokens=Tokens(service_key, service_kind("booking"), clock),
        key_pairs=pairs,
        jobs=(
            Periodic("purge_sessions", PURGE_PERIOD_S, purge, PURGE_MAX),
            Periodic(
                "purge_counters", PURGE_PERIOD_S, partial(counters.purge, PURGE_MAX), PURGE_MAX
            ),
        ),
    )


def _throttle(settings: BookingSettings, counters: DatabaseCounters, clock: Clock) -> Throttle:
    limiter = (
        Limiter.by_storage(counters, clock)
        if settings.redis_url is None
        else Limiter.by_redis(settings.redis_url, settings.redis_timeout_s)
    )
    return Throttle(
        limiter,
        of_account=Quota.of("login", settings.login_limit),
        of_address=Quota.of("login_address", settings.login_address_limit),
        of_registering=Quota.of("register", settings.register_limit),
    )


def _asking(db: Database) -> Callable[[Ended], Awaitable[Sequence[Ended]]]:
    """How this process hears of the others: they share the database."""

    async def ask(after: Ended) -> Sequence[Ended]:
        async with db.read() as tx:
            return await session_rows.ended_after(tx, after)

    return ask
