"""JSON as RFC 8259 and I-JSON (RFC 7493) have it, and nothing that two readers read differently."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

DEPTH_MAX = 64
DIGITS_MAX = 40

# A string, so that brackets inside it are not counted, or a bracket. What comes after the first
# mistake may be taken for something else; the parser does not come that far. A string that does not
# end goes up to the end: to look again from each of its quotes would take the square of its length.
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|([\[{])|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotJson(ValueError):
    """Says in a sentence what is wrong, and nothing of what was sent."""


def check(raw: bytes) -> None:
    """Raises NotJson unless this is one JSON text that every reader understands alike."""
    if raw.startswith(codecs.BOM_UTF8):
        raise NotJson("it begins with a byte order mark")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start} is not UTF-8") from None
    if text.count("[") + text.count("{") > DEPTH_MAX:
        _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    # A lone surrogate can only come from an escape, and those are rare.
    if "\\u" in text and any(_SURROGATE.search(string) for string in _strings(value)):
        raise NotJson("a string has half of a surrogate pair")


def _check_depth(text: str) -> None:
    depth = 0
    for found in _BRACKET.finditer(text):
        if found[1]:
            depth += 1
            if depth > DEPTH_MAX:
                raise NotJson(f"it is nested deeper than {DEPTH_MAX} levels")
        elif not found[0].startswith('"'):
            depth -= 1


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJson("an object has a key twice")
    return found


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise NotJson(f"a number has more than {DIGITS_MAX} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise NotJson("a number is too large")
    return number


def _no_number(_: str) -> NoReturn:
    raise NotJson("NaN and Infinity are no numbers")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_once_each,
    parse_int=_whole,
    parse_float=_finite,
    parse_constant=_no_number,
)
