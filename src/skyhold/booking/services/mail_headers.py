"""The headers of letters: written by the standard library, though not the same ones each time."""

from __future__ import annotations

from email.headerregistry import Address, HeaderRegistry
from email.policy import EmailPolicy
from functools import lru_cache
from typing import Any

LINE_MAX = 78


def policy_for(recipient: Address) -> EmailPolicy:
    """How the headers of a letter to this address are written.

    Only a local part that is not ASCII needs an international letter (RFC 6532); a domain always
    has an ASCII form.
    """
    return _POLICIES[not recipient.addr_spec.isascii()]


class _Headers(HeaderRegistry):
    """The library makes a class anew for every header that it is given; here each is made once."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, type] = {}

    def __getitem__(self, name: str) -> type:
        """The class of headers with this name."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = super().__getitem__(name)
        return made


class _Thrifty(EmailPolicy):
    """What the library does, but a header that most letters have alike is parsed and folded once.

    Those that are each letter's own are short and plain, and then they are written as they are.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:  # noqa: ANN401 - as there
        """The header as the letter keeps it."""
        if name not in _OF_EACH_LETTER:
            return _parsed(self.utf8, name, value)
        return (name, value) if _is_plain(name, value) else super().header_store_parse(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:  # noqa: ANN401 - as there
        """The header as the letter is written."""
        if name in _OF_EACH_LETTER:
            return super().fold_binary(name, value)
        return _folded(self.utf8, name, value)


_OF_EACH_LETTER = frozenset({"To", "Subject", "Date", "Message-ID"})
_POLICIES = {
    utf8: _Thrifty(linesep="\r\n", utf8=utf8, header_factory=_Headers()) for utf8 in (False, True)
}


def _is_plain(name: str, value: str) -> bool:
    """Whether it is one line of ASCII that needs no folding (RFC 5322, 2.1.1)."""
    return value.isascii() and value.isprintable() and len(name) + 2 + len(value) <= LINE_MAX


@lru_cache(maxsize=256)
def _parsed(utf8: bool, name: str, value: str) -> tuple[str, Any]:  # noqa: FBT001 - a key
    return EmailPolicy.header_store_parse(_POLICIES[utf8], name, value)


@lru_cache(maxsize=256)
def _folded(utf8: bool, name: str, value: str) -> bytes:  # noqa: FBT001 - a key
    return EmailPolicy.fold_binary(_POLICIES[utf8], name, value)
