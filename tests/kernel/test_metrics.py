"""What is counted along the way: by route and not by path, bounded, and cheap."""

from __future__ import annotations

import asyncio
import re
import time
import timeit

import pytest
from fastapi import Response

import skyhold.booking.services.backlog
import skyhold.flight.services.backlog  # noqa: F401 - so that their metrics are there
from skyhold.kernel import backlog, metrics
from skyhold.kernel.batcher import Batcher, Overloaded
from skyhold.kernel.db import DatabaseBusy, Duplicate
from skyhold.kernel.db_metrics import Pool, Transactions
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.metrics import REGISTRY, Calls, Published, Requests
from skyhold.kernel.observatory import Question
from support.prometheus import Since, samples, value
from support.system import eventually

REQUESTS = "skyhold_http_requests_total"
DURATIONS = "skyhold_http_request_duration_seconds_count"
LAST_SUCCESS = "skyhold_job_last_success_timestamp_seconds"
IN_FLIGHT = "skyhold_http_requests_in_flight"

router = Routes()
gate: dict[str, asyncio.Event] = {}


@router.get("/things/{thing}")
async def thing(thing: str) -> str:
    return thing


@router.delete("/things/{thing}", status_code=204)
async def drop(thing: str) -> Response:
    return Response(status_code=204)


@router.get("/boom/{thing}")
async def boom(thing: str) -> None:
    raise RuntimeError(thing)


@router.get("/wait")
async def wait() -> None:
    gate["inside"].set()
    await gate["open"].wait()


@pytest.fixture
async def http(serve):
    return await serve(router)


@pytest.fixture
def since() -> Since:
    return Since()


def of(method, route, status):
    return {"service": "a-service", "method": method, "route": route, "status": status}


# --- requests --------------------------------------------------------------------------------


async def test_requests_are_counted_by_the_template_of_their_route(http, since):
    for thing in ("a", "b", "c"):
        await http.get(f"/things/{thing}")
    await http.delete("/things/a")
    assert since(REQUESTS, **of("GET", "/things/{thing}", 200)) == 3
    assert since(REQUESTS, **of("DELETE", "/things/{thing}", 204)) == 1
    labels = {"service": "a-service", "method": "GET", "route": "/things/{thing}"}
    assert since(DURATIONS, **labels) == 3


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/nowhere/at/all", "unmatched", 404),
        ("GET", "/things/a/b", "unmatched", 404),
        ("POST", "/things/a", "/things/{thing}", 405),
        ("GET", "/boom/a", "/boom/{thing}", 500),
        ("GET", "/problems/not_found", "/problems/{code}", 200),
        ("GET", "/docs", "/docs", 200),
    ],
)
async def test_every_answer_counts_under_a_template_or_as_unmatched(
    http, since, method, path, route, status
):
    await http.request(method, path)
    assert since(REQUESTS, **of(method, route, status)) == 1


async def test_what_a_caller_makes_up_makes_no_new_series(http, since):
    before = count_of_series()
    for number in range(20):
        await http.request(f"BREW{number}", f"/pot/{number}")
        await http.get(f"/no/{number}")
    assert since(REQUESTS, **of("other", "unmatched", 404)) == 20
    assert since(REQUESTS, **of("GET", "unmatched", 404)) == 20
    assert count_of_series() - before <= 2 * (1 + len(metrics.LATENCY_S) + 3)


def count_of_series():
    return sum(len(family.samples) for family in REGISTRY.collect())


async def test_a_request_is_in_flight_until_its_answer_has_gone_out(http):
    gate.update(inside=asyncio.Event(), open=asyncio.Event())
    request = asyncio.create_task(http.get("/wait"))
    await asyncio.wait_for(gate["inside"].wait(), 5)
    assert value(IN_FLIGHT, service="a-service") == 1
    gate["open"].set()
    await request
    assert value(IN_FLIGHT, service="a-service") == 0


async def test_a_request_that_never_got_an_answer_counts_as_aborted(since):
    started = asyncio.Event()

    async def app(_scope, _receive, _send):
        started.set()
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    gateway = Gateway(app, service="a-service", edge=Edge(1))
    request = asyncio.create_task(gateway(scope, None, None))
    await asyncio.wait_for(started.wait(), 5)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert since(REQUESTS, **of("GET", "unmatched", "aborted")) == 1
    assert value(IN_FLIGHT, service="a-service") == 0


# --- GET /metrics ----------------------------------------------------------------------------


async def test_metrics_are_answered_in_the_text_format(http):
    await http.get("/things/a")
    reply = await http.get("/metrics")
    assert (reply.status_code, reply.headers["content-type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    labels = tuple(sorted(of("GET", "/things/{thing}", "200").items()))
    assert samples(reply.text, REQUESTS)[labels] >= 1
    assert samples(reply.text, "process_resident_memory_bytes")
    assert "_created" not in reply.text


async def test_what_a_supervisor_asks_is_neither_counted_nor_logged(http, logged):
    before = count_of_series()
    since = Since()
    for path in ("/metrics", "/livez", "/readyz"):
        assert (await http.get(path)).status_code == 200
        assert since(REQUESTS, **of("GET", path, 200)) == 0
    assert count_of_series() == before
    assert logged == []


async def test_the_api_document_says_nothing_of_metrics(http):
    assert "/metrics" not in (await http.get("/openapi.json")).json()["paths"]


# --- batches ---------------------------------------------------------------------------------


async def test_a_batcher_tells_its_batches_and_who_waits(since):
    opening = asyncio.Event()

    async def serve(items):
        await opening.wait()
        return items

    batcher = Batcher(serve, name="desk", batch_max=2, waiting_max=3)
    callers = [asyncio.create_task(batcher.submit(1))]
    await asyncio.sleep(0.01)  # the first goes out alone
    callers += [asyncio.create_task(batcher.submit(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0.01)
    assert value("skyhold_batch_waiting_items", batcher="desk") == 3
    with pytest.raises(Overloaded):
        await batcher.submit(5)
    opening.set()
    assert await asyncio.gather(*callers) == [1, 2, 3, 4]
    assert value("skyhold_batch_waiting_items", batcher="desk") == 0
    assert since("skyhold_batch_refused_total", batcher="desk") == 1
    sizes = [since("skyhold_batch_items_bucket", batcher="desk", le=le) for le in ("1.0", "2.0")]
    assert sizes == [2, 3]
    assert since("skyhold_batch_items_sum", batcher="desk") == 4
    assert since("skyhold_batch_duration_seconds_count", batcher="desk") == 3
    await batcher.close()


async def test_after_a_batcher_was_cut_off_nobody_waits_any_more():
    async def never(_items):
        await asyncio.Event().wait()

    batcher = Batcher(never, name="cut", batch_max=1)
    callers = [asyncio.create_task(batcher.submit(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0.01)
    batcher._worker.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    assert value("skyhold_batch_waiting_items", batcher="cut") == 0


# --- jobs ------------------------------------------------------------------------------------


async def test_a_job_tells_its_rounds_failures_and_last_success(since, logged):
    async def work():
        raise ConnectionError

    async def well():
        return 0

    job = Periodic("mending", 0.001, work, round_max=1)
    job.start()
    await eventually(lambda: grown(since, "skyhold_job_failures_total", 2))
    assert value(LAST_SUCCESS, name="mending") == 0
    job.work = well
    began_at = time.time()
    await eventually(lambda: reached(LAST_SUCCESS, began_at))
    await job.stop()
    failures = since("skyhold_job_failures_total", name="mending")
    assert since("skyhold_job_rounds_total", name="mending") > failures >= 2


async def grown(since, sample, least):
    return since(sample, name="mending") >= least


async def reached(sample, least):
    return value(sample, name="mending") >= least


async def test_a_job_that_is_not_run_here_has_no_last_success_to_be_alarmed_about():
    async def work():
        return 0

    Periodic("elsewhere", 1, work, round_max=1)
    assert REGISTRY.get_sample_value(LAST_SUCCESS, {"name": "elsewhere"}) is None


# --- the database, other parties, events -----------------------------------------------------


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "committed"), (Duplicate("a key"), "refused"), (DatabaseBusy(), "failed")],
)
def test_a_transaction_counts_by_how_it_ended(since, error, outcome):
    transactions = Transactions("a-database")
    try:
        with transactions.one():
            transactions.run()
            transactions.retry("lost_race")
            transactions.run()
            if error:
                raise error
    except (Duplicate, DatabaseBusy):
        pass
    database = {"database": "a-database"}
    assert since("skyhold_db_transactions_total", outcome=outcome, **database) == 1
    assert since("skyhold_db_transaction_runs_total", **database) == 2
    retries = "skyhold_db_transaction_retries_total"
    assert since(retries, failure="lost_race", **database) == 1
    assert since("skyhold_db_transaction_duration_seconds_count", **database) == 1


def test_a_connection_is_in_use_from_when_it_is_there_until_it_is_given_back(since):
    pool, labels = Pool("a-database", "write", 7), {"database": "a-database", "pool": "write"}
    with pool.use() as use:
        assert value("skyhold_db_pool_connections_in_use", **labels) == 0
        use.got()
        assert value("skyhold_db_pool_connections_in_use", **labels) == 1
    assert value("skyhold_db_pool_connections_in_use", **labels) == 0
    assert value("skyhold_db_pool_connections_max", **labels) == 7
    assert since("skyhold_db_pool_wait_seconds_count", **labels) == 1
    assert since("skyhold_db_pool_timeouts_total", **labels) == 0


@pytest.mark.parametrize(("error", "timeouts"), [(TimeoutError(), 1), (KeyboardInterrupt(), 0)])
def test_nobody_got_a_connection_in_time_unless_the_caller_went_away(since, error, timeouts):
    pool, labels = Pool("a-database", "read", 7), {"database": "a-database", "pool": "read"}
    with pytest.raises(type(error)), pool.use():
        raise error
    assert since("skyhold_db_pool_timeouts_total", **labels) == timeouts
    assert value("skyhold_db_pool_connections_in_use", **labels) == 0


def test_calls_to_another_party_count_by_outcome_and_one_not_made_took_no_time(since):
    calls = Calls("flight")
    for outcome in ("ok", "refused", "unknown", "busy", "open"):
        calls.ended(outcome, 0.1)
        assert since("skyhold_client_calls_total", party="flight", outcome=outcome) == 1
    assert since("skyhold_client_call_duration_seconds_count", party="flight") == 4


@pytest.mark.parametrize(("state", "number"), [("closed", 0), ("half-opened", 1), ("opened", 2)])
def test_a_breaker_is_the_higher_the_worse(state, number):
    Calls("provider").breaker(state)
    assert value("skyhold_client_breaker_state", party="provider") == number


def test_events_count_with_how_late_they_were(since):
    published = Published("booking")
    published.published(0.2)
    published.refused()
    metrics.consumed("booking.notifications", "taken")
    assert since("skyhold_outbox_published_total", service="booking") == 1
    assert since("skyhold_outbox_refused_total", service="booking") == 1
    assert since("skyhold_outbox_lag_seconds_bucket", service="booking", le="0.25") == 1
    assert since("skyhold_outbox_lag_seconds_bucket", service="booking", le="0.1") == 0
    taken = {"queue": "booking.notifications", "outcome": "taken"}
    assert since("skyhold_events_consumed_total", **taken) == 1


# --- names and cost --------------------------------------------------------------------------

UNITS = ("seconds", "bytes", "items", "connections", "requests", "rows", "events")


def ours():
    asked = [question for question in vars(backlog).values() if isinstance(question, Question)]
    told = [family for family in REGISTRY.collect() if not family.name.startswith("process_")]
    return [(q.name, "gauge", q.documentation) for q in asked] + [
        (family.name, family.type, family.documentation) for family in told
    ]


def test_names_follow_the_guidance_of_prometheus():
    assert len(ours()) > 25
    for name, kind, documentation in ours():
        assert re.fullmatch(r"skyhold(_[a-z]+)+", name), name
        assert documentation, name
        assert not re.search(r"_(ms|millis\w*|minutes|hours|count|total)$", name), name
        if kind == "histogram":
            assert name.rsplit("_", 1)[1] in UNITS, name


def test_a_request_pays_a_few_microseconds_for_being_counted():
    requests = Requests("a-service")

    def one():
        requests.in_flight.inc()
        requests.in_flight.dec()
        requests.answered("GET", "/things/{thing}", 200, 0.01)

    best_s = min(timeit.repeat(one, number=1_000, repeat=20)) / 1_000
    assert best_s < 12e-6  # 2.3 µs where this was written
