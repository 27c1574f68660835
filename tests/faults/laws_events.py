"""Laws about events: what is told, that it is told, and that whoever is told acts on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from .evidence import Evidence, Violation
from .tables import Row

# What an event says its booking is at that moment.
SAYS = {
    "booking.held": "held",
    "payment.declined": "held",
    "booking.confirmed": "confirmed",
    "booking.expired": "expired",
    "booking.cancelled": "cancelled",
}
# Which of these may follow one another; the others may come at any time after the first.
FOLLOWS = {
    None: {"booking.held"},
    "booking.held": {
        "payment.declined",
        "booking.confirmed",
        "booking.expired",
        "booking.cancelled",
    },
    "payment.declined": {
        "payment.declined",
        "booking.confirmed",
        "booking.expired",
        "booking.cancelled",
    },
    "booking.confirmed": {"booking.cancelled"},
    "booking.expired": set(),
    "booking.cancelled": set(),
}
PAID = frozenset({"captured", "refund_due", "refunded"})


def true_story(known: Evidence) -> Iterator[Violation]:
    """Each committed transition has its event, once, and there is no event without one."""
    for id_ in known.told.keys() - known.bookings.keys():
        kinds = [event["type"] for event in known.told[id_]]
        yield Violation("true_story", (id_,), f"{kinds} is told of a booking that is not there")
    for id_, booking in known.bookings.items():
        story = known.told.get(id_, [])
        yield from _right_count(known, booking, story)
        yield from _right_order(booking, story)


def _right_count(known: Evidence, booking: Row, story: list[Row]) -> Iterator[Violation]:
    payments = known.by_booking[booking["id"]]
    found = Counter(event["type"] for event in story)
    wanted = Counter(
        {
            "booking.held": 1,
            "booking.confirmed": sum(
                payment["failure"] is None and payment["status"] in PAID for payment in payments
            ),
            "booking.expired": int(booking["status"] == "expired"),
            "booking.cancelled": int(booking["status"] == "cancelled"),
            "payment.declined": sum(payment["failure"] == "declined" for payment in payments),
            "payment.refunded": sum(payment["status"] == "refunded" for payment in payments),
        }
    )
    for kind, times in wanted.items():
        if found[kind] != times:
            text = f"{kind} is told {found[kind]} times; by the rows it happened {times} times"
            yield Violation("true_story", (booking["id"],), text)


def _right_order(booking: Row, story: list[Row]) -> Iterator[Violation]:
    last: str | None = None
    sequence = 0
    for event in story:
        kind = event["type"]
        if not sequence < event["sequence"] <= booking["ver"]:
            text = f"{kind} has number {event['sequence']} after {sequence}, of {booking['ver']}"
            yield Violation("true_story", (booking["id"], event["id"]), text)
        sequence = event["sequence"]
        if kind not in SAYS:
            continue
        if kind not in FOLLOWS[last]:
            text = f"{kind} is told after {last}"
            yield Violation("true_story", (booking["id"], event["id"]), text)
        if event["data"]["status"] != SAYS[kind]:
            text = f"{kind} says that the booking is {event['data']['status']}"
            yield Violation("true_story", (booking["id"], event["id"]), text)
        last = kind


def told_at_least_once(known: Evidence) -> Iterator[Violation]:
    """Every event in an outbox is published, came at least once, and says what was written."""
    outbox = {event["id"]: event for event in (*known.outbox, *known.flight_outbox)}
    heard = {event["id"] for event in known.events}
    for id_, event in outbox.items():
        ids = (id_, event["subject"])
        if event["published_at"] is None:
            yield Violation("told_at_least_once", ids, f"{event['type']} was never published")
        elif known.run.get("amqp_url") and id_ not in heard:
            text = f"{event['type']} counts as published, and never came"
            yield Violation("told_at_least_once", ids, text)
    for event in known.events:
        written = outbox.get(event["id"])
        ids = (event["id"], event["subject"])
        if written is None:
            text = f"{event['type']} came, and was never written down"
            yield Violation("true_story", ids, text)
        elif any(written[name] != event[name] for name in ("type", "subject", "sequence")):
            yield Violation("true_story", ids, f"{event['type']} came with another content")


def told_in_order(known: Evidence) -> Iterator[Violation]:
    """Of one subject, each event comes for the first time only after those before it."""
    seen: set[str] = set()
    newest: dict[str, Row] = {}
    for event in known.events:
        if event["id"] in seen:
            continue
        seen.add(event["id"])
        before = newest.get(event["subject"])
        if before is not None and before["sequence"] > event["sequence"]:
            text = f"{event['type']} came for the first time after {before['type']}"
            yield Violation("told_in_order", (event["subject"], event["id"], before["id"]), text)
        else:
            newest[event["subject"]] = event


# --- those who are told ----------------------------------------------------------------------

# Letters that are right whenever they come; others may be outdated, and are then not written.
ALWAYS_WRITTEN = frozenset({"booking.expired", "booking.cancelled", "payment.refunded"})


def heard_and_acted(known: Evidence) -> Iterator[Violation]:
    """What a consumer was told it has acted on, once all is quiet."""
    yield from _letters(known)
    if known.run.get("amqp_url"):  # without a broker the two services' events do not meet
        yield from _changed_flights(known)


def _letters(known: Evidence) -> Iterator[Violation]:
    for event in known.outbox:
        id_, kind = event["subject"], event["type"]
        status = known.bookings.get(id_, {}).get("status")
        due = kind in ALWAYS_WRITTEN or (kind == "booking.confirmed" == f"booking.{status}")
        consumer = f"letters.{kind}"
        if (
            due
            and event["published_at"] is not None
            and (consumer, event["id"]) not in known.taken
            and known.positions.get((consumer, id_), -1) <= event["sequence"]
        ):
            text = f"{kind} was published, and no letter was ever written about it"
            yield Violation("heard_and_acted", (id_, event["id"]), text)


def _changed_flights(known: Evidence) -> Iterator[Violation]:
    told: dict[str, int] = {}
    for event in known.flight_outbox:
        if event["published_at"] is not None:
            told[event["subject"]] = max(told.get(event["subject"], 0), event["sequence"])
    booked = defaultdict(set)
    for id_, booking in known.bookings.items():
        for segment in booking["segments"]:
            booked[segment["flight_id"]].add(id_)
    for flight_id, sequence in told.items():
        noted = known.flight_changes.get(flight_id)
        if noted is None or noted["sequence"] < sequence:
            text = f"change {sequence} of the flight was told, and not written down"
            yield Violation("heard_and_acted", (flight_id,), text)
            continue
        for id_ in booked[flight_id]:
            seen = known.change_seen.get((flight_id, id_), 0)
            if known.bookings[id_]["status"] == "confirmed" and seen < sequence:
                text = f"a confirmed booking never heard of change {sequence} of its flight"
                yield Violation("heard_and_acted", (id_, flight_id), text)
            elif (
                known.bookings[id_]["status"] == "confirmed"
                and known.flights.get(flight_id, {}).get("status") == "cancelled"
            ):
                text = "a booking is confirmed on a flight that is cancelled"
                yield Violation("heard_and_acted", (id_, flight_id), text)
