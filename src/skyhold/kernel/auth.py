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
from .keys import Keys, SharedSecret, VerifyingKey

TOKEN_BYTES_MAX = 4_096
LEEWAY_S = 5
VERIFIED_MAX = 10_000
HEADERS_MAX = 100
# Header parameters that point a verifier at keys or encodings of the sender's choosing.
REFUSED_HEADERS = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "zip"})
REQUIRED_CLAIMS = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp")


class InvalidToken(Unauthorized):
    """The token is not valid, or no longer; please log in again."""

    code = "invalid_token"


class UnknownKey(InvalidToken):
    """The token is signed by a key that is not known, or not yet; please log in again."""


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What tells one kind of token from every other: they never pass for one another.

    `texts` are the claims of its own that it must have, each a text that is not empty.
    """

    typ: str
    issuer: str
    audience: str
    ttl_s: int
    texts: tuple[str, ...] = ()


class Tokens:
    """Issues and verifies one kind of token, with one shared secret or with key pairs.

    Which algorithm a token may use is the key's to say, never the token's. Verified tokens are
    remembered, at most VERIFIED_MAX of them, until they expire or their key is withdrawn: a
    signature costs a hundred times a look-up.
    """

    def __init__(self, keys: Keys | str, kind: TokenKind, clock: Clock) -> None:
        self._keys = SharedSecret.of(keys) if isinstance(keys, str) else keys
        self.kind = kind
        self._clock = clock
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._types: dict[str, str | None] = {}

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
        key = self._keys.signing
        assert key is not None, "who only verifies tokens issues none"
        headers = {"typ": self.kind.typ} | ({} if key.kid is None else {"kid": key.kid})
        return jwt.encode(payload, key.material, key.algorithm, headers=headers)

    def verify(self, token: str) -> Mapping[str, Any]:
        """The token's claims. Raises InvalidToken for anything but a valid one of this kind.

        UnknownKey, which is an InvalidToken too, says that it may be one of a newer key.
        """
        verified = self._verified.get(token)
        if verified is None or self._keys.verifying(verified.kid) is None:
            verified = self._decode(token)
            self._verified[token] = verified
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)
        claims = verified.claims
        now = self._clock.now().timestamp()
        if claims["exp"] <= now:
            self._verified.pop(token, None)
            raise InvalidToken
        if claims["nbf"] > now + LEEWAY_S:
            raise InvalidToken
        return claims

    def recognises(self, token: str) -> bool:
        """Whether it is a valid token of this kind."""
        if not self._may_be(token):
            return False
        try:
            self.verify(token)
        except InvalidToken:
            return False
        return True

    def _may_be(self, token: str) -> bool:
        return len(token) <= TOKEN_BYTES_MAX and self._type_of(token) == self.kind.typ

    def _type_of(self, token: str) -> str | None:
        """What its header says it is; all tokens of a kind have the same header, letter by letter.

        So one of another kind is told without its signature: every user's is asked whether it is
        not perhaps a service's. Only the header is looked at: what follows it in the token that
        shows it first must not decide about the others.
        """
        header = token.partition(".")[0]
        if header not in self._types:
            if len(self._types) >= HEADERS_MAX:
                self._types.clear()
            self._types[header] = _type_in(header)
        return self._types[header]

    def _key(self, token: str) -> VerifyingKey:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        key = self._keys.verifying(kid) if kid is None or isinstance(kid, str) else None
        if key is None:
            raise UnknownKey
        return key

    def _decode(self, token: str) -> _Verified:
        if not self._may_be(token):
            raise InvalidToken
        try:
            key = self._key(token)
            # Times are checked against our own clock in `verify`, which also serves the cache.
            decoded = jwt.decode_complete(
                token,
                key.material,
                algorithms=[key.algorithm],
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
        if REFUSED_HEADERS & header.keys():
            raise InvalidToken
        texts = ("sub", *self.kind.texts)
        if not all(isinstance(claims.get(name), str) and claims[name] for name in texts):
            raise InvalidToken
        if not times_are_numbers:
            raise InvalidToken
        return _Verified(claims, key.kid)


def _type_in(header: str) -> str | None:
    try:
        found = jwt.get_unverified_header(f"{header}..").get("typ")
    except jwt.InvalidTokenError:
        return None
    return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: Mapping[str, Any]
    kid: str | None


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
    """What a person shows to the public API: who, in which session (sid), and in which role."""
    return TokenKind(
        typ="at+jwt",
        issuer="skyhold-booking",
        audience="skyhold",
        ttl_s=ttl_s,
        texts=("sid", "role"),
    )


def service_kind(audience: str) -> TokenKind:
    """What one service shows to another, `audience`, for a minute."""
    return TokenKind(typ="svc+jwt", issuer="skyhold", audience=audience, ttl_s=60)
