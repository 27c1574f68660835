"""Structured logs: readable on a terminal, one JSON object a line anywhere else."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog

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


def configure(level: str = "INFO") -> None:
    """Send our events and every library's log lines through one formatter to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    terminal = sys.stderr.isatty()
    render: list[Any] = (
        [
            structlog.dev.ConsoleRenderer(
                colors="NO_COLOR" not in os.environ,
                exception_formatter=structlog.dev.plain_traceback,  # never the variables in it
            )
        ]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
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


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of events: `log.info("booking.held", booking_id=…, ms=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
