"""The part of kernel.tracing that needs the extra `otel`; loaded when traces are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .settings import SettingsError
from .tracing import EXPORTER, Kind, Value

PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_KINDS = {kind.name.lower(): kind for kind in trace.SpanKind}
_W3C = TraceContextTextMapPropagator()


def start(service_name: str, version: str, exporter: SpanExporter | None) -> OtelTracer:
    """Tracing as the environment's OTEL_ variables want it. Raises SettingsError."""
    # Not the global provider: that one can be set once only, and belongs to whoever embeds us.
    provider = TracerProvider(
        resource=Resource.create({"service.name": service_name, "service.version": version}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(
        BatchSpanProcessor(_exporter()) if exporter is None else SimpleSpanProcessor(exporter)
    )
    return OtelTracer(provider)


def _exporter() -> SpanExporter:
    wanted = os.environ.get(EXPORTER, "otlp")
    if wanted == "console":
        return ConsoleSpanExporter()
    protocol = os.environ.get(PROTOCOL, "http/protobuf")
    if wanted != "otlp" or protocol != "http/protobuf":
        msg = (
            f"Traces can be sent by otlp over http/protobuf, or to the console; not by {wanted} "
            f"over {protocol} ({EXPORTER}, {PROTOCOL})."
        )
        raise SettingsError(msg)
    return OTLPSpanExporter()


class OtelTracer:
    """Opens spans."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("skyhold")

    def span(
        self, name: str, kind: Kind, links: Iterable[str], attributes: dict[str, Value]
    ) -> OtelSpan:
        """A step within the present one; not begun before its context is entered."""
        return OtelSpan(self._tracer, name, kind, [*_links(links)], attributes)

    def continue_from(self, traceparent: str) -> AbstractContextManager[object]:
        """What is done inside belongs to the trace that this names; nonsense changes nothing."""
        return _attached(_W3C.extract({"traceparent": traceparent}, contexts.get_current()))

    def traceparent(self) -> str | None:
        """The present step, for others."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get("traceparent")

    def shutdown(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class OtelSpan:
    """A span that is the present one inside its context.

    An exception marks it as failed by its kind alone: messages and stack traces may hold what is
    nobody's business, and the log has them.
    """

    __slots__ = ("_attributes", "_kind", "_links", "_name", "_span", "_token", "_tracer")
    _span: trace.Span
    _token: Token[Context]

    def __init__(
        self,
        tracer: trace.Tracer,
        name: str,
        kind: Kind,
        links: list[trace.Link],
        attributes: dict[str, Value],
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._kind = _KINDS[kind]
        self._links = links
        self._attributes = attributes

    def set(self, key: str, value: Value) -> None:
        """Say something about it."""
        self._span.set_attribute(key, value)

    def rename(self, name: str) -> None:
        """Call it what it turned out to be."""
        self._span.update_name(name)

    def fail(self, why: str) -> None:
        """Mark it as failed."""
        self._span.set_status(trace.Status(trace.StatusCode.ERROR, why))

    def __enter__(self) -> Self:
        self._span = self._tracer.start_span(
            self._name, kind=self._kind, attributes=self._attributes, links=self._links
        )
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        contexts.detach(self._token)
        if isinstance(error, Exception):
            self.fail(type(error).__name__)
        self._span.end()


@contextmanager
def _attached(context: Context) -> Iterator[None]:
    token = contexts.attach(context)
    try:
        yield
    finally:
        contexts.detach(token)


def _links(traceparents: Iterable[str]) -> Iterator[trace.Link]:
    for traceparent in traceparents:
        found = trace.get_current_span(_W3C.extract({"traceparent": traceparent}, Context()))
        if found.get_span_context().is_valid:
            yield trace.Link(found.get_span_context())
