"""Structured logs: readable on a terminal, one JSON object a line anywhere else."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, BinaryIO, TextIO, cast

import structlog
from pydantic_core import to_json
from structlog.contextvars import bind_contextvars, reset_contextvars

# What must never be written, whatever a caller passes.
SECRETS = frozenset(
    {
        "password",
        "token",
        "access_token",
        "refresh_token",
        "payment_token",
        "authorization",
        "cookie",
        "secret",
    }
)


def _redact(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - structlog's type
    for key in SECRETS & event.keys():
        event[key] = "[redacted]"
    event.pop("color_message", None)  # uvicorn's, and the same as its event
    return event


def _json(event: dict[str, Any], default: Callable[[Any], Any]) -> bytes:
    try:
        return to_json(event, fallback=default, ensure_ascii=True, inf_nan_mode="strings")
    except Exception:  # noqa: BLE001 - half a character, a circle: whatever cannot be written
        return json.dumps({str(key): _shown(value) for key, value in event.items()}).encode()


def _shown(value: object) -> str:
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - somebody else's __repr__
        return f"<{type(value).__name__}>"


def _json_text(event: dict[str, Any], default: Callable[[Any], Any]) -> str:
    return _json(event, default).decode()


class Sink:
    """A file for log lines. What it does not take is lost: nothing else fails because of that.

    A full disk, or a collector that is gone, must not stop a payment or the job that expires
    bookings.
    """

    def __init__(self, file: IO[Any]) -> None:
        self._file = file

    def write(self, line: Any) -> None:  # noqa: ANN401 - text or bytes, as the file has it
        """Write it, if that can be done."""
        with suppress(OSError, ValueError):
            self._file.write(line)

    def flush(self) -> None:
        """Hand on what was written, if that can be done."""
        with suppress(OSError, ValueError):
            self._file.flush()


def configure(level: str = "INFO") -> None:
    """Send our events and every library's log lines to stderr, in one form.

    Ours are written at once: a record of the standard library for each costs as much again.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    if sys.stderr.isatty():
        writing: Any = structlog.WriteLoggerFactory(cast("TextIO", Sink(sys.stderr)))
        render: list[Any] = [
            structlog.dev.ConsoleRenderer(
                colors="NO_COLOR" not in os.environ,
                exception_formatter=structlog.dev.plain_traceback,  # never the variables in it
            )
        ]
        render_theirs = render
    else:
        writing = structlog.BytesLoggerFactory(cast("BinaryIO", Sink(sys.stderr.buffer)))
        format_exception = structlog.processors.format_exc_info
        render = [format_exception, structlog.processors.JSONRenderer(_json)]
        render_theirs = [format_exception, structlog.processors.JSONRenderer(_json_text)]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        logger_factory=writing,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render_theirs],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn", "uvicorn.error"):
        logging.getLogger(noisy).handlers = []
        logging.getLogger(noisy).propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # kernel.http writes its own access line
    for chatty in ("aiosqlite", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel("WARNING")
    logging.getLogger("asyncmy").setLevel("ERROR")  # it warns of names that MySQL ignores


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger of events: `log.info("booking.held", booking_id=…, ms=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


@contextmanager
def bound(**facts: str) -> Iterator[None]:
    """Every line inside tells these facts too.

    As structlog's `bound_contextvars`, which copies the whole context first.
    """
    before = bind_contextvars(**facts)
    try:
        yield
    finally:
        reset_contextvars(**before)
