"""Sessions on every engine, from two processes at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from limits.aio.storage import MemoryStorage
from sqlalchemy import select

from skyhold.booking.errors import InvalidRefreshToken, WrongPassword
from skyhold.booking.models.session import Session, SessionEnd
from skyhold.booking.models.tables import RefreshTokenRow, SessionRow
from skyhold.booking.repositories import sessions, users
from skyhold.booking.services.accounts import Accounts
from skyhold.booking.services.refresh import Lifetimes
from skyhold.booking.services.sessions import Sessions
from skyhold.booking.services.throttle import Throttle
from skyhold.kernel.auth import InvalidToken, Tokens, access_kind
from skyhold.kernel.ended_sessions import Ended, EndedSessions
from skyhold.kernel.ids import new_id
from skyhold.kernel.limiter import Limiter
from skyhold.kernel.passwords import Hashed, Passwords
from skyhold.kernel.quotas import Quota

LIFETIMES = Lifetimes(timedelta(days=14), timedelta(days=30), timedelta(seconds=10))
OFF = Quota.of("any", "off")
SECRET = "a-secret-for-tests-that-is-long-enough"


@pytest.fixture
def replica(desk, connect, clock):
    """The sessions of one process; several share the database."""

    def make():
        db = connect()

        async def ask(after):
            async with db.read() as tx:
                return await sessions.ended_after(tx, after)

        tokens = Tokens(SECRET, access_kind(600), clock)
        ended = EndedSessions(ask, ttl_s=600, clock=clock)
        return Sessions(db, tokens, ended, clock, LIFETIMES, SECRET)

    return make


@pytest.fixture
async def two(replica):
    return replica(), replica()


async def rows(desk, table):
    async with desk.read() as tx:
        return await tx.rows(select(table))


async def outcome(work):
    try:
        return await work
    except (InvalidRefreshToken, WrongPassword, InvalidToken) as refusal:
        return refusal


async def test_of_many_refreshes_at_two_processes_one_is_made(two, ada, desk):
    here, there = two
    granted = await here.begin(ada, "a browser")
    for _ in range(3):
        replies = await asyncio.gather(
            *(process.refresh(granted.refresh_token) for process in (here, there) for _ in range(8))
        )
        assert len({reply.refresh_token for reply in replies}) == 1
        granted = replies[0]
    tokens = await rows(desk, RefreshTokenRow)
    assert sorted(token.used_at is None for token in tokens) == [False, False, False, True]
    (session,) = await rows(desk, SessionRow)
    assert session.ended_at is None


async def test_a_token_is_used_up_once(two, ada, desk, now):
    granted = await two[0].begin(ada, None)
    (token,) = await rows(desk, RefreshTokenRow)
    used = await asyncio.gather(
        *(desk.transact(lambda tx: sessions.use_token(tx, token.digest, now=now)) for _ in range(8))
    )
    assert sorted(used) == [False] * 7 + [True]
    assert granted.session_id == token.session_id


async def test_after_a_change_of_the_password_no_login_with_the_old_one_is_left(two, ada, desk):
    here, there = two
    new = Hashed("y" * 60, None)

    async def change(tx):
        assert await users.change_password(tx, ada.id, old=ada.password_hash, new=new)
        now = ada.created_at
        return await sessions.end_all(tx, ada.id, SessionEnd.PASSWORD_CHANGED, now=now)

    await asyncio.gather(
        *(here.begin(ada, None) for _ in range(6)),
        desk.transact(change),
        *(there.begin(ada, None) for _ in range(6)),
    )
    assert [
        session.ended_by for session in await rows(desk, SessionRow) if not session.ended_at
    ] == []
    assert await here.begin(ada, None) is None


async def test_what_ended_is_told_in_order_and_from_any_place_on(desk, ada, clock):
    ended = []
    for number in range(5):
        if number % 2:
            clock.advance(seconds=1)
        session = Session(new_id(), ada.id, None, clock.now(), clock.now(), clock.now(), None, None)
        await desk.transact(lambda tx, it=session: sessions.add(tx, it))
        at = clock.now()
        await desk.transact(
            lambda tx, it=session, at=at: sessions.end(tx, it.id, SessionEnd.LOGOUT, now=at)
        )
        ended.append(Ended(at, session.id))
    ended.sort()
    async with desk.read() as tx:
        for place in range(5):
            assert await sessions.ended_after(tx, ended[place]) == ended[place + 1 :]


async def test_the_end_of_a_session_is_heard_by_the_other_process(two, ada):
    here, there = two
    granted = await here.begin(ada, None)
    await there.end(granted.session_id)
    with pytest.raises(InvalidToken):
        await here._ended.check(granted.session_id)


async def test_who_deletes_an_account_whose_password_has_just_changed_is_refused(
    desk, connect, two, ada, clock, monkeypatch
):
    passwords = Passwords("a pepper", cost=4, waiting_max=8)
    throttle = Throttle(Limiter(MemoryStorage(), now=lambda: 0.0), OFF, OFF, OFF)
    accounts = Accounts(connect(), passwords, two[0], throttle, clock)

    async def matches(*_):
        """It does, and in this very moment it is changed elsewhere."""
        new = Hashed("y" * 60, None)
        await desk.transact(
            lambda tx: users.change_password(tx, ada.id, old=ada.password_hash, new=new)
        )
        return True

    monkeypatch.setattr(passwords, "matches", matches)
    with pytest.raises(WrongPassword):
        await accounts.delete(ada.id, "the old password", None)
    async with desk.read() as tx:
        assert (await users.by_id(tx, ada.id)).email == ada.email
    passwords.close()
