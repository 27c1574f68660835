"""Guessing a password gets slower and slower, for whoever guesses and for nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from skyhold.kernel.passwords import Passwords
from support.browser import SAME_ORIGIN, ask, logged_in, registered
from support.system import PASSWORD

LIMITS = {
    "login_limit": "5/minute; 10/10minutes; 20/hour",
    "login_address_limit": "30/minute; 200/hour",
    "register_limit": "10/minute; 60/hour",
}
ADA = "ada@example.com"
AT_HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def hall(start):
    return start(**LIMITS)


def at(system, address):
    """A browser at this address."""
    transport = httpx.ASGITransport(system.bookings_http._transport.app, client=(address, 1))
    return httpx.AsyncClient(
        transport=transport, base_url="http://skyhold.test", timeout=60, headers=SAME_ORIGIN
    )


async def guesses(browser, times, email=ADA):
    return Counter(
        [(await logged_in(browser, email, f"guess number {n}")).code for n in range(times)]
    )


async def test_the_wait_grows_with_the_guesses(hall):
    async with hall as system, at(system, AT_HOME) as browser:
        await registered(browser, ADA)
        assert await guesses(browser, 8) == {"login_failed": 5, "too_many_attempts": 3}
        refused = await logged_in(browser, ADA)  # not even with the right one
        assert (refused.status, refused.code) == (429, "too_many_attempts")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        system.advance(seconds=61)
        assert await guesses(browser, 8) == {"login_failed": 5, "too_many_attempts": 3}
        system.advance(seconds=61)
        refused = await logged_in(browser, ADA)
        assert 60 < int(refused.headers["retry-after"]) <= 600
        system.advance(minutes=10)
        assert (await logged_in(browser, ADA)).status == 200


async def test_a_stranger_locks_nobody_out(hall):
    async with hall as system, at(system, AT_HOME) as home, at(system, ELSEWHERE) as elsewhere:
        await registered(home, ADA)
        await guesses(elsewhere, 30)
        assert (await logged_in(elsewhere, ADA)).status == 429
        assert (await logged_in(home, ADA)).status == 200


async def test_many_guesses_at_once_are_five(hall, monkeypatch):
    looked_at, matches = [], Passwords.matches

    async def counted(self, password, hashed):
        looked_at.append(password)
        return await matches(self, password, hashed)

    monkeypatch.setattr(Passwords, "matches", counted)
    async with hall as system, at(system, AT_HOME) as browser:
        await registered(browser, ADA)
        codes = await asyncio.gather(
            *(logged_in(browser, ADA, f"guess number {n}") for n in range(25))
        )
        assert Counter(reply.code for reply in codes) == {
            "login_failed": 5,
            "too_many_attempts": 20,
        }
        assert len(looked_at) == 5


async def test_nobodys_email_is_counted_like_somebodys(hall):
    async with hall as system, at(system, AT_HOME) as browser:
        await registered(browser, ADA)
        assert await guesses(browser, 7) == await guesses(browser, 7, "nobody@example.com")


async def test_however_an_email_is_written_it_is_one_account(hall):
    async with hall as system, at(system, AT_HOME) as browser:
        await registered(browser, ADA)
        for email in (ADA, "Ada@example.com", "ADA@EXAMPLE.COM", ADA, ADA):
            await logged_in(browser, email, "a guess")
        assert (await logged_in(browser, "aDA@example.com")).status == 429


async def test_whoever_gets_it_right_begins_anew(hall):
    async with hall as system, at(system, AT_HOME) as browser:
        await registered(browser, ADA)
        for _ in range(5):
            assert await guesses(browser, 4) == {"login_failed": 4}
            assert (await logged_in(browser, ADA)).status == 200


async def test_one_address_does_not_try_one_password_on_everybody(hall):
    async with hall as system, at(system, ELSEWHERE) as browser, at(system, AT_HOME) as home:
        statuses = [
            (await logged_in(browser, f"user{n}@example.com", "Summer2027!")).status
            for n in range(35)
        ]
        assert Counter(statuses) == {401: 30, 429: 5}
        assert (await logged_in(home, "user1@example.com", "Summer2027!")).status == 401


async def test_accounts_are_not_opened_by_the_hundred(hall):
    async with hall as system, at(system, ELSEWHERE) as browser, at(system, AT_HOME) as home:
        replies = [await registered(browser, f"bot{n}@example.com") for n in range(12)]
        assert Counter(reply.status for reply in replies) == {201: 10, 429: 2}
        assert replies[-1].code == "too_many_attempts"
        assert (await registered(home, ADA)).status == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "users/me/password", {"current_password": "?", "new_password": "horse number 9"}),
        ("POST", "users/me/deletion", {"password": "?"}),
    ],
)
async def test_a_stolen_token_does_not_guess_the_password(hall, method, path, body):
    async with hall as system, at(system, ELSEWHERE) as thief:
        await registered(thief, ADA)
        token = (await logged_in(thief, ADA))["access_token"]
        thief.cookies.clear()
        codes = [(await ask(thief, method, path, body, token=token)).code for _ in range(8)]
        assert Counter(codes) == {"wrong_password": 5, "too_many_attempts": 3}
        right = {name: PASSWORD if it == "?" else it for name, it in body.items()}
        assert (await ask(thief, method, path, right, token=token)).status == 429
        system.advance(seconds=61)
        assert (await ask(thief, method, path, right, token=token)).status == 204
