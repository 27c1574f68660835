"""Signed tokens: JWTs (RFC 7519) with the algorithm, type, issuer and audience pinned."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from .clock import Clock
from .errors import Unauthorized
from .ids import new_id

ALGORITHM = "HS256"
TOKEN_BYTES_MAX = 4_096
LEEWAY_S = 5
VERIFIED_MAX = 10_000
# Header parameters that point a verifier at keys or encodings of the sender's choosing.
REFUSED_HEADERS = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "zip"})
REQUIRED_CLAIMS = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp")


class InvalidToken(Unauthorized):
    """The token is not valid, or no longer; please log in again."""

    code = "invalid_token"


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What tells one kind of token from every other: they never pass for one another."""

    typ: str
    issuer: str
    audience: str
    ttl_s: int


class Tokens:
    """Issues and verifies one kind of token with one key.

    Verified tokens are remembered, at most VERIFIED_MAX of them, until they expire: a signature
    costs a hundred times a look-up.
    """

    def __init__(self, secret: str, kind: TokenKind, clock: Clock) -> None:
        self._secret = secret
        self.kind = kind
        self._clock = clock
        self._verified: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def issue(self, subject: str, **claims: str) -> str:
        """A token for `subject`, valid from now for the kind's ttl_s."""
        now = int(self._clock.now().timestamp())
        payload = claims | {
            "iss": self.kind.issuer,
            "aud": self.kind.audience,
            "sub": subject,
            "jti": new_id(),
            "iat": now,
            "nbf": now,
            "exp": now + self.kind.ttl_s,
        }
        return jwt.encode(payload, self._secret, ALGORITHM, headers={"typ": self.kind.typ})

    def verify(self, token: str) -> Mapping[str, Any]:
        """The token's claims. Raises InvalidToken for anything but a valid one of this kind."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._decode(token)
            self._verified[token] = claims
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)
        now = self._clock.now().timestamp()
        if claims["exp"] <= now:
            self._verified.pop(token, None)
            raise InvalidToken
        if claims["nbf"] > now + LEEWAY_S:
            raise InvalidToken
        return claims

    def recognises(self, token: str) -> bool:
        """Whether it is a valid token of this kind."""
        try:
            self.verify(token)
        except InvalidToken:
            return False
        return True

    def _decode(self, token: str) -> Mapping[str, Any]:
        if len(token) > TOKEN_BYTES_MAX:
            raise InvalidToken
        try:
            # Times are checked against our own clock in `verify`, which also serves the cache.
            decoded = jwt.decode_complete(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=self.kind.audience,
                issuer=self.kind.issuer,
                options={
                    "require": list(REQUIRED_CLAIMS),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "strict_aud": True,
                },
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken from error
        header: Mapping[str, Any] = decoded["header"]
        claims: Mapping[str, Any] = decoded["payload"]
        times_are_numbers = all(type(claims[name]) is int for name in ("iat", "nbf", "exp"))
        if header.get("typ") != self.kind.typ or REFUSED_HEADERS & header.keys():
            raise InvalidToken
        if not times_are_numbers or not isinstance(claims["sub"], str):
            raise InvalidToken
        return claims


class Badge:
    """One token shown again and again: a fresh one is issued when half its life is over."""

    def __init__(self, tokens: Tokens, subject: str, clock: Clock, **claims: str) -> None:
        self._tokens = tokens
        self._subject = subject
        self._clock = clock
        self._claims = claims
        self._token = ""
        self._issued_at = self._fresh_until = 0.0

    def __call__(self) -> str:
        """A token with at least half of its life left."""
        now = self._clock.now().timestamp()
        # Of the future: our clock was ahead and was set right. Nobody would take it until then.
        if not self._issued_at <= now < self._fresh_until:
            self._token = self._tokens.issue(self._subject, **self._claims)
            self._issued_at, self._fresh_until = now, now + self._tokens.kind.ttl_s / 2
        return self._token


# The two kinds of token there are. They differ in key, type and audience, so neither is ever
# taken for the other.
def access_kind(ttl_s: int) -> TokenKind:
    """What a person shows to the public API."""
    return TokenKind(typ="at+jwt", issuer="skyhold-booking", audience="skyhold", ttl_s=ttl_s)


def service_kind(audience: str) -> TokenKind:
    """What one service shows to another, `audience`, for a minute."""
    return TokenKind(typ="svc+jwt", issuer="skyhold", audience=audience, ttl_s=60)
