"""A segment as the flight service tells of it."""

from __future__ import annotations

SEGMENT = {
    "flight_id": "UA1545-2026-12-01-EWR",
    "flight_number": "UA1545",
    "origin": "EWR",
    "destination": "IAH",
    "departing_at": "2026-12-01T05:15:00-05:00",
    "arriving_at": "2026-12-01T08:19:00-06:00",
    "cabin": "economy",
    "seats": ["12A", "12B"],
    "fare": {"amount": "129.00", "currency": "USD"},
}
