"""Accounts: who may have one, who gets in, and what nobody ever gets to see."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from http.cookies import SimpleCookie

import httpx
import pytest
import pytest_asyncio
from booking_stage import written
from structlog.testing import capture_logs

from skyhold.booking.app import create_app
from skyhold.kernel.auth import Tokens, access_kind
from skyhold.kernel.ids import new_id
from support.system import JWT_SECRET, PASSWORD
from support.traveller import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_browser(system, base_url="http://skyhold.test", app=None):
    """A client with cookies of its own."""
    transport = httpx.ASGITransport(app) if app else system.bookings_http._transport
    # With its cookies it also says which page sends what, as browsers do.
    headers = {"origin": base_url}
    return httpx.AsyncClient(transport=transport, base_url=base_url, timeout=60, headers=headers)


@pytest_asyncio.fixture(loop_scope="module")
async def browser(still):
    async with a_browser(still) as client:
        yield client


def an_email():
    """An address that nobody has."""
    return f"nr{next(_numbers)}@example.com"


_numbers = itertools.count(1)


async def register(browser, email, password=PASSWORD, name="Ada Lovelace", **more):
    body = {"name": name, "email": email, "password": password} | more
    return Reply.of(await browser.post("/api/v1/users/register", json=body))


async def login(browser, email, password=PASSWORD):
    body = {"email": email, "password": password}
    return Reply.of(await browser.post("/api/v1/users/login", json=body))


async def me(browser, **headers):
    return Reply.of(await browser.get("/api/v1/users/me", headers=headers))


def bearer(token):
    return {"authorization": f"Bearer {token}"}


# --- registering -----------------------------------------------------------------------------


async def test_register_log_in_and_be_known(browser):
    user = await register(browser, "ada@example.com")
    assert user.status == 201
    assert (user["name"], user["email"], user["role"]) == (
        "Ada Lovelace",
        "ada@example.com",
        "customer",
    )
    token = await login(browser, "ada@example.com")
    assert (token.status, token["token_type"]) == (200, "Bearer")
    assert token.headers["cache-control"] == "no-store"
    assert (await me(browser, **bearer(token["access_token"]))).body == user.body


@pytest.mark.parametrize("again", ["Bob@Example.com", "BOB@EXAMPLE.COM", "bob@example.com"])
async def test_an_email_has_one_account_whatever_its_case(still, browser, again):
    await register(browser, "bob@example.com")
    before = await written(still)
    refused = await register(browser, again)
    assert (refused.status, refused.code) == (409, "email_taken")
    assert await written(still) == before
    assert (await login(browser, again)).status == 200


async def test_addresses_that_only_look_alike_are_different_accounts(browser):
    addresses = ["cat@example.com", "cát@example.com", "cat@example.org", "c.at@example.com"]
    replies = [await register(browser, address) for address in addresses]
    assert [reply.status for reply in replies] == [201] * 4
    assert len({reply["id"] for reply in replies}) == 4


async def test_an_accent_typed_in_two_ways_is_the_same_address(browser):
    composed, combining = "z\u00f6e@example.com", "zo\u0308e@example.com"
    assert (await register(browser, combining)).status == 201
    assert (await register(browser, composed)).code == "email_taken"
    for way in (composed, combining):
        assert (await login(browser, way)).status == 200


async def test_a_domain_written_in_two_ways_is_the_same_address(browser):
    unicode, ascii_form = "ada@b\u00fccher.example", "ada@xn--bcher-kva.example"
    assert (await register(browser, ascii_form)).status == 201
    assert (await register(browser, unicode)).code == "email_taken"
    for way in (unicode, ascii_form):
        assert (await login(browser, way)).status == 200


async def test_twenty_registrations_of_one_email_at_once_are_one_account(still, browser):
    before = await written(still)
    emails = ["eve@example.com", "Eve@example.com"] * 10
    replies = await asyncio.gather(*(register(browser, email) for email in emails))
    outcomes = Counter((reply.status, reply.code) for reply in replies)
    assert outcomes == {(201, None): 1, (409, "email_taken"): 19}
    assert (await written(still))["users"] == before["users"] + 1


NO_EMAILS = [
    "",
    " ",
    "@",
    "ada",
    "ada@",
    "@example.com",
    "ada@localhost",
    "ada@@example.com",
    "ada@example..com",
    ".ada@example.com",
    "ada @example.com",
    "ada@exam ple.com",
    "ada@example.com, bob@example.com",
    "ada@example.com\r\nbcc: bob@example.com",
    "ada@example.com\n",
    " ada@example.com",
    "Ada <ada@example.com>",
    "a\x00da@example.com",
    "a\u202eda@example.com",
    "ada@[127.0.0.1]",
    "ada@" + "a" * 250 + ".com",
    None,
    1,
    True,
    ["ada@example.com"],
    {"email": "ada@example.com"},
]


async def test_what_is_no_email_gets_no_account(still, browser):
    before = await written(still)
    for email in NO_EMAILS:
        who = {"email": email, "password": PASSWORD}
        refused = await send(browser, "register", {"name": "Ada"} | who)
        assert (refused.status, refused.code) == (422, "invalid"), email
        assert (await send(browser, "login", who)).status == 422, email
    assert await written(still) == before


async def send(browser, what, body):
    """A body in ASCII, so that a lone surrogate goes out as its escape."""
    headers = {"content-type": "application/json"}
    content = json.dumps(body)
    return Reply.of(await browser.post(f"/api/v1/users/{what}", content=content, headers=headers))


async def test_nobody_makes_themselves_more_than_a_customer(still, browser):
    before = await written(still)
    for more in ({"role": "staff"}, {"is_admin": True}, {"id": "1"}, {"password_hash": "x"}):
        assert (await register(browser, "mallory@example.com", **more)).status == 422
    assert await written(still) == before


@pytest.mark.parametrize("name", ["", " ", "A\nB", "A\x00B", "A\u202eB", "x" * 101, None, 7])
async def test_a_name_is_a_line_of_text(browser, name):
    assert (await register(browser, "noname@example.com", name=name)).status == 422


async def test_names_of_all_the_world_are_kept_as_they_are(browser):
    for number, name in enumerate(["Zoë Müller", "李小龍", "Владимир", "O'Neil-Ó", "عمر"]):
        user = await register(browser, f"world{number}@example.com", name=name)
        assert (user.status, user["name"]) == (201, name)


# --- passwords -------------------------------------------------------------------------------

EMOJI = "\N{PILE OF POO}"


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("1234567", 422),
        ("12345678", 422),  # it is among the most common ones
        ("PassWord", 422),  # (the same)
        ("x7%kQ p9", 201),
        ("p" * 1024, 201),
        ("p" * 1025, 422),
        (EMOJI * 64, 201),
        (EMOJI * 7, 422),
        ("with\x00nul-inside", 201),
        ("", 422),
        (None, 422),
        (87654320, 422),
        (["x7%kQ p9"], 422),
    ],
    ids=lambda it: ascii(it)[:12],
)
async def test_a_password_has_8_to_1024_characters_of_any_kind(browser, password, status):
    email = an_email()
    assert (await register(browser, email, password)).status == status
    if status == 201:
        assert (await login(browser, email, password)).status == 200


@pytest.mark.parametrize(
    ("password", "other"),
    [
        ("p" * 72, "p" * 73),
        ("p" * 100 + "a", "p" * 100 + "b"),
        (EMOJI * 63 + "\N{PILE OF POO}", EMOJI * 63 + "\N{GHOST}"),
        ("before\x00after", "before\x00other"),
        ("before\x00after", "before"),
        ("correct horse", "Correct horse"),
        ("correct horse", "correct horse "),
    ],
    ids=["73rd", "101st", "last emoji", "after NUL", "NUL", "case", "blank at the end"],
)
async def test_every_character_of_a_password_counts(browser, password, other):
    """bcrypt alone reads 72 bytes and, in older versions, stops at a NUL."""
    email = an_email()
    assert (await register(browser, email, password)).status == 201
    refused = await login(browser, email, other)
    assert (refused.status, refused.code) == (401, "login_failed")
    assert (await login(browser, email, password)).status == 200


async def test_a_password_that_is_the_email_is_none(browser):
    for password in ("Jane.Doe", "jane.doe@example.com", "JANE.DOE"):
        assert (await register(browser, "jane.doe@example.com", password)).status == 422
    assert (await register(browser, "jane.doe@example.com", "jane.doe2")).status == 201


async def test_a_lone_surrogate_is_no_character_of_a_password(browser):
    who = {"email": "x@example.com", "password": "surrogate \ud800 inside"}
    assert (await send(browser, "register", {"name": "Ada"} | who)).status == 400
    assert (await send(browser, "login", who)).status == 400


async def test_a_hash_made_at_another_cost_is_renewed_at_login(lives):
    async with lives(bcrypt_cost=5) as system, a_browser(system) as browser:
        await register(browser, "old@example.com")
    async with lives(bcrypt_cost=4) as system, a_browser(system) as browser:
        assert (await login(browser, "old@example.com")).status == 200
        user = await system.bookings.users.get((await me(browser))["id"])
        assert user.password_hash.split("$")[2] == "04"
        assert (await login(browser, "old@example.com")).status == 200


# --- who is not let in -----------------------------------------------------------------------


async def test_a_wrong_password_and_an_unknown_email_get_the_same_answer(browser):
    await register(browser, "known@example.com")
    answers = []
    for email in ("known@example.com", "unknown@example.com"):
        body = {"email": email, "password": "not the password"}
        reply = await browser.post("/api/v1/users/login", json=body)
        assert reply.status_code == 401
        request_id = reply.json()["instance"]
        headers = [(k, v.replace(request_id, "…")) for k, v in reply.headers.items()]
        answers.append((reply.text.replace(request_id, "…"), headers))
    assert answers[0] == answers[1]


async def test_without_a_token_nobody_is_anybody(browser):
    refused = await me(browser)
    assert (refused.status, refused.code) == (401, "unauthorized")
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_a_token_ends(start):
    async with start(access_token_ttl_s=600) as system, a_browser(system) as browser:
        await register(browser, "ada@example.com")
        token = (await login(browser, "ada@example.com"))["access_token"]
        browser.cookies.clear()
        system.advance(seconds=595)
        assert (await me(browser, **bearer(token))).status == 200
        system.advance(seconds=5)
        refused = await me(browser, **bearer(token))
        assert (refused.status, refused.code) == (401, "invalid_token")


async def test_a_service_is_no_person(still, browser):
    booking_app = create_app(still.bookings)
    async with a_browser(still, app=booking_app) as alone:
        for client in (browser, alone):
            for path in ("users/me", "bookings"):
                reply = await client.get(f"/api/v1/{path}", headers=still.service())
                assert (reply.status_code, reply.json()["code"]) == (401, "invalid_token")


async def test_a_token_of_nobody_we_know_opens_nothing(still, browser):
    tokens = Tokens(JWT_SECRET, access_kind(600), still.clock)
    ghost = tokens.issue("018f0000-0000-7000-8000-000000000000", role="customer", sid=new_id())
    assert (await me(browser, **bearer(ghost))).status == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YWRhOmFkYQ==", "x", "Bearer a.b.c"])
async def test_what_is_no_token_is_refused(browser, header):
    assert (await me(browser, authorization=header)).status == 401


# --- the cookie ------------------------------------------------------------------------------


def set_cookies(reply):
    jar = SimpleCookie()
    for line in reply.headers.get_list("set-cookie"):
        jar.load(line)
    return {name: {k: v for k, v in morsel.items() if v != ""} for name, morsel in jar.items()}


async def test_the_browsers_cookie_is_out_of_reach_of_scripts_and_other_sites(browser):
    await register(browser, "cookie@example.com")
    cookies = set_cookies(await login(browser, "cookie@example.com"))
    assert cookies == {
        "skyhold_access": {
            "path": "/",
            "max-age": "86400",
            "httponly": True,
            "samesite": "lax",
        },
        "skyhold_refresh": {
            "path": "/api/v1/users",
            "max-age": "1209600",
            "httponly": True,
            "samesite": "strict",
        },
    }


async def test_where_cookies_are_secure_the_cookie_is_bound_to_this_host(start):
    async with (
        start(cookie_secure=True) as system,
        a_browser(system, "https://skyhold.test") as browser,
    ):
        await register(browser, "ada@example.com")
        cookies = set_cookies(await login(browser, "ada@example.com"))
        assert set(cookies) == {"__Host-skyhold_access", "__Secure-skyhold_refresh"}
        assert cookies["__Secure-skyhold_refresh"]["secure"] is True
        attributes = cookies["__Host-skyhold_access"]
        assert attributes["secure"] is True
        assert attributes["httponly"] is True
        assert "domain" not in attributes
        assert (attributes["path"], attributes["samesite"]) == ("/", "lax")
        assert (await me(browser)).status == 200


async def test_the_cookie_identifies(browser):
    user = await register(browser, "cookie2@example.com")
    await login(browser, "cookie2@example.com")
    assert (await me(browser))["id"] == user["id"]


async def test_a_header_wins_over_the_cookie(still, browser, alice):
    await register(browser, "cookie3@example.com")
    await login(browser, "cookie3@example.com")
    assert (await me(browser, **bearer(alice.token)))["email"] == alice.email
    assert (await me(browser, authorization="Bearer nonsense")).status == 401
    assert (await me(browser, authorization="")).status == 401


async def test_logging_out_takes_the_cookie_away(browser):
    await register(browser, "cookie4@example.com")
    await login(browser, "cookie4@example.com")
    gone = await browser.post("/api/v1/users/logout")
    assert (gone.status_code, gone.content) == (204, b"")
    assert {line.split("=")[0] for line in gone.headers.get_list("set-cookie")} == {
        "skyhold_access",
        "__Host-skyhold_access",
        "skyhold_refresh",
        "__Secure-skyhold_refresh",
        "skyhold_session",
        "__Host-skyhold_session",
    }
    assert (await me(browser)).status == 401
    assert (await browser.post("/api/v1/users/logout")).status_code == 204


# --- what nobody sees ------------------------------------------------------------------------


async def test_no_secret_is_ever_answered_or_logged(still, browser, capsys, caplog):
    email, password, wrong = "secret@example.com", "a password to be kept", "a wrong password!"
    answers = []

    async def ask(method, path, **body):
        reply = await browser.request(method, f"/api/v1/{path}", json=body or None)
        answers.append(reply.text)
        return reply

    with capture_logs() as logs:
        await ask("POST", "users/register", name="Ada", email=email, password=password)
        await ask("POST", "users/register", name="Ada", email=email, password=password)
        await ask("POST", "users/register", name="", email=email, password=password)
        await ask("POST", "users/login", email=email, password=wrong)
        await ask("POST", "users/login", email=email, password=password, more=1)
        token = (await ask("POST", "users/login", email=email, password=password)).json()
        answers.pop()  # the one answer that is the token
        user = await ask("GET", "users/me")
        flight = await still.a_flight()
        booking = await ask(
            "POST",
            "bookings",
            segments=[{"flight_id": flight}],
            passengers=[{"given_name": "Ada", "family_name": "Lovelace"}],
        )
        pay = {"booking_id": booking.json()["id"], "payment_token": "tok_declined"}
        await ask("POST", "bookings/payments", **pay)
        await ask("POST", "bookings/payments", **pay | {"payment_token": "4111111111111111"})
        await ask("POST", "bookings/payments", **pay | {"payment_token": "tok_visa"})
        await ask("POST", "users/logout")

    kept = await still.bookings.users.get(user.json()["id"])
    everything = "\n".join([*answers, *map(repr, logs), *capsys.readouterr(), caplog.text])
    assert "booking.confirmed" in everything
    secrets = [password, wrong, kept.password_hash, token["access_token"], PASSWORD]
    secrets += ["$2b$", "tok_visa", "tok_declined", "4111111111111111", JWT_SECRET]
    assert [secret for secret in secrets if secret in everything] == []
    log_lines = "\n".join(map(repr, logs))
    assert [it for it in (email, "Lovelace") if it in log_lines] == []
