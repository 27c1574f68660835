"""The command line starts servers that bound what a client may cost, alone and side by side."""

from __future__ import annotations

import json
import shutil
import socket

import httpx
import pytest

from support.fleet import Fleet
from support.system import free_port, wait_until_ready

WAIT_S = 30


def told(port, raw):
    """All that a server says to these bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as connection:
        connection.sendall(raw)
        said = b""
        while piece := connection.recv(65_536):
            said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_read_or_does_not_end_is_a_problem(tmp_path, template, workers):
    folder = shutil.copytree(template, tmp_path / "data")
    with Fleet(folder, head_timeout_s=0.5) as fleet:
        port = free_port()
        wait_until_ready(fleet.start("flight", "serve", f"--workers={workers}", port=port))
        assert told(port, b"BREW / HTTP/1.1\r\n\r\n") == (400, "bad_request")
        assert told(port, b"GET / HTTP/1.1\r\nX-A: ") == (408, "request_timeout")


@pytest.mark.parametrize(
    ("believed", "statuses"),
    [("192.0.2.1", [200, 200, 429, 429]), ("127.0.0.1", [200] * 4)],
    ids=["from anybody", "from our proxy"],
)
def test_who_forges_where_they_come_from_is_counted_by_where_they_do(
    tmp_path, template, monkeypatch, believed, statuses
):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", believed)
    folder = shutil.copytree(template, tmp_path / "data")
    with Fleet(folder, requests_per_address="2/hour") as fleet:
        server = fleet.start("flight", "serve", port=free_port())
        wait_until_ready(server)
        replies = [
            httpx.get(
                f"{server.url}/api/v1/airports?q=jfk",
                headers={"x-forwarded-for": f"198.51.100.{n}"},
            )
            for n in range(4)
        ]
    assert [reply.status_code for reply in replies] == statuses
