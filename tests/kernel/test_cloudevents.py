"""Events as they cross the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.kernel.messaging import Event
from skyhold.kernel.messaging.cloudevents import (
    NotAnEvent,
    from_bytes,
    from_cloudevent,
    to_bytes,
    to_cloudevent,
)

AT = datetime(2026, 12, 1, 9, 30, 0, 125_000, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVENT = Event(
    "e1",
    "booking.held",
    "b1",
    7,
    {"seats": ["12A"], "total": {"amount": "129.00"}},
    AT,
    source="/skyhold/booking",
    request_id="r-1",
    traceparent=TRACEPARENT,
)


def test_an_event_is_a_cloudevent_in_structured_form():
    assert to_cloudevent(EVENT) == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/skyhold/booking",
        "type": "booking.held",
        "subject": "b1",
        "time": "2026-12-01T09:30:00.125000Z",
        "datacontenttype": "application/json",
        "sequence": "0000000000000000007",
        "requestid": "r-1",
        "traceparent": TRACEPARENT,
        "data": {"seats": ["12A"], "total": {"amount": "129.00"}},
    }


def test_what_is_not_known_is_left_out():
    bare = to_cloudevent(Event("e1", "t", "s", 1, {}, AT, source="/s"))
    assert not {"requestid", "traceparent"} & bare.keys()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
events = st.builds(
    Event,
    id=st.text(min_size=1),
    type=st.text(min_size=1),
    subject=st.text(min_size=1),
    sequence=st.integers(0, 2**63 - 1),
    data=st.dictionaries(st.text(), json_values, max_size=4),
    occurred_at=st.datetimes(timezones=st.just(UTC)),
    source=st.text(min_size=1),
    request_id=st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    traceparent=st.none() | st.just(TRACEPARENT),
)


@given(events)
def test_an_event_arrives_as_it_was_sent(event):
    assert from_bytes(to_bytes(event)) == event


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_sequences_sort_as_text_as_they_do_as_numbers(one, other):
    texts = [
        to_cloudevent(Event("e", "t", "s", number, {}, AT))["sequence"] for number in (one, other)
    ]
    assert (one < other) == (texts[0] < texts[1])


def test_a_time_may_come_with_any_offset_and_means_the_same_instant():
    elsewhere = AT.astimezone(timezone(timedelta(hours=-5)))
    envelope = to_cloudevent(EVENT) | {"time": elsewhere.isoformat()}
    assert from_cloudevent(envelope) == EVENT


def test_what_a_newer_sender_adds_is_passed_over():
    assert from_cloudevent(to_cloudevent(EVENT) | {"dataschema": "/x", "novelty": 1}) == EVENT


@pytest.mark.parametrize(
    "given",
    [
        {"specversion": "2.0"},
        {"specversion": None},
        {"id": ""},
        {"id": 7},
        {"id": None},
        {"source": ""},
        {"type": None},
        {"subject": None},
        {"sequence": 7},
        {"sequence": "seven"},
        {"sequence": "-1"},
        {"sequence": "\N{ARABIC-INDIC DIGIT SEVEN}"},
        {"sequence": "9" * 20},
        {"time": "yesterday"},
        {"time": "2026-12-01T09:30:00"},
        {"time": None},
        {"data": None},
        {"data": []},
        {"data": "text"},
    ],
    ids=repr,
)
def test_what_lacks_what_we_go_by_is_no_event(given):
    with pytest.raises(NotAnEvent):
        from_cloudevent(to_cloudevent(EVENT) | given)


@pytest.mark.parametrize("left_out", ["specversion", "id", "source", "type", "time", "data"])
def test_what_leaves_out_what_we_go_by_is_no_event(left_out):
    envelope = to_cloudevent(EVENT)
    del envelope[left_out]
    with pytest.raises(NotAnEvent):
        from_cloudevent(envelope)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"text"', b"7", b"[" * 100_000],
    ids=["nothing", "torn", "bytes", "null", "list", "text", "number", "deep"],
)
def test_junk_is_no_event(body):
    with pytest.raises(NotAnEvent):
        from_bytes(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requestid", "two\nlines"),
        ("requestid", "x" * 65),
        ("requestid", ""),
        ("requestid", 7),
        ("traceparent", "00-zz"),
        ("traceparent", f"{TRACEPARENT}\n"),
        ("traceparent", []),
    ],
)
def test_a_request_or_trace_in_no_proper_form_is_as_none_at_all(name, value):
    event = from_cloudevent(to_cloudevent(EVENT) | {name: value})
    assert (event.request_id if name == "requestid" else event.traceparent) is None


def test_data_that_json_cannot_say_is_refused_before_it_is_sent():
    with pytest.raises(ValueError, match="JSON"):
        to_bytes(Event("e1", "t", "s", 1, {"price": float("nan")}, AT))


def test_the_body_is_plain_utf_8():
    event = Event("e1", "t", "s", 1, {"name": "Zoë"}, AT)
    assert "Zoë".encode() in to_bytes(event)
    assert json.loads(to_bytes(event))["data"] == {"name": "Zoë"}
