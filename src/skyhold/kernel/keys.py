"""Keys that sign tokens: one shared secret, or key pairs whose public halves others may read.

With a secret whoever verifies could also sign. With key pairs only the booking service signs, and
everybody else verifies by the public keys that it publishes (RFC 7517).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from .settings import SettingsError, make_private_folder

KeyAlgorithm = Literal["EdDSA", "ES256"]
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

Material_co = TypeVar("Material_co", covariant=True)
# The members of a public key that its thumbprint is made of (RFC 7638, RFC 8037).
_THUMBPRINT_MEMBERS = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y")}


@dataclass(frozen=True, slots=True)
class Key(Generic[Material_co]):
    """A key with the one algorithm it is used with. `kid` is None for a shared secret."""

    kid: str | None
    algorithm: str
    material: Material_co


SigningKey = Key[str | PrivateKey]
VerifyingKey = Key[str | PublicKey]


class Keys(Protocol):
    """What tokens are verified with, and perhaps signed."""

    @property
    def signing(self) -> SigningKey | None:
        """The key that signs; None where tokens are only verified."""
        ...

    def verifying(self, kid: str | None) -> VerifyingKey | None:
        """The key that a token names; None when we do not know it."""
        ...


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """HS256 with one secret (RFC 7518 §3.2); its tokens name no key."""

    signing: Key[str]

    @classmethod
    def of(cls, secret: str) -> SharedSecret:
        """Of at least 32 bytes; whoever reads the settings sees to that."""
        return cls(Key(None, "HS256", secret))

    def verifying(self, kid: str | None) -> Key[str] | None:
        """The secret, for a token that names no key."""
        return self.signing if kid is None else None


@dataclass(frozen=True, slots=True)
class KeyPairs:
    """Key pairs: one of them signs, the tokens of each are accepted."""

    signing: Key[PrivateKey]
    public: Mapping[str, Key[PublicKey]]

    def verifying(self, kid: str | None) -> Key[PublicKey] | None:
        """The public key of this name."""
        return None if kid is None else self.public.get(kid)

    def jwks(self) -> list[dict[str, Any]]:
        """The public keys as JWKs (RFC 7517), with their use and algorithm."""
        return [
            _jwk(key.material) | {"kid": key.kid, "use": "sig", "alg": key.algorithm}
            for key in self.public.values()
        ]


def key_pairs(folder: Path, signing: str | None) -> KeyPairs:
    """The keys of a folder: every NAME.pem, private or public; `signing` names the one that signs.

    Raises SettingsError when there is none, when one cannot be read, or when it is not clear which
    one signs.
    """
    found = {path.stem: _read(path) for path in sorted(folder.glob("*.pem"))}
    can_sign = [name for name, key in found.items() if not isinstance(key, PublicKey)]
    if signing is None and len(can_sign) == 1:
        signing = can_sign[0]
    if signing not in can_sign:
        which = "has no private key" if signing is None else f"has no private key {signing}.pem"
        if signing is None and can_sign:
            which = f"has several ({', '.join(can_sign)}): JWT_SIGNING_KEY says which one signs"
        msg = f"JWT_KEYS: {folder} {which}."
        raise SettingsError(msg)
    private = found[signing]
    assert not isinstance(private, PublicKey), "or it could not sign"
    named = _named(_public(private))
    return KeyPairs(
        Key(named.kid, named.algorithm, private),
        {_thumbprint(key): _named(key) for key in map(_public, found.values())},
    )


def make_key(path: Path, algorithm: KeyAlgorithm) -> None:
    """Write a new private key, readable by its owner only. Raises FileExistsError."""
    private: PrivateKey = (
        Ed25519PrivateKey.generate() if algorithm == "EdDSA" else generate_private_key(SECP256R1())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    make_private_folder(path.parent)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def from_jwks(published: Iterable[Mapping[str, Any]]) -> dict[str, Key[PublicKey]]:
    """The keys of a published set that we can use; others are passed over (RFC 7517 §5)."""
    usable = {}
    for jwk in published:
        try:
            material = jwt.PyJWK(dict(jwk)).key
            if isinstance(material, PublicKey) and jwk.get("use", "sig") == "sig":
                key = _named(material)
                usable[str(jwk["kid"])] = Key(str(jwk["kid"]), key.algorithm, material)
        except (jwt.PyJWTError, SettingsError, KeyError, TypeError, ValueError):
            continue
    return usable


def _read(path: Path) -> PrivateKey | PublicKey:
    pem = path.read_bytes()
    try:
        key = (
            serialization.load_pem_private_key(pem, password=None)
            if b"PRIVATE KEY" in pem
            else serialization.load_pem_public_key(pem)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        msg = f"JWT_KEYS: {path.name} is no key in PEM format that can be read without a password."
        raise SettingsError(msg) from error
    if not isinstance(key, PrivateKey | PublicKey):
        msg = f"JWT_KEYS: {path.name} is neither an Ed25519 nor a P-256 key."
        raise SettingsError(msg)
    _algorithm(_public(key))
    return key


def _public(key: PrivateKey | PublicKey) -> PublicKey:
    return key if isinstance(key, PublicKey) else key.public_key()


def _named(key: PublicKey) -> Key[PublicKey]:
    return Key(_thumbprint(key), _algorithm(key), key)


def _algorithm(key: PublicKey) -> KeyAlgorithm:
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if not isinstance(key.curve, SECP256R1):
        msg = f"JWT_KEYS: a key on the curve {key.curve.name} cannot be used; P-256 can."
        raise SettingsError(msg)
    return "ES256"


def _jwk(key: PublicKey) -> dict[str, Any]:
    if isinstance(key, Ed25519PublicKey):
        return OKPAlgorithm.to_jwk(key, as_dict=True)
    return ECAlgorithm.to_jwk(key, as_dict=True)


def _thumbprint(key: PublicKey) -> str:
    """The key's name, made of itself (RFC 7638): whoever has the key knows the name."""
    jwk = _jwk(key)
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).decode().rstrip("=")
