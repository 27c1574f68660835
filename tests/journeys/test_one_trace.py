"""One trace from the traveller's request through both services, their databases and the events."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select

from skyhold.booking.models.tables import OUTBOX
from skyhold.kernel import tracing
from support.system import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    tracing.configure("skyhold", exporter=exporter)
    yield exporter
    tracing.shutdown()


async def test_a_booking_is_one_trace_from_the_request_to_the_event(inside, spans):
    alice = await inside.traveller("Alice")
    flight = await inside.a_flight()
    inside.bookings_http.headers["traceparent"] = TRACEPARENT
    booking = (await alice.book(flight)).body
    del inside.bookings_http.headers["traceparent"]

    async def told():
        return [span for span in of_trace(spans) if span.name == "publish booking.held"]

    [published] = await eventually(told)
    names = {span.name for span in of_trace(spans)}
    assert {"POST /api/v1/bookings", "PUT flight", "PUT /api/v1/holds/{hold_id}", "batch"} <= names
    assert "db.transaction" in names

    hold = one(spans, "PUT /api/v1/holds/{hold_id}")
    assert hold.parent.is_remote  # it came in the request's headers, as from another process
    # Calls that wait travel together, so even this one, which is alone, goes out as a batch.
    assert line_of(spans, hold) == ["PUT flight", "batch", "POST /api/v1/bookings"]
    transactions = [
        line_of(spans, span) for span in of_trace(spans) if span.name == "db.transaction"
    ]
    assert ["batch", "PUT /api/v1/holds/{hold_id}", *line_of(spans, hold)] in transactions
    assert ["batch", "POST /api/v1/bookings"] in transactions
    assert line_of(spans, published)[-1] == "POST /api/v1/bookings"

    async with inside.bookings.db.read() as tx:
        kept = await tx.scalar(
            select(OUTBOX.c.traceparent).where(OUTBOX.c.subject == booking["id"])
        )
    assert kept.split("-")[1] == TRACE


def of_trace(spans):
    return [span for span in spans.get_finished_spans() if f"{span.context.trace_id:032x}" == TRACE]


def one(spans, name):
    [found] = [span for span in of_trace(spans) if span.name == name]
    return found


def line_of(spans, span):
    """The names of the spans that it stands under, from the nearest on."""
    by_id = {known.context.span_id: known for known in of_trace(spans)}
    line = []
    while span := by_id.get(span.parent.span_id):
        line.append(span.name)
    return line
