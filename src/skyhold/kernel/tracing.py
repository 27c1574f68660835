"""Traces, by OpenTelemetry: which step of what took how long, through every service and the broker.

Off unless the standard variables ask for it (OTEL_EXPORTER_OTLP_ENDPOINT, or
OTEL_TRACES_EXPORTER); what it needs is not even loaded before. While it is off every function
here does nothing, at the price of a call:

    with tracing.continue_from(event.traceparent), tracing.span("event.taken", "consumer") as span:
        ...
        span.set("repeated", True)

What goes from process to process is a W3C traceparent; within a process, the context of the task.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, MutableMapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from .settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | bool | int | float

ASKED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"


class Span(Protocol):
    """A step that is under way; it ends with its context, and is marked as failed by an error."""

    def set(self, key: str, value: Value) -> None:
        """Say something about it."""

    def rename(self, name: str) -> None:
        """Call it what it turned out to be."""

    def fail(self, why: str) -> None:
        """Mark it as failed although nothing was raised."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _Nothing:
    """Every span and every continuation while tracing is off."""

    __slots__ = ()

    def set(self, key: str, value: Value) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, why: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pass


NOTHING = _Nothing()


class Tracer(Protocol):
    """What is asked while tracing is on; see kernel.otel."""

    def span(
        self, name: str, kind: Kind, links: Iterable[str], attributes: dict[str, Value]
    ) -> Span:
        """A step within the present one."""

    def continue_from(self, traceparent: str) -> AbstractContextManager[object]:
        """What is done inside belongs to the trace that this names."""

    def traceparent(self) -> str | None:
        """The present step's name for others."""

    def shutdown(self) -> None:
        """Send what is left."""


_tracer: Tracer | None = None


def configure(service_name: str, *, exporter: SpanExporter | None = None) -> None:
    """Turn tracing on if the environment asks for it, or if a test hands its own exporter in.

    Each process does this for itself. Raises SettingsError when it is asked for and cannot be.
    """
    global _tracer  # noqa: PLW0603 - one for the process, as its environment is
    if exporter is None and not _is_asked_for():
        return
    try:
        from . import otel  # noqa: PLC0415 - so that what is not wanted is not loaded
    except ImportError as error:
        msg = (
            "The environment asks for traces (OTEL_…), but the packages for them are not "
            "installed: pip install 'skyhold[otel]'."
        )
        raise SettingsError(msg) from error
    shutdown()
    _tracer = otel.start(os.environ.get("OTEL_SERVICE_NAME", service_name), _version(), exporter)


def shutdown() -> None:
    """Send what has not been sent yet, and turn tracing off."""
    global _tracer
    ending, _tracer = _tracer, None
    if ending is not None:
        ending.shutdown()


def is_on() -> bool:
    """Whether anything is traced; for what is worth computing only then."""
    return _tracer is not None


def span(
    name: str, kind: Kind = "internal", /, *, links: Iterable[str] = (), **attributes: Value
) -> Span:
    """A step, as a context. `links` are the traceparents of others that it serves as well."""
    if _tracer is None:
        return NOTHING
    return _tracer.span(name, kind, links, attributes)


def step(name: str, kind: Kind = "internal", /, **attributes: Value) -> Span:
    """A span, but only as part of a trace: for what jobs do all the time without being asked."""
    if _tracer is None or _tracer.traceparent() is None:
        return NOTHING
    return _tracer.span(name, kind, (), attributes)


def continue_from(traceparent: str | None) -> AbstractContextManager[object]:
    """A context that continues somebody's trace; without one, or with nonsense, the present one."""
    if _tracer is None or not traceparent:
        return NOTHING
    return _tracer.continue_from(traceparent)


def current_traceparent() -> str | None:
    """The present step as a W3C traceparent, to be handed on; None when there is none."""
    return None if _tracer is None else _tracer.traceparent()


def trace_id() -> str | None:
    """The present trace, for the log."""
    traceparent = current_traceparent()
    return None if traceparent is None else traceparent.split("-")[1]


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the present step to the headers of a request to somebody else."""
    if traceparent := current_traceparent():
        headers["traceparent"] = traceparent


def _is_asked_for() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get(EXPORTER, "")
    return exporter != "none" and bool(exporter or any(map(os.environ.get, ASKED_BY)))


def _version() -> str:
    return version("skyhold")
