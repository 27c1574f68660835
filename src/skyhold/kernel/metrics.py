"""What this process counts and measures, for Prometheus.

Every metric of the kernel is here, by name, but for those of databases: kernel.db_metrics. Whoever
has something to tell owns a small object for it (`Requests`, `Batches`, `Rounds`, …) whose label
values are bound once, so that telling costs next to nothing. Label values are names, route
templates, codes and states: few, and never anything that a caller sent. How all this is answered
for is kernel.observatory's business.
"""

from __future__ import annotations

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

UNMATCHED = "unmatched"
ABORTED = "aborted"
OTHER = "other"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

REGISTRY = CollectorRegistry(auto_describe=True)
disable_created_metrics()  # type: ignore[no-untyped-call]  # as many series again, for nobody
# Memory, CPU time, open files; not where several processes answer together, they do not add up.
ProcessCollector(registry=REGISTRY)

LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SHORT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
LAG_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def counter(name: str, documentation: str, *labels: str) -> Counter:
    """Something that only grows; its name ends in _total."""
    return Counter(name, documentation, labels, registry=REGISTRY)


def histogram(
    name: str, documentation: str, *labels: str, buckets: tuple[float, ...] = LATENCY_S
) -> Histogram:
    """How often, and how much of it each time."""
    return Histogram(name, documentation, labels, buckets=buckets, registry=REGISTRY)


_LIMITED = counter("skyhold_limited_total", "What was refused because it came too often", "limit")


def limit_refused(name: str) -> None:
    """Somebody came too often; `name` is the limit's."""
    _LIMITED.labels(name).inc()


def total_gauge(name: str, documentation: str, *labels: str) -> Gauge:
    """How much there is just now, in all processes together."""
    return Gauge(name, documentation, labels, multiprocess_mode="livesum", registry=REGISTRY)


def highest_gauge(name: str, documentation: str, *labels: str) -> Gauge:
    """How things are just now; of several processes the highest value counts."""
    return Gauge(name, documentation, labels, multiprocess_mode="livemax", registry=REGISTRY)


# --- HTTP, as the gateway sees it ------------------------------------------------------------

HTTP_REQUESTS = counter(
    "skyhold_http_requests_total",
    "Requests that were answered; status is `aborted` when there was no answer",
    *("service", "method", "route", "status"),
)
HTTP_DURATION = histogram(
    "skyhold_http_request_duration_seconds",
    "From a request's arrival to the end of its answer",
    *("service", "method", "route"),
)
HTTP_IN_FLIGHT = total_gauge(
    "skyhold_http_requests_in_flight", "Requests being worked on just now", "service"
)


class Requests:
    """The requests that one service answers."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._seen: dict[tuple[str, str, int | None], tuple[Counter, Histogram]] = {}
        self.in_flight = HTTP_IN_FLIGHT.labels(service)

    def answered(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """One more. `route` is a template; `status` is None when the answer never came."""
        bound = self._seen.get((method, route, status)) or self._bind(method, route, status)
        bound[0].inc()
        bound[1].observe(seconds)

    def _bind(self, method: str, route: str, status: int | None) -> tuple[Counter, Histogram]:
        known = method if method in METHODS else OTHER
        told = ABORTED if status is None else str(status)
        bound = (
            HTTP_REQUESTS.labels(self._service, known, route, told),
            HTTP_DURATION.labels(self._service, known, route),
        )
        if known == method:  # a caller makes up methods at will; those are not remembered
            self._seen[method, route, status] = bound
        return bound


# --- batches ---------------------------------------------------------------------------------

BATCH_ITEMS = histogram(
    "skyhold_batch_items", "Items that went out together", "batcher", buckets=SIZES
)
BATCH_DURATION = histogram(
    "skyhold_batch_duration_seconds", "How long a batch took", "batcher", buckets=SHORT_S
)
BATCH_WAITING = total_gauge(
    "skyhold_batch_waiting_items", "Items that wait for the next batch", "batcher"
)
BATCH_REFUSED = counter(
    "skyhold_batch_refused_total", "Items refused because too many were waiting", "batcher"
)


class Batches:
    """What goes through one batcher."""

    def __init__(self, batcher: str) -> None:
        self.items = BATCH_ITEMS.labels(batcher)
        self.duration = BATCH_DURATION.labels(batcher)
        self.waiting = BATCH_WAITING.labels(batcher)
        self.refused = BATCH_REFUSED.labels(batcher)


# --- jobs ------------------------------------------------------------------------------------

# Not by `job`: that is what Prometheus calls the processes it asks.
JOB_ROUNDS = counter("skyhold_job_rounds_total", "Rounds of a job, failed ones included", "name")
JOB_FAILURES = counter("skyhold_job_failures_total", "Rounds of a job that failed", "name")
JOB_LAST_SUCCESS = highest_gauge(
    "skyhold_job_last_success_timestamp_seconds",
    "When a round of this job last went well (Unix time), 0 if none ever did",
    "name",
)


class Rounds:
    """The rounds of one job that runs in this process."""

    def __init__(self, name: str) -> None:
        self._rounds = JOB_ROUNDS.labels(name)
        self._failures = JOB_FAILURES.labels(name)
        self._last_success = JOB_LAST_SUCCESS.labels(name)

    def succeeded(self) -> None:
        """A round went well."""
        self._rounds.inc()
        self._last_success.set(time.time())

    def failed(self) -> None:
        """A round raised."""
        self._rounds.inc()
        self._failures.inc()


# --- calls to another party ------------------------------------------------------------------

CALLS = counter(
    "skyhold_client_calls_total",
    "Calls to another party: ok, refused (a clear no), unknown, busy, open (not even tried)",
    *("party", "outcome"),
)
CALL_DURATION = histogram(
    "skyhold_client_call_duration_seconds", "How long another party took, repeats included", "party"
)
BREAKER_STATE = highest_gauge(
    "skyhold_client_breaker_state",
    "Of the calls to a party: 0 made, 1 tried again after a pause, 2 not made for now",
    "party",
)
BREAKER_STATES = {"closed": 0, "half-opened": 1, "opened": 2}  # in the library's words


class Calls:
    """The calls to one other party."""

    def __init__(self, party: str) -> None:
        self._outcomes = {
            outcome: CALLS.labels(party, outcome)
            for outcome in ("ok", "refused", "unknown", "busy", "open")
        }
        self._duration = CALL_DURATION.labels(party)
        self._breaker = BREAKER_STATE.labels(party)

    def ended(self, outcome: str, seconds: float) -> None:
        """One call, with its repeats; one that was not even tried has no duration."""
        self._outcomes[outcome].inc()
        if outcome != "open":
            self._duration.observe(seconds)

    def breaker(self, state: str) -> None:
        """The breaker is now closed, half-opened or opened."""
        self._breaker.set(BREAKER_STATES[state])


# --- events ----------------------------------------------------------------------------------

OUTBOX_PUBLISHED = counter(
    "skyhold_outbox_published_total", "Events that the bus confirmed", "service"
)
OUTBOX_REFUSED = counter(
    "skyhold_outbox_refused_total", "Attempts to publish that the bus did not confirm", "service"
)
OUTBOX_LAG = histogram(
    "skyhold_outbox_lag_seconds",
    "From what happened to the bus's confirmation",
    "service",
    buckets=LAG_S,
)
EVENTS_CONSUMED = counter(
    "skyhold_events_consumed_total",
    "Events a consumer was handed: taken or failed; repeated are those of the taken it had before",
    *("queue", "outcome"),
)


class Published:
    """What the relay of one service tells of its events."""

    def __init__(self, service: str) -> None:
        self._published = OUTBOX_PUBLISHED.labels(service)
        self._refused = OUTBOX_REFUSED.labels(service)
        self._lag = OUTBOX_LAG.labels(service)

    def published(self, lag_s: float) -> None:
        """The bus has an event that happened `lag_s` ago."""
        self._published.inc()
        self._lag.observe(lag_s)

    def refused(self) -> None:
        """The bus did not confirm an event."""
        self._refused.inc()


def consumed(queue: str, outcome: str) -> None:
    """A consumer is done with an event: `taken`, `repeated` or `failed`."""
    EVENTS_CONSUMED.labels(queue, outcome).inc()


# --- asking the database ---------------------------------------------------------------------

PROBE_FAILURES = counter(
    "skyhold_probe_failures_total", "Questions for /metrics that had no answer in time", "probe"
)
