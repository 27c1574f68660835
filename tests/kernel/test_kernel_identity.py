"""Who knocks, and at which door they are let in."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import Depends, Response

from skyhold.kernel.auth import Tokens, access_kind, service_kind
from skyhold.kernel.ended_sessions import EndedSessions
from skyhold.kernel.http.cookies import (
    PAGES_COOKIE,
    REFRESH_COOKIE,
    REFRESH_PATH,
    SECURE_PAGES_COOKIE,
    SECURE_REFRESH_COOKIE,
    clear_cookies,
    set_access_cookie,
    set_refresh_cookie,
)
from skyhold.kernel.http.identity import (
    COOKIE,
    SECURE_COOKIE,
    FrontDoors,
    PerhapsPerson,
    Person,
    Staff,
    calling_service,
)
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.people import People

TTL_S = 600

router = Routes()


@router.get("/me")
async def me(person: Person) -> dict[str, str]:
    return {"who": person.user_id, "role": person.role}


@router.get("/desk")
async def desk(member: Staff) -> dict[str, str]:
    return {"who": member.user_id}


@router.get("/internal")
async def internal(caller: Annotated[str, Depends(calling_service("drills"))]) -> dict[str, str]:
    return {"who": caller}


@router.get("/login")
async def login(response: Response, *, secure: bool) -> None:
    set_access_cookie(response, "a-token", max_age_s=TTL_S, secure=secure)
    set_refresh_cookie(response, "a-refresh-token", max_age_s=900, secure=secure)


@router.get("/perhaps")
async def perhaps(person: PerhapsPerson) -> dict[str, str | None]:
    return {"who": None if person is None else person.user_id}


@router.get("/logout")
async def logout(response: Response) -> None:
    clear_cookies(response)


async def nobody_left(after):
    return []


@pytest.fixture
def doors(clock) -> FrontDoors:
    tokens = Tokens("a-key-for-people-that-is-long-enough", access_kind(TTL_S), clock)
    return FrontDoors(
        People(tokens, EndedSessions(nobody_left, ttl_s=TTL_S, clock=clock)),
        Tokens("a-key-for-services-long-enough-too!!", service_kind("flight"), clock),
    )


@pytest.fixture
async def http(serve, doors):
    return await serve(router, doors=doors)


@pytest.fixture
def tokens(doors, clock):
    """One token for everybody who may come along."""
    stranger = Tokens("a-key-that-nobody-here-knows-at-all!", access_kind(TTL_S), clock)
    elsewhere = Tokens("a-key-for-services-long-enough-too!!", service_kind("booking"), clock)
    return {
        "ada": doors.people.tokens.issue("ada", role="customer", sid="s1"),
        "no role": doors.people.tokens.issue("bob", sid="s2"),
        "bob": doors.people.tokens.issue("bob", role="customer", sid="s2"),
        "staff": doors.people.tokens.issue("grace", role="staff", sid="s3"),
        "admin": doors.people.tokens.issue("linus", role="admin", sid="s4"),
        "service": doors.service_tokens.issue("booking", scope="holds drills"),
        "service for something else": doors.service_tokens.issue("booking", scope="holds"),
        "service for nothing": doors.service_tokens.issue("booking"),
        "stranger": stranger.issue("eve", role="admin", sid="s5"),
        "service elsewhere": elsewhere.issue("booking", scope="drills"),
        "nonsense": "nonsense",
    }


def bearer(token):
    return {"authorization": f"Bearer {token}"}


POLICY = {
    # who                 /me     /desk    /internal
    "ada": ("ada", "staff_only", "services_only"),
    "bob": ("bob", "staff_only", "services_only"),
    "no role": ("invalid_token", "invalid_token", "invalid_token"),
    "staff": ("grace", "grace", "services_only"),
    "admin": ("linus", "linus", "services_only"),
    "service": ("invalid_token", "staff_only", "booking"),
    "service for something else": ("invalid_token", "staff_only", "services_only"),
    "service for nothing": ("invalid_token", "staff_only", "services_only"),
    "service elsewhere": ("invalid_token", "invalid_token", "invalid_token"),
    "stranger": ("invalid_token", "invalid_token", "invalid_token"),
    "nonsense": ("invalid_token", "invalid_token", "invalid_token"),
}
STATUS = {"staff_only": 403, "services_only": 403, "invalid_token": 401, "unauthorized": 401}


@pytest.mark.parametrize("who", POLICY)
async def test_who_is_let_in_where(http, tokens, who):
    for path, expected in zip(("/me", "/desk", "/internal"), POLICY[who], strict=True):
        reply = await http.get(path, headers=bearer(tokens[who]))
        body = reply.json()
        assert (path, body.get("who") or body["code"]) == (path, expected)
        assert reply.status_code == STATUS.get(expected, 200)


@pytest.mark.parametrize("path", ["/me", "/desk", "/internal"])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "bearer", "Bearer\t"], ids=repr
)
async def test_without_a_token_nobody_is_let_in(http, path, header):
    headers = {} if header is None else {"authorization": header}
    reply = await http.get(path, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_an_expired_token_lets_nobody_in(http, tokens, clock):
    clock.advance(seconds=TTL_S)
    for who, path in (("ada", "/me"), ("staff", "/desk"), ("service", "/internal")):
        reply = await http.get(path, headers=bearer(tokens[who]))
        assert (path, reply.status_code) == (path, 401)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_case_of_the_scheme_does_not_matter(http, tokens, scheme):
    reply = await http.get("/me", headers={"authorization": f"{scheme} {tokens['ada']}"})
    assert reply.json() == {"who": "ada", "role": "customer"}


@pytest.mark.parametrize("name", [COOKIE, SECURE_COOKIE])
async def test_a_browser_shows_its_cookie(http, tokens, name):
    reply = await http.get("/me", headers={"cookie": f"{name}={tokens['ada']}"})
    assert reply.json()["who"] == "ada"


@pytest.mark.parametrize("header", ["Bearer {bob}", "Bearer nonsense", "Basic YTpi", ""])
async def test_where_there_is_a_header_the_cookie_is_ignored(http, tokens, header):
    headers = {
        "authorization": header.replace("{bob}", tokens["bob"]),
        "cookie": f"{COOKIE}={tokens['ada']}; {SECURE_COOKIE}={tokens['ada']}",
    }
    body = (await http.get("/me", headers=headers)).json()
    assert body.get("who", "nobody") == ("bob" if "{" in header else "nobody")


async def test_a_service_has_no_cookie(http, tokens):
    reply = await http.get("/internal", headers={"cookie": f"{COOKIE}={tokens['service']}"})
    assert reply.status_code == 401


# --- cookies ---------------------------------------------------------------------------------


def attributes(cookie):
    pair, *found = cookie.split("; ")
    return pair, {attribute.lower() for attribute in found}


async def test_over_https_the_cookie_is_bound_to_this_host(http):
    # RFC 6265bis: the __Host- prefix asks for Secure, Path=/ and no Domain.
    reply = await http.get("/login", params={"secure": True})
    pair, found = attributes(reply.headers.get_list("set-cookie")[0])
    assert pair == "__Host-skyhold_access=a-token"
    assert found == {"httponly", "max-age=600", "path=/", "samesite=lax", "secure"}


async def test_over_plain_http_it_goes_by_another_name(http):
    reply = await http.get("/login", params={"secure": False})
    pair, found = attributes(reply.headers.get_list("set-cookie")[0])
    assert pair == "skyhold_access=a-token"
    assert found == {"httponly", "max-age=600", "path=/", "samesite=lax"}


async def test_logout_makes_the_browser_forget_all_of_them(http):
    cookies = (await http.get("/logout")).headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [
        SECURE_COOKIE,
        COOKIE,
        SECURE_PAGES_COOKIE,
        PAGES_COOKIE,
        SECURE_REFRESH_COOKIE,
        REFRESH_COOKIE,
    ]
    for cookie, path in zip(cookies, [*"////", REFRESH_PATH, REFRESH_PATH], strict=True):
        name, found = attributes(cookie)
        assert {"max-age=0", f"path={path}", "httponly"} <= found
        assert ("secure" in found) == name.startswith("__")


async def test_the_refresh_cookie_is_shown_to_the_addresses_of_users_only(http):
    cookies = (await http.get("/login", params={"secure": True})).headers.get_list("set-cookie")
    pair, found = attributes(cookies[1])
    assert pair == "__Secure-skyhold_refresh=a-refresh-token"
    assert found == {"httponly", "max-age=900", "path=/api/v1/users", "samesite=strict", "secure"}


@pytest.mark.parametrize(("who", "known"), [("ada", "ada"), ("nonsense", None), (None, None)])
async def test_who_logs_out_may_be_nobody(http, tokens, who, known):
    headers = {} if who is None else bearer(tokens[who])
    assert (await http.get("/perhaps", headers=headers)).json() == {"who": known}


async def test_but_it_is_no_service(http, tokens):
    assert (await http.get("/perhaps", headers=bearer(tokens["service"]))).status_code == 401
