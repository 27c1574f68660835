"""Sessions: tokens that are used once, and logins that end when they are told to."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest
import pytest_asyncio
from sqlalchemy import select, text

from skyhold.booking.models.session import SessionEnd
from skyhold.booking.models.tables import RefreshTokenRow, SessionRow
from support.browser import a_browser, ask, logged_in, registered
from support.system import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module")
async def browser(still):
    async with a_browser(still) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def ada(browser):
    """The e-mail of someone who has registered."""
    email = f"session-{next(_numbers)}@example.com"
    await registered(browser, email)
    return email


async def refresh(browser, token):
    """As a program does it: without cookies."""
    browser.cookies.clear()
    return await ask(browser, "POST", "users/refresh", {"refresh_token": token})


async def is_logged_in(browser, tokens):
    browser.cookies.clear()
    return (await ask(browser, "GET", "users/me", token=tokens["access_token"])).status == 200


async def kept(system, tokens):
    """How a session is kept: why it ended, and how many of its refresh tokens were used."""
    sid = system.bookings.people.tokens.verify(tokens["access_token"])["sid"]
    async with system.bookings.db.read() as tx:
        ended_by = await tx.scalar(select(SessionRow.ended_by).where(SessionRow.id == sid))
        used = await tx.rows(
            select(RefreshTokenRow.used_at).where(RefreshTokenRow.session_id == sid)
        )
    return ended_by, sum(row.used_at is not None for row in used), len(used)


# --- refreshing ------------------------------------------------------------------------------


async def test_a_session_goes_on_with_fresh_tokens(still, browser, ada):
    first = await logged_in(browser, ada)
    assert (first.status, first["refresh_expires_in"]) == (200, 1_209_600)
    second = await refresh(browser, first["refresh_token"])
    assert (second.status, second.headers["cache-control"]) == (200, "no-store")
    assert second["refresh_token"] != first["refresh_token"]
    assert await is_logged_in(browser, second)
    tokens = still.bookings.people.tokens
    assert (
        tokens.verify(first["access_token"])["sid"] == tokens.verify(second["access_token"])["sid"]
    )


async def test_a_browser_refreshes_by_its_cookie(browser, ada):
    before = await logged_in(browser, ada)
    after = await ask(browser, "POST", "users/refresh")
    assert after.status == 200
    assert browser.cookies["skyhold_refresh"] == after["refresh_token"]
    assert browser.cookies["skyhold_access"] == after["access_token"]
    assert after["refresh_token"] != before["refresh_token"]


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": ""}, {"refresh_token": "x" * 43}])
async def test_without_a_token_that_was_given_out_nothing_goes_on(browser, body):
    browser.cookies.clear()
    refused = await ask(browser, "POST", "users/refresh", body)
    assert refused.status == (422 if body == {} else 401)
    if refused.status == 401:
        assert refused.code == "invalid_refresh_token"


async def test_neither_token_passes_for_the_other(browser, ada):
    tokens = await logged_in(browser, ada)
    browser.cookies.clear()
    assert (await ask(browser, "GET", "users/me", token=tokens["refresh_token"])).status == 401
    refused = await ask(browser, "POST", "users/refresh", {"refresh_token": tokens["access_token"]})
    assert refused.status in {401, 422}


async def test_whoever_lost_the_answer_gets_the_same_token_again(still, browser, ada):
    first = await logged_in(browser, ada)
    once = await refresh(browser, first["refresh_token"])
    again = await refresh(browser, first["refresh_token"])
    assert again["refresh_token"] == once["refresh_token"]
    assert (await refresh(browser, again["refresh_token"])).status == 200
    assert await kept(still, first) == (None, 2, 3)


async def test_twenty_refreshes_at_once_are_one(still, browser, ada):
    first = await logged_in(browser, ada)
    replies = await asyncio.gather(*(refresh(browser, first["refresh_token"]) for _ in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply["refresh_token"] for reply in replies}) == 1
    assert await kept(still, first) == (None, 1, 2)


async def test_a_token_used_again_later_ends_the_whole_session(still, browser, ada):
    stolen = await logged_in(browser, ada)
    current = await refresh(browser, stolen["refresh_token"])
    still.advance(seconds=11)
    refused = await refresh(browser, stolen["refresh_token"])
    assert (refused.status, refused.code) == (401, "invalid_refresh_token")
    assert not await is_logged_in(browser, current)
    assert (await refresh(browser, current["refresh_token"])).status == 401
    assert (await kept(still, stolen))[0] == SessionEnd.TOKEN_REUSED


async def test_also_within_the_grace_once_the_successor_was_used(still, browser, ada):
    stolen = await logged_in(browser, ada)
    second = await refresh(browser, stolen["refresh_token"])
    third = await refresh(browser, second["refresh_token"])
    assert (await refresh(browser, stolen["refresh_token"])).status == 401
    assert (await refresh(browser, third["refresh_token"])).status == 401
    assert (await kept(still, stolen))[0] == SessionEnd.TOKEN_REUSED


async def test_the_end_of_one_session_leaves_the_others_alone(still, browser, ada):
    other = await logged_in(browser, ada)
    stolen = await logged_in(browser, ada)
    await refresh(browser, stolen["refresh_token"])
    still.advance(seconds=11)
    await refresh(browser, stolen["refresh_token"])
    assert await is_logged_in(browser, other)
    assert (await refresh(browser, other["refresh_token"])).status == 200


async def test_an_idle_session_ends_after_two_weeks(start):
    async with start(access_token_ttl_s=600) as system, a_browser(system) as browser:
        await registered(browser, "ada@example.com")
        tokens = await logged_in(browser, "ada@example.com")
        system.advance(minutes=14 * 24 * 60 - 1)
        tokens = await refresh(browser, tokens["refresh_token"])
        assert tokens.status == 200
        system.advance(minutes=14 * 24 * 60)
        assert (await refresh(browser, tokens["refresh_token"])).status == 401


async def test_no_session_outlives_thirty_days(start):
    async with start(access_token_ttl_s=600) as system, a_browser(system) as browser:
        await registered(browser, "ada@example.com")
        tokens = await logged_in(browser, "ada@example.com")
        for _ in range(3):
            system.advance(minutes=9 * 24 * 60)
            tokens = await refresh(browser, tokens["refresh_token"])
            assert tokens.status == 200
        assert tokens["refresh_expires_in"] <= 3 * 24 * 3600
        system.advance(minutes=3 * 24 * 60)
        assert (await refresh(browser, tokens["refresh_token"])).status == 401


async def test_refresh_tokens_are_kept_as_digests_only(still, browser, ada):
    tokens = await logged_in(browser, ada)
    async with still.bookings.db.read() as tx:
        rows = await tx.rows(text("SELECT * FROM refresh_tokens"))
    assert rows
    assert tokens["refresh_token"] not in repr(rows)


async def test_the_role_of_a_fresh_token_is_the_one_of_that_moment(still, browser, ada):
    tokens = await logged_in(browser, ada)
    promote = text("UPDATE users SET role = 'staff' WHERE email = :email").bindparams(email=ada)
    await still.bookings.db.transact(lambda tx: tx.run(promote))
    verify = still.bookings.people.tokens.verify
    assert verify(tokens["access_token"])["role"] == "customer"
    assert verify((await refresh(browser, tokens["refresh_token"]))["access_token"])["role"] == (
        "staff"
    )


# --- logging out -----------------------------------------------------------------------------


async def test_after_logging_out_the_tokens_are_worth_nothing(still, browser, ada):
    tokens = await logged_in(browser, ada)
    browser.cookies.clear()
    out = await ask(browser, "POST", "users/logout", token=tokens["access_token"])
    assert out.status == 204
    assert not await is_logged_in(browser, tokens)
    assert (await refresh(browser, tokens["refresh_token"])).status == 401
    # and again, as often as one likes
    assert (await ask(browser, "POST", "users/logout", token=tokens["access_token"])).status == 204
    assert (await kept(still, tokens))[0] == SessionEnd.LOGOUT


async def test_a_browser_whose_access_token_is_gone_logs_out_by_its_refresh_cookie(browser, ada):
    tokens = await logged_in(browser, ada)
    browser.cookies.delete("skyhold_access")
    assert (await ask(browser, "POST", "users/logout")).status == 204
    assert not await is_logged_in(browser, tokens)
    assert (await refresh(browser, tokens["refresh_token"])).status == 401


async def test_nobody_can_log_out_too(browser):
    browser.cookies.clear()
    assert (await ask(browser, "POST", "users/logout")).status == 204
    assert (await ask(browser, "POST", "users/logout", token="nonsense")).status == 204


# --- my sessions -----------------------------------------------------------------------------


async def my_sessions(browser, tokens, query=""):
    browser.cookies.clear()
    return await ask(browser, "GET", f"users/me/sessions{query}", token=tokens["access_token"])


async def test_i_see_where_i_am_logged_in(browser, ada):
    browser.headers["user-agent"] = "An old phone\x09with a tab " + "x" * 300
    try:
        await logged_in(browser, ada)
        browser.headers["user-agent"] = "A desk"
        desk = await logged_in(browser, ada)
    finally:
        browser.headers["user-agent"] = "tests"
    mine = await my_sessions(browser, desk)
    assert [one["current"] for one in mine["data"]] == [True, False]
    assert mine["data"][0]["user_agent"] == "A desk"
    assert mine["data"][1]["user_agent"].startswith("An old phone")
    assert len(mine["data"][1]["user_agent"]) <= 200
    assert mine["data"][0].keys() == {
        "id",
        "user_agent",
        "created_at",
        "last_seen_at",
        "ends_at",
        "current",
    }


async def test_page_by_page(browser, ada):
    for _ in range(4):
        await logged_in(browser, ada)
    tokens = await logged_in(browser, ada)
    whole = (await my_sessions(browser, tokens))["data"]
    assert len(whole) == 5
    first = await my_sessions(browser, tokens, "?limit=3")
    rest = await my_sessions(browser, tokens, f"?limit=3&after={first['next']}")
    assert first["data"] + rest["data"] == whole
    assert rest["next"] is None


async def test_i_end_one_of_them(browser, ada):
    phone, desk = await logged_in(browser, ada), await logged_in(browser, ada)
    (phone_id,) = (
        one["id"] for one in (await my_sessions(browser, desk))["data"] if not one["current"]
    )
    path = f"users/me/sessions/{phone_id}"
    assert (await ask(browser, "DELETE", path, token=desk["access_token"])).status == 204
    assert not await is_logged_in(browser, phone)
    assert await is_logged_in(browser, desk)
    gone = await ask(browser, "DELETE", path, token=desk["access_token"])
    assert (gone.status, gone.code) == (404, "session_not_found")


async def test_i_end_all_the_others(browser, ada):
    others = [await logged_in(browser, ada) for _ in range(3)]
    mine = await logged_in(browser, ada)
    browser.cookies.clear()
    assert (
        await ask(browser, "DELETE", "users/me/sessions", token=mine["access_token"])
    ).status == 204
    assert [await is_logged_in(browser, other) for other in others] == [False] * 3
    assert await is_logged_in(browser, mine)
    assert len((await my_sessions(browser, mine))["data"]) == 1


async def test_nobody_ends_or_sees_somebody_elses(still, browser, ada, alice):
    tokens = await logged_in(browser, ada)
    sid = still.bookings.people.tokens.verify(tokens["access_token"])["sid"]
    refused = await ask(browser, "DELETE", f"users/me/sessions/{sid}", token=alice.token)
    missing = await ask(
        browser,
        "DELETE",
        "users/me/sessions/018f4b6e-3d3a-7c51-9f0a-2f1f4c1f9a77",
        token=alice.token,
    )
    assert refused.status == missing.status == 404
    assert refused.body | {"instance": ""} == missing.body | {"instance": ""}
    assert await is_logged_in(browser, tokens)
    seen = await ask(browser, "GET", "users/me/sessions", token=alice.token)
    assert sid not in {one["id"] for one in seen["data"]}


# --- races -----------------------------------------------------------------------------------


async def test_a_login_with_the_old_password_does_not_outlive_its_change(still, browser, ada):
    """However the two interleave: with the old password nobody is logged in afterwards."""
    for _ in range(5):
        mine = await logged_in(browser, ada)
        browser.cookies.clear()
        change = {"current_password": PASSWORD, "new_password": PASSWORD + "!"}
        replies = await asyncio.gather(
            *(logged_in(browser, ada) for _ in range(4)),
            ask(browser, "PUT", "users/me/password", change, token=mine["access_token"]),
            *(logged_in(browser, ada) for _ in range(4)),
        )
        assert replies.pop(4).status == 204
        assert Counter(reply.status for reply in replies).keys() <= {200, 401}
        for reply in replies:
            if reply.status == 200:
                assert not await is_logged_in(browser, reply)
        back = {"current_password": PASSWORD + "!", "new_password": PASSWORD}
        browser.cookies.clear()
        assert (
            await ask(browser, "PUT", "users/me/password", back, token=mine["access_token"])
        ).status == 204


async def test_a_refresh_and_a_logout_at_once_leave_nobody_logged_in(still, browser, ada):
    for _ in range(5):
        tokens = await logged_in(browser, ada)
        browser.cookies.clear()
        refreshed, out = await asyncio.gather(
            refresh(browser, tokens["refresh_token"]),
            ask(browser, "POST", "users/logout", token=tokens["access_token"]),
        )
        assert out.status == 204
        if refreshed.status == 200:
            assert not await is_logged_in(browser, refreshed)
            assert (await refresh(browser, refreshed["refresh_token"])).status == 401


# --- what is left ----------------------------------------------------------------------------


async def test_sessions_that_are_over_are_purged_with_their_tokens(start):
    async with start(access_token_ttl_s=600) as system, a_browser(system) as browser:
        await registered(browser, "ada@example.com")
        for _ in range(3):
            tokens = await logged_in(browser, "ada@example.com")
            await refresh(browser, tokens["refresh_token"])
        sessions = system.bookings.membership.sessions
        assert await sessions.purge(2) == 0
        system.advance(minutes=30 * 24 * 60 + 1)
        fresh = await logged_in(browser, "ada@example.com")
        assert [await sessions.purge(2), await sessions.purge(2), await sessions.purge(2)] == [
            2,
            1,
            0,
        ]
        assert await is_logged_in(browser, fresh)
        async with system.bookings.db.read() as tx:
            assert await tx.scalar(text("SELECT COUNT(*) FROM refresh_tokens")) == 1
