"""Events as they cross the wire: CloudEvents 1.0, in the structured JSON form.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, with the extensions
`sequence` (extensions/sequence.md), `traceparent` (extensions/distributed-tracing.md) and one of
ours, `requestid`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .bus import Event

CONTENT_TYPE = "application/cloudevents+json"
SPEC_VERSION = "1.0"
SEQUENCE_DIGITS = 19  # as many as a signed 64-bit integer has

_SEQUENCE = re.compile(r"[0-9]{1,19}")
_REQUEST_ID = re.compile(r"[!-~]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class NotAnEvent(ValueError):
    """What came is no event of this system."""


def to_cloudevent(event: Event) -> dict[str, Any]:
    """The event as a JSON object. `sequence` has leading zeros, so that it sorts as text."""
    envelope: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": f"{event.sequence:0{SEQUENCE_DIGITS}}",
    }
    if event.request_id is not None:
        envelope["requestid"] = event.request_id
    if event.traceparent is not None:
        envelope["traceparent"] = event.traceparent
    return envelope | {"data": dict(event.data)}


def from_cloudevent(envelope: object) -> Event:
    """The event in a JSON object. Raises NotAnEvent when it is none, or lacks what we go by.

    What we do not know is left out, so a sender may add to its events. `requestid` and
    `traceparent` only say where an event comes from: in a form that is not theirs they count as
    not given.
    """
    if not isinstance(envelope, Mapping):
        raise NotAnEvent("not a JSON object")
    if envelope.get("specversion") != SPEC_VERSION:
        raise NotAnEvent("specversion is not 1.0")
    sequence = _text(envelope, "sequence")
    if not _SEQUENCE.fullmatch(sequence):
        raise NotAnEvent("sequence is not a number")
    data = envelope.get("data")
    if not isinstance(data, Mapping):
        raise NotAnEvent("data is not a JSON object")
    return Event(
        id=_text(envelope, "id"),
        type=_text(envelope, "type"),
        subject=_text(envelope, "subject"),
        sequence=int(sequence),
        data=data,
        occurred_at=_instant(_text(envelope, "time")),
        source=_text(envelope, "source"),
        request_id=_optional(envelope, "requestid", _REQUEST_ID),
        traceparent=_optional(envelope, "traceparent", _TRACEPARENT),
    )


def to_bytes(event: Event) -> bytes:
    """The body of a message. Raises ValueError or TypeError for data that JSON cannot say."""
    return json.dumps(
        to_cloudevent(event), ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()


def from_bytes(body: bytes) -> Event:
    """The event in the body of a message. Raises NotAnEvent."""
    try:
        return from_cloudevent(json.loads(body))
    except NotAnEvent:
        raise
    except (ValueError, RecursionError) as error:
        raise NotAnEvent("not JSON") from error


def _text(envelope: Mapping[str, Any], name: str) -> str:
    value = envelope.get(name)
    if not isinstance(value, str) or not value:
        msg = f"{name} is not a text"
        raise NotAnEvent(msg)
    return value


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotAnEvent("time is not a time of RFC 3339") from error
    if instant.tzinfo is None:
        raise NotAnEvent("time has no zone")
    return instant.astimezone(UTC)


def _optional(envelope: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value = envelope.get(name)
    return value if isinstance(value, str) and form.fullmatch(value) else None
