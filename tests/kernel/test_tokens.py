"""One algorithm, one key, one type, one issuer, one audience: everything else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyhold.kernel import auth
from skyhold.kernel.auth import (
    LEEWAY_S,
    TOKEN_BYTES_MAX,
    Badge,
    InvalidToken,
    Tokens,
    access_kind,
    service_kind,
)

SECRET = "a-key-for-tests-that-is-long-enough"
TTL_S = 600
WHO = {"sid": "s1", "role": "customer"}


@pytest.fixture
def tokens(clock) -> Tokens:
    return Tokens(SECRET, access_kind(TTL_S), clock)


@pytest.fixture
def forge(clock):
    """Make a token by hand, right in everything that is not said: RFC 7515, without a library."""
    now = int(clock.now().timestamp())

    def make(*, header=None, key=SECRET, digest=hashlib.sha256, without=(), **claims):
        given = {"alg": "HS256", "typ": "at+jwt"} | (header or {})
        payload = {
            "iss": "skyhold-booking",
            "aud": "skyhold",
            "sub": "ada",
            "sid": "s1",
            "role": "customer",
            "jti": "j1",
            "iat": now,
            "nbf": now,
            "exp": now + TTL_S,
        } | claims
        for name in without:
            del payload[name]
        signed = f"{part(given)}.{part(payload)}"
        signature = b"" if key is None else hmac.digest(key.encode(), signed.encode(), digest)
        return f"{signed}.{encode(signature)}"

    return make


def part(value):
    return encode(json.dumps(value).encode())


def encode(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refused(tokens, token):
    with pytest.raises(InvalidToken) as refusal:
        tokens.verify(token)
    assert (refusal.value.status, refusal.value.code) == (401, "invalid_token")
    return True


# --- what is accepted ------------------------------------------------------------------------


def test_a_token_says_who_and_what_for_as_long_as_its_kind_lives(tokens, clock):
    token = tokens.issue("ada", role="staff", sid="s1")
    issued_at = int(clock.now().timestamp())
    clock.advance(seconds=TTL_S - 1)
    claims = tokens.verify(token)
    assert (claims["sub"], claims["role"], claims["sid"]) == ("ada", "staff", "s1")
    assert (claims["iat"], claims["exp"]) == (issued_at, issued_at + TTL_S)


def test_no_two_tokens_are_alike(tokens):
    one, other = tokens.issue("ada", **WHO), tokens.issue("ada", **WHO)
    assert tokens.verify(one)["jti"] != tokens.verify(other)["jti"]


def test_a_claim_cannot_replace_those_that_protect(tokens):
    assert tokens.verify(tokens.issue("ada", **WHO, sub="eve", aud="flight"))["sub"] == "ada"


def test_a_token_made_by_hand_is_accepted(tokens, forge):
    # Otherwise the refusals below would prove nothing.
    assert tokens.verify(forge())["sub"] == "ada"


# --- time ------------------------------------------------------------------------------------


def test_an_expired_token_is_refused(tokens, clock):
    token = tokens.issue("ada", **WHO)
    clock.advance(seconds=TTL_S)
    assert refused(tokens, token)


def test_an_expired_token_is_refused_also_when_it_was_verified_before(tokens, clock):
    token = tokens.issue("ada", **WHO)
    tokens.verify(token)
    clock.advance(seconds=TTL_S)
    assert refused(tokens, token)
    assert refused(tokens, token)


def test_a_token_of_the_future_is_refused_until_its_time_comes(tokens, forge, clock):
    now = int(clock.now().timestamp())
    token = forge(nbf=now + 60, exp=now + 120)
    assert refused(tokens, token)
    clock.advance(seconds=60 - LEEWAY_S)  # the other side's clock may be a little ahead
    assert tokens.verify(token)


# --- forgeries -------------------------------------------------------------------------------

FORGERIES = {
    "another issuer": {"iss": "skyhold"},
    "no issuer at all": {"iss": None},
    "another audience": {"aud": "flight"},
    "a list of audiences": {"aud": ["skyhold", "flight"]},
    "another type": {"header": {"typ": "JWT"}},
    "the other kind's type": {"header": {"typ": "svc+jwt"}},
    "a type that is no text": {"header": {"typ": ["at+jwt"]}},
    "another key": {"key": "another-key-for-tests-long-enough!!"},
    "an empty key": {"key": ""},
    "alg none": {"header": {"alg": "none"}, "key": None},
    "alg None, signed": {"header": {"alg": "none"}},
    "alg NONE": {"header": {"alg": "NONE"}, "key": None},
    "no signature": {"key": None},
    "HS512": {"header": {"alg": "HS512"}, "digest": hashlib.sha512},
    "HS384": {"header": {"alg": "HS384"}, "digest": hashlib.sha384},
    "RS256": {"header": {"alg": "RS256"}},
    "alg that is no text": {"header": {"alg": ["HS256"]}},
    "jku": {"header": {"jku": "https://evil.example/keys"}},
    "jwk": {"header": {"jwk": {"kty": "oct", "k": encode(SECRET.encode())}}},
    "x5u": {"header": {"x5u": "https://evil.example/cert"}},
    "x5c": {"header": {"x5c": ["MIIB"]}},
    "zip": {"header": {"zip": "DEF"}},
    "crit": {"header": {"crit": ["exp"]}},
    "crit of an unknown word": {"header": {"crit": ["b64"], "b64": False}},
    "a key we do not know": {"header": {"kid": "k1"}},
    "a key that is no text": {"header": {"kid": 7}},
    "a key without a name": {"header": {"kid": ""}},
}
for _claim in ("sid", "role", "sub"):
    for _value in (7, None, "", ["s1"], {"s1": 1}, True):
        FORGERIES[f"{_claim} of {_value!r}"] = {_claim: _value}
for _claim in ("iss", "aud", "sub", "sid", "role", "jti", "iat", "nbf", "exp"):
    FORGERIES[f"without {_claim}"] = {"without": [_claim]}
for _claim in ("iat", "nbf", "exp"):
    for _value in ("9999999999", 9999999999.5, True, None, [9999999999]):
        FORGERIES[f"{_claim} of {_value!r}"] = {_claim: _value}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forgery_is_refused(tokens, forge, forgery):
    assert refused(tokens, forge(**forgery))


def test_access_and_service_tokens_are_never_taken_for_one_another(clock):
    access = Tokens(SECRET, access_kind(TTL_S), clock)
    to_flight = Tokens(SECRET, service_kind("flight"), clock)  # even with the same key
    assert refused(to_flight, access.issue("ada", **WHO))
    assert refused(access, to_flight.issue("booking"))


def test_a_token_for_one_service_is_refused_by_another(clock):
    to_flight = Tokens(SECRET, service_kind("flight"), clock)
    to_booking = Tokens(SECRET, service_kind("booking"), clock)
    assert to_flight.verify(to_flight.issue("booking"))["sub"] == "booking"
    assert refused(to_booking, to_flight.issue("booking"))


def test_a_token_of_more_than_4096_bytes_is_refused(tokens, forge):
    padded = [forge(padding="x" * size) for size in range(2_800, 2_900)]
    sizes = [len(token) for token in padded]
    assert sizes[0] < TOKEN_BYTES_MAX < sizes[-1]
    for token in padded:
        if len(token) <= TOKEN_BYTES_MAX:
            assert tokens.verify(token)["sub"] == "ada"
        else:
            assert refused(tokens, token)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # they do not change
@given(data=st.data())
def test_a_token_with_any_one_bit_changed_is_refused(tokens, forge, data):
    parts = [bytearray(decode(piece)) for piece in forge().split(".")]
    changed = data.draw(st.sampled_from(parts))
    bit = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert refused(tokens, ".".join(encode(bytes(piece)) for piece in parts))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}"))
def test_anything_else_is_refused(tokens, text):
    assert refused(tokens, text)


@pytest.mark.parametrize(
    "header", [b"[]", b"null", b'"HS256"', b"\xff\xfe", b'{"typ":' + b"[" * 2900, b"{}" * 2]
)
def test_a_header_that_is_no_json_object_is_refused(tokens, header):
    assert refused(tokens, f"{encode(header)}.{encode(b'{}')}.{encode(b'signature')}")


@pytest.mark.parametrize("rest", ["", ".", ".!!!.x", ".e30", ".e30.", ".a.b.c", ".\x00."])
def test_what_is_broken_under_a_good_header_spoils_no_other_token(clock, rest):
    good = Tokens(SECRET, access_kind(TTL_S), clock).issue("ada", **WHO)
    fresh = Tokens(SECRET, access_kind(TTL_S), clock)  # which has seen no token yet
    with pytest.raises(InvalidToken):
        fresh.verify(good.partition(".")[0] + rest)
    assert fresh.verify(good)["sub"] == "ada"


def test_only_so_many_headers_are_remembered(tokens, forge, monkeypatch):
    monkeypatch.setattr(auth, "HEADERS_MAX", 3)
    good = forge()
    for number in range(10):
        with pytest.raises(InvalidToken):
            tokens.verify(forge(header={"typ": f"other{number}"}))
        assert len(tokens._types) <= 3
    assert tokens.verify(good)["sub"] == "ada"


def test_only_so_many_verified_tokens_are_remembered(tokens, monkeypatch):
    monkeypatch.setattr(auth, "VERIFIED_MAX", 3)
    issued = [tokens.issue(f"user {number}", **WHO) for number in range(5)]
    for _ in range(2):
        for number, token in enumerate(issued):
            assert tokens.verify(token)["sub"] == f"user {number}"
    assert len(tokens._verified) == 3


# --- the badge -------------------------------------------------------------------------------


def test_a_badge_is_renewed_when_half_its_life_is_over(clock):
    tokens = Tokens(SECRET, service_kind("flight"), clock)
    badge = Badge(tokens, "booking", clock, scope="holds")
    first = badge()
    assert tokens.verify(first)["sub"] == "booking"
    assert tokens.verify(first)["scope"] == "holds"
    clock.advance(seconds=29)
    assert badge() == first
    clock.advance(seconds=1)
    assert badge() != first


def test_whenever_a_badge_is_shown_half_its_life_is_left(clock):
    tokens = Tokens(SECRET, service_kind("flight"), clock)
    badge = Badge(tokens, "booking", clock)
    for _ in range(20):
        clock.advance(seconds=7)
        assert tokens.verify(badge())["exp"] - clock.now().timestamp() >= 30


def test_a_badge_of_the_future_is_not_shown_once_the_clock_was_set_back(clock):
    tokens = Tokens(SECRET, service_kind("flight"), clock)
    badge = Badge(tokens, "booking", clock)
    clock.advance(seconds=60)
    badge()
    clock.advance(seconds=-60)
    assert tokens.verify(badge())["nbf"] <= clock.now().timestamp()
