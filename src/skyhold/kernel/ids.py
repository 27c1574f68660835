"""Identifiers: chosen by the caller wherever asking twice must be harmless."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from typing import Any

import uuid_utils

from .types import Matching

# No 0/O, 1/I/L, 5/S, 2/Z, 8/B, U/V: a code read aloud over a bad line must survive.
LOCATOR_ALPHABET = "34679ACDEFGHJKMNPQRTWXY"
LOCATOR_LENGTH = 6
LOCATORS = len(LOCATOR_ALPHABET) ** LOCATOR_LENGTH
UUID = Matching(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    says="must be a UUID in lower case, such as 018f4b6e-3d3a-7c51-9f0a-2f1f4c1f9a77",
)

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_NAMESPACE = uuid.UUID("5b2f0f0e-6d0e-5c53-9d53-6b0f6f3f5a10")


def new_id() -> str:
    """A UUIDv7 (RFC 9562) in its canonical form: unique, and sorted by the time it was made."""
    return str(uuid_utils.uuid7())


def derived_id(*parts: str) -> str:
    """A UUIDv5 (RFC 9562) of these parts: the same parts give the same id, always.

    The parts are joined as JSON, so ("ab", "c") and ("a", "bc") differ.
    """
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts)))


def new_locator() -> str:
    """A record locator: 6 characters that nobody mistakes for one another."""
    number = secrets.randbelow(LOCATORS)  # one draw, of which each character is a digit
    locator = ""
    for _ in range(LOCATOR_LENGTH):
        number, digit = divmod(number, len(LOCATOR_ALPHABET))
        locator += LOCATOR_ALPHABET[digit]
    return locator


def digest(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """SHA-256 of a JSON value in one canonical form, as 64 hex digits."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()
