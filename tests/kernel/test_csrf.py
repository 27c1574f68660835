"""What another site makes a browser send is refused, and nothing else is."""

from __future__ import annotations

import pytest

from skyhold.kernel.http.cookies import (
    CREDENTIAL_COOKIES,
    PAGES_COOKIE,
    REFRESH_COOKIE,
    SECURE_PAGES_COOKIE,
    SECURE_REFRESH_COOKIE,
)
from skyhold.kernel.http.identity import COOKIE, SECURE_COOKIE
from skyhold.kernel.http.routes import Routes

HERE = "http://skyhold.test"
SHOP = "https://shop.example"
EVIL = "https://evil.example"
UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]
ours = {"cookie": f"theme=dark; {COOKIE}=x"}

router = Routes()


@router.api_route("/thing", methods=["GET", *UNSAFE])
async def thing() -> dict[str, bool]:
    return {"reached": True}


@pytest.fixture
async def http(serve):
    return await serve(router, origins=frozenset({SHOP}))


FOREIGN = {
    "cross-site": {"sec-fetch-site": "cross-site"},
    "same-site": {"sec-fetch-site": "same-site"},
    "a value to come": {"sec-fetch-site": "same-planet"},
    "an empty value": {"sec-fetch-site": ""},
    "cross-site, and an origin like ours": {"sec-fetch-site": "cross-site", "origin": HERE},
    "another origin": {"origin": EVIL},
    "null": {"origin": "null"},
    "another port": {"origin": f"{HERE}:81"},
    "a host below ours": {"origin": "http://x.skyhold.test"},
    "a host that begins with ours": {"origin": f"{HERE}.evil.example"},
    "a host that ends with ours": {"origin": "http://evilskyhold.test"},
    "another scheme": {"origin": "ftp://skyhold.test"},
    "no scheme": {"origin": "skyhold.test"},
    "our name before theirs": {"origin": "http://skyhold.test@evil.example"},
    "an origin that begins with an allowed one": {"origin": f"{SHOP}.evil.example"},
    "the allowed host over http": {"origin": "http://shop.example"},
    "two origins": {"origin": f"{SHOP} {EVIL}"},
}
PROOF = {
    "same-origin": {"sec-fetch-site": "same-origin"},
    "none": {"sec-fetch-site": "none"},
    "same-origin, and a null origin": {"sec-fetch-site": "same-origin", "origin": "null"},
    "our origin": {"origin": HERE},
    "our origin with its port": {"origin": f"{HERE}:80"},
    "an allowed origin": {"origin": SHOP},
    "an allowed origin, as the browser says": {"sec-fetch-site": "cross-site", "origin": SHOP},
}


@pytest.mark.parametrize("cookies", [{}, ours], ids=["no cookie", "a cookie"])
@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("said", FOREIGN.values(), ids=FOREIGN)
async def test_what_comes_from_elsewhere_is_refused(http, method, said, cookies):
    reply = await http.request(method, "/thing", headers=said | cookies)
    assert (reply.status_code, reply.json()["code"]) == (403, "cross_site_request")
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("cookies", [{}, ours], ids=["no cookie", "a cookie"])
@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("said", PROOF.values(), ids=PROOF)
async def test_what_comes_from_here_or_from_a_friend_is_served(http, method, said, cookies):
    assert (await http.request(method, "/thing", headers=said | cookies)).status_code == 200


@pytest.mark.parametrize("name", sorted(CREDENTIAL_COOKIES))
async def test_who_shows_a_cookie_of_ours_has_to_say_where_from(http, name):
    for cookies in (f"{name}=x", f"a=b;{name}=x", f"a=b ; {name} = x; c=d", f"{name}"):
        reply = await http.post("/thing", headers={"cookie": cookies})
        assert (reply.status_code, reply.json()["code"]) == (403, "cross_site_request")


async def test_programs_have_no_cookie_of_ours_and_say_nothing(http):
    for headers in ({}, {"cookie": "theme=dark; not_skyhold_access=x; x=skyhold_access"}):
        assert (await http.post("/thing", headers=headers)).status_code == 200


@pytest.mark.parametrize("said", FOREIGN.values(), ids=FOREIGN)
async def test_a_bearer_token_is_proof_enough(http, said):
    headers = said | ours | {"authorization": "Bearer x"}
    assert (await http.post("/thing", headers=headers)).status_code == 200


@pytest.mark.parametrize("said", FOREIGN.values(), ids=FOREIGN)
async def test_looking_is_free(http, said):
    assert (await http.get("/thing", headers=said | ours)).status_code == 200


async def test_it_is_refused_also_where_there_is_nothing(http):
    for path in ("/nowhere", "/livez"):
        reply = await http.post(path, headers={"origin": EVIL})
        assert (reply.status_code, reply.json()["code"]) == (403, "cross_site_request")


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("https://skyhold.test", "skyhold.test", 200),
        ("https://skyhold.test", "skyhold.test:443", 200),
        ("https://skyhold.test", "SKYHOLD.test", 200),
        ("https://skyhold.test:8443", "skyhold.test:8443", 200),
        ("http://skyhold.test", "skyhold.test", 403),
        ("http://skyhold.test:443", "skyhold.test:443", 403),
        ("https://skyhold.test:8443", "skyhold.test", 403),
        ("https://", "", 403),
    ],
)
async def test_where_cookies_are_secure_a_page_over_plain_http_is_a_stranger(
    serve, origin, host, status
):
    http = await serve(router, secure=True)
    reply = await http.post("/thing", headers={"origin": origin, "host": host})
    assert reply.status_code == status


def test_the_cookies_are_those_that_are_set():
    of_the_api = {COOKIE, SECURE_COOKIE, REFRESH_COOKIE, SECURE_REFRESH_COOKIE}
    assert of_the_api | {PAGES_COOKIE, SECURE_PAGES_COOKIE} == CREDENTIAL_COOKIES
    assert f"__Secure-{REFRESH_COOKIE}" == SECURE_REFRESH_COOKIE
