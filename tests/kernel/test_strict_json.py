"""A body is JSON that every reader understands alike, or it is refused with the reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.kernel.http.strict_json import DEPTH_MAX, DIGITS_MAX, NotJson, check

WRONG = {
    "a byte order mark": (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "byte 0 is not UTF-8"),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), "column 2"),
    "UTF-32": ('{"a": 1}'.encode("utf-32-be"), "column 1"),
    "Latin-1": ('{"a": "é"}'.encode("latin-1"), "byte 7 is not UTF-8"),
    "an encoded surrogate": (b'"\xed\xa0\x80"', "byte 1 is not UTF-8"),
    "a key twice": (b'{"a": 1, "a": 1}', "a key twice"),
    "a key twice inside": (b'[{"b": [{"a": 1, "\\u0061": 2}]}]', "a key twice"),
    "NaN": (b"[NaN]", "no numbers"),
    "Infinity": (b'{"a": Infinity}', "no numbers"),
    "-Infinity": (b"-Infinity", "no numbers"),
    "1e400": (b"1e400", "too large"),
    "-1E999": (b'{"a": [-1E999]}', "too large"),
    "many digits": (b"9" * (DIGITS_MAX + 1), "digits"),
    "a million digits": (b"[-" + b"9" * 1_000_000 + b"]", "digits"),
    "garbage behind": (b'{"a": 1}}', "Extra data at line 1, column 9"),
    "two": (b"1 2", "Extra data"),
    "truncated": (b'{"a": [1', "line 1, column 9"),
    "blanks": (b"  ", "column 3"),
    "NUL": (b'{"a": "\x00"}', "control character"),
    "single quotes": (b"{'a': 1}", "column 2"),
    "half a pair": (b'["\\ud83d"]', "surrogate"),
    "the other half": (b'["\\udca9\\ud83d"]', "surrogate"),
    "half a pair in a key": (b'{"\\udca9": 1}', "surrogate"),
    "half a pair deep inside": (b'{"a": [{"b": ["\\uD800"]}]}', "surrogate"),
    "too deep": (b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), "deeper"),
    "deep": (b"[" * 30_000 + b"]" * 30_000, "deeper"),
    "deep and open": (b'{"a":' * 12_000, "deeper"),
    "deep after a bracket in a string": (b'["]]]",' * 70, "deeper"),
}


@pytest.mark.parametrize(("raw", "says"), WRONG.values(), ids=WRONG)
def test_what_two_readers_may_read_differently_is_refused_and_the_reason_said(raw, says):
    with pytest.raises(NotJson, match=says):
        check(raw)


RIGHT = {
    "null": b"null",
    "a pair": b'["\\ud83d\\udca9"]',
    "a letter that was escaped": b'{"\\u00e9": "\\u0000"}',
    "a backslash before a u": b'["\\\\ud83d"]',
    "keys of two objects": b'[{"a": 1}, {"a": 1}]',
    "numbers": b"[2e300, -0.5, 1e-400, 18446744073709551616]",
    "as many digits as may be": b"9" * DIGITS_MAX,
    "as deep as may be": b"[" * DEPTH_MAX + b"]" * DEPTH_MAX,
    "many brackets side by side": b"[" + b"[]," * 1_000 + b"{}]",
    "many brackets in a string": b'["' + b"[{" * 1_000 + b'\\""]',
    "blanks around": b' \r\n\t{"a": [true]} \n',
}


@pytest.mark.parametrize("raw", RIGHT.values(), ids=RIGHT)
def test_what_is_json_passes(raw):
    check(raw)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False).filter(lambda number: abs(number) != float("inf"))
    | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@given(values, st.booleans())
def test_whatever_a_program_writes_is_read(value, ascii_only):
    check(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(st.binary() | st.text('[]{}",:0123456789eE+-.\\u truefalsn').map(str.encode))
def test_nothing_else_comes_out_of_it(raw):
    try:
        check(raw)
    except NotJson:
        return
    json.loads(raw)


def test_a_string_that_does_not_end_is_gone_through_once():
    # By the square of its length this would be a quarter of an hour, and the test would hang.
    body = b"[" + b"[]," * 65 + b'"' + b'\\"' * 300_000
    with pytest.raises(NotJson):
        check(body)
