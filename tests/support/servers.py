"""The servers that some tests need. Without one its tests are skipped; in CI they fail."""

from __future__ import annotations

import os
import socket
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

AMQP_DEFAULT = "amqp://guest:guest@127.0.0.1:5672/"
AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
WAIT_S = 2.0


def rabbitmq_url() -> str:
    """Where RabbitMQ is: SKYHOLD_TEST_AMQP_URL, or the one on this machine."""
    url = os.environ.get("SKYHOLD_TEST_AMQP_URL", AMQP_DEFAULT)
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 5672
    if not _speaks_amqp(host, port):
        missing(
            f"no RabbitMQ at {host}:{port}: start one (apt-get install rabbitmq-server && "
            "service rabbitmq-server start) or set SKYHOLD_TEST_AMQP_URL"
        )
    return url


def missing(what: str) -> NoReturn:
    """Skip the test and say what it lacks; where nothing may be lacking, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def _speaks_amqp(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), WAIT_S) as connection:
            connection.sendall(AMQP_GREETING)
            return bool(connection.recv(1))
    except OSError:
        return False
