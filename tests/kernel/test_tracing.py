"""One trace from the request to whatever it causes, and nothing at all while tracing is off."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
import timeit

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.contextvars import get_contextvars

from skyhold.kernel import tracing
from skyhold.kernel.batcher import Batcher
from skyhold.kernel.client import PyreqwestTransport
from skyhold.kernel.http.application import application
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.settings import SettingsError

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
ASKS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing is asked for, and whatever a test turned on is off again after it."""
    for name in (*ASKS, "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    tracing.shutdown()


class Spans(InMemorySpanExporter):
    """What was exported, by name."""

    def __getitem__(self, name):
        [found] = [span for span in self.get_finished_spans() if span.name == name]
        return found

    @property
    def names(self):
        return [span.name for span in self.get_finished_spans()]


@pytest.fixture
def spans() -> Spans:
    exporter = Spans()
    tracing.configure("a-service", exporter=exporter)
    return exporter


def trace_of(span):
    return f"{span.context.trace_id:032x}"


def is_child(span, parent):
    return trace_of(span) == trace_of(parent) and span.parent.span_id == parent.context.span_id


# --- off -------------------------------------------------------------------------------------


def test_while_it_is_off_everything_is_one_shared_nothing():
    span = tracing.span("db.transaction", "client", rows=7)
    assert span is tracing.continue_from(PARENT) is tracing.span("another") is tracing.NOTHING
    with tracing.continue_from(PARENT), span as entered:
        entered.set("rows", 7)
        entered.rename("another")
        entered.fail("no")
        assert tracing.current_traceparent() is None
        assert tracing.trace_id() is None
    headers = {}
    tracing.inject(headers)
    assert headers == {}


def test_while_it_is_off_an_error_passes_through():
    with pytest.raises(ValueError, match="mine"), tracing.span("x"):
        raise ValueError("mine")


def test_while_it_is_off_it_costs_a_fraction_of_a_microsecond():
    def one():
        with tracing.span("db.transaction"):
            pass

    best_s = min(timeit.repeat(one, number=10_000, repeat=20)) / 10_000
    assert best_s < 1e-6  # 0.17 µs where this was written


def test_while_it_is_off_nothing_of_the_sdk_is_loaded():
    loads = (
        "import sys; from skyhold.kernel import tracing; tracing.configure('x');"
        "assert not tracing.is_on();"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", loads], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"


# --- turning it on ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ASKS[:2])
def test_an_endpoint_in_the_environment_turns_it_on(environment, name):
    environment.setenv(name, "http://127.0.0.1:9/v1/traces")
    tracing.configure("a-service")
    assert tracing.is_on()
    tracing.shutdown()
    assert not tracing.is_on()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
    ids=repr,
)
def test_otherwise_it_stays_off(environment, said):
    for name, value in said.items():
        environment.setenv(name, value)
    tracing.configure("a-service")
    assert not tracing.is_on()


def test_asked_for_without_the_packages_it_is_refused_in_a_sentence(environment):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    environment.delitem(sys.modules, "skyhold.kernel.otel", raising=False)
    environment.delattr("skyhold.kernel.otel", raising=False)
    environment.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"pip install 'skyhold\[otel\]'"):
        tracing.configure("a-service")
    assert not tracing.is_on()


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
)
def test_a_way_of_sending_that_we_do_not_have_is_refused_in_a_sentence(environment, name, value):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=value):
        tracing.configure("a-service")
    assert not tracing.is_on()


def test_spans_name_the_service_and_its_version(spans, environment):
    with tracing.span("x"):
        pass
    resource = spans["x"].resource.attributes
    assert resource["service.name"] == "a-service"
    assert resource["service.version"]
    environment.setenv("OTEL_SERVICE_NAME", "ours")
    again = Spans()
    tracing.configure("a-service", exporter=again)
    with tracing.span("y"):
        pass
    assert again["y"].resource.attributes["service.name"] == "ours"
    assert spans.names == ["x"]


def test_what_was_turned_on_before_is_shut_down_in_an_orderly_way(spans):
    tracing.configure("another", exporter=Spans())
    assert spans._stopped


# --- spans -----------------------------------------------------------------------------------


def test_steps_within_steps_are_one_trace_with_their_kinds_and_attributes(spans):
    with tracing.span("outer", "server"), tracing.span("inner", "client", party="flight") as inner:
        inner.set("status", 200)
        inner.rename("renamed")
    outer, inner = spans["outer"], spans["renamed"]
    assert is_child(inner, outer)
    assert (outer.kind, inner.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert dict(inner.attributes) == {"party": "flight", "status": 200}


def test_an_error_marks_its_steps_by_its_kind_and_says_nothing_else(spans):
    with pytest.raises(ValueError, match="hunter2"), tracing.span("x"):
        raise ValueError("the password is hunter2")
    assert spans["x"].status.status_code is StatusCode.ERROR
    assert spans["x"].status.description == "ValueError"
    assert "hunter2" not in spans["x"].to_json()


async def test_a_step_that_is_called_off_ends_without_being_a_failure(spans):
    async def step():
        with tracing.span("x"):
            await asyncio.Event().wait()

    task = asyncio.create_task(step())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert spans["x"].status.status_code is StatusCode.UNSET


def test_what_goes_on_all_the_time_is_traced_only_as_part_of_something(spans):
    with tracing.step("db.read", "client") as alone:
        assert alone is tracing.NOTHING
    with tracing.span("outer"), tracing.step("db.read", "client", rows=7):
        pass
    assert spans.names == ["db.read", "outer"]
    assert is_child(spans["db.read"], spans["outer"])
    tracing.shutdown()
    assert tracing.step("db.read") is tracing.NOTHING


def test_a_trace_is_handed_on_and_continued(spans):
    headers = {}
    with tracing.span("publish", "producer"):
        kept = tracing.current_traceparent()
        tracing.inject(headers)
    assert headers == {"traceparent": kept}
    assert len(kept) == 55
    with tracing.continue_from(kept), tracing.span("consume", "consumer"):
        pass
    assert is_child(spans["consume"], spans["publish"])
    assert tracing.current_traceparent() is None


@pytest.mark.parametrize(
    "nonsense", [None, "", "x", f"00-{'0' * 32}-b7ad6b7169203331-01", PARENT[:-1], "é" * 600]
)
def test_a_trace_that_is_none_is_not_continued(spans, nonsense):
    with tracing.span("outer"), tracing.continue_from(nonsense), tracing.span("inner"):
        pass
    assert is_child(spans["inner"], spans["outer"])


# --- requests --------------------------------------------------------------------------------

router = Routes()


@router.get("/things/{thing}")
async def thing(thing: str) -> dict[str, str]:
    with tracing.span("db.transaction", "client"):
        return dict(get_contextvars())


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError("the password is hunter2")


async def test_a_request_continues_its_callers_trace_and_its_log_lines_name_it(serve, spans):
    http = await serve(router)
    reply = await http.get("/things/7", headers={"traceparent": PARENT})
    server, inner = spans["GET /things/{thing}"], spans["db.transaction"]
    assert (trace_of(server), f"{server.parent.span_id:016x}") == (TRACE, PARENT.split("-")[2])
    assert is_child(inner, server)
    assert server.kind is SpanKind.SERVER
    assert dict(server.attributes) == {
        "service": "a-service",
        "http.request.method": "GET",
        "http.route": "/things/{thing}",
        "url.path": "/things/7",
        "http.response.status_code": 200,
    }
    assert reply.json()["trace_id"] == TRACE
    assert get_contextvars() == {}


async def test_requests_without_a_trace_begin_one_each(serve, spans):
    http = await serve(router)
    traces = {(await http.get("/things/7")).json()["trace_id"] for _ in range(3)}
    assert len(traces) == 3


@pytest.mark.parametrize(
    ("path", "name", "status"),
    [("/boom", "GET /boom", StatusCode.ERROR), ("/no", "GET unmatched", StatusCode.UNSET)],
)
async def test_only_what_is_our_fault_is_a_failure(serve, spans, logged, path, name, status):
    await (await serve(router)).get(path)
    assert spans[name].status.status_code is status
    assert "hunter2" not in spans[name].to_json()


async def test_what_a_supervisor_asks_is_not_traced(serve, spans):
    http = await serve(router)
    for path in ("/livez", "/readyz", "/metrics"):
        await http.get(path)
    assert spans.names == []


async def test_two_services_in_one_process_make_one_trace(serve, spans):
    inner = application("Inner", [router], _no_lifespan, _ready)
    gateway = Gateway(inner, service="inner", edge=Edge(1024))
    way = PyreqwestTransport("http://inner.internal", timeout_s=5, app=gateway)
    outer = Routes()

    @outer.get("/outer")
    async def ask() -> str:
        headers: dict[str, str] = {}
        with tracing.span("client.call", "client"):
            tracing.inject(headers)
            return (await way.send("GET", "things/7", headers, None)).body.decode()

    reply = await (await serve(outer)).get("/outer", headers={"traceparent": PARENT})
    await way.close()
    assert TRACE in reply.json()
    chain = ["GET /outer", "client.call", "GET /things/{thing}", "db.transaction"]
    for parent, child in itertools.pairwise(chain):
        assert is_child(spans[child], spans[parent]), child
    assert trace_of(spans["GET /outer"]) == TRACE


@contextlib.asynccontextmanager
async def _no_lifespan(_app):
    yield


async def _ready():
    pass


# --- batches ---------------------------------------------------------------------------------


async def test_a_batch_stands_under_the_first_of_its_items_and_is_linked_to_the_rest(spans):
    opening = asyncio.Event()

    async def serve(items):
        await opening.wait()
        with tracing.span(f"serving {items[0]}"):
            return items

    batcher = Batcher(serve, name="desk", batch_max=9)

    async def caller(name):
        with tracing.span(name):
            await batcher.submit(name)

    callers = [asyncio.create_task(caller("alone"))]
    await asyncio.sleep(0.01)
    callers.append(asyncio.create_task(batcher.submit("untraced")))
    callers += [asyncio.create_task(caller(name)) for name in ("first", "second", "third")]
    await asyncio.sleep(0.01)
    opening.set()
    await asyncio.gather(*callers)
    await batcher.close()
    single, many = [span for span in spans.get_finished_spans() if span.name == "batch"]
    assert is_child(single, spans["alone"])
    assert is_child(spans["serving alone"], single)
    assert is_child(many, spans["first"])
    assert is_child(spans["serving untraced"], many)
    assert [link.context.span_id for link in many.links] == [
        spans[name].context.span_id for name in ("second", "third")
    ]
    assert dict(many.attributes) == {"batcher": "desk", "items": 4}
