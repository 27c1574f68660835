"""What of the corpus is no bad input in some places, and why.

Everything that is not named here has to be refused, and what is named here has to be accepted: a
list that has become too long fails too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from skyhold.kernel.passwords import is_common

from .corpus import TEXTS

AS_IT_IS = ", as it is"
LEFT_OUT = "left out"
WRITTEN_IN_PERCENT = ("encoded twice", "half an encoding")


@dataclass(frozen=True)
class Legal:
    """Values that are all right in one kind of place, the reason, and the statuses they get."""

    because: str
    names: frozenset[str]
    statuses: frozenset[int] = frozenset({200, 201, 204})

    def has(self, value: str) -> bool:
        return value.removesuffix(AS_IT_IS) in self.names


def _these(because: str, *names: str) -> Legal:
    return Legal(because, frozenset(names))


def _texts(because: str, is_one: Callable[[str], object], *more: str) -> Legal:
    return Legal(because, frozenset({*(n for n, text in TEXTS.items() if is_one(text)), *more}))


def _is_line(text: str) -> bool:
    return bool(text.strip()) and len(text) <= 100 and text.strip().isprintable()


def _is_password(text: str) -> bool:
    return 8 <= len(text) <= 1_024 and "\ud800" not in text and not is_common(text)


LEGAL: Mapping[str, Legal] = {
    "airport": _these("it has one, Nadi on Fiji", "NaN"),
    "aircraft name": _texts(
        "a name is letters, digits and plain punctuation",
        lambda text: len(text) <= 100 and re.fullmatch(r"[A-Za-z0-9 .,()/+'-]+", text),
        "null",
        LEFT_OUT,
    ),
    "default": _these("there is a default", LEFT_OUT),
    "fare": _these("it is an amount of dollars", "0", "1", "0.5"),
    "commands": _these("a command may come again", "twice the same"),
    "flag": _these("it is a yes or a no", "0", "1", "the word true"),
    "id or next": _texts(
        "a list goes on after whatever it named as its `next`",
        lambda text: re.fullmatch(r"[\x21-\x7e]{1,36}", text),
        "encoded twice",
        "half an encoding",
    ),
    "id or nothing": _texts(
        "any id is a place in the list of sessions, and nothing is its beginning",
        lambda text: re.fullmatch(r"[\x21-\x7e]{0,36}", text),
        "encoded twice",
        "half an encoding",
    ),
    "instant": _these("it is an instant", "year 9999"),
    "ids": _these("there may be no such hold", "a UUID of nobody"),
    "limit": _these("one is a number of things", "1"),
    "line": _texts("a name is any line of text that can be printed", _is_line),
    "new e-mail": _these("these are addresses", "A@X.com", "an accent"),
    "new id": _these("the caller chooses the id", "a UUID of nobody"),
    "new password": _texts("any 8 to 1,024 characters may be a password", _is_password),
    "optional": _these("it may be left out", "null", LEFT_OUT),
    "payment token": Legal(
        "it may be a token: the provider says that it is none",
        frozenset(
            name for name, text in TEXTS.items() if re.fullmatch(r"[A-Za-z0-9_.:-]{1,255}", text)
        ),
        frozenset({402}),
    ),
    "small number": _these("one is a number of things", "number 1"),
    "words": _texts(
        "words that no airport has find none",
        lambda text: len(text) <= 64 and not re.search(r"[\x00-\x1f\x7f\ud800]", text),
        *WRITTEN_IN_PERCENT,
    ),
}
