"""What all the tests here have left behind in the logs of the services; they run before this."""

from __future__ import annotations

import json

import pytest

from support.system import JWT_SECRET, PASSWORD, SERVICE_SECRET, eventually

from .wire import request

pytestmark = pytest.mark.asyncio(loop_scope="session")


def lines(server) -> list[str]:
    return server.log.read_text(errors="replace").splitlines()


@pytest.mark.parametrize("service", ["booking", "flight"])
async def test_whatever_was_sent_no_stack_trace_was_needed(lab, service):
    noted = lines(getattr(lab.servers, service))
    assert noted, "the log has something in it"
    assert [line for line in noted if "Traceback" in line or '"http.failed"' in line] == []


@pytest.mark.parametrize("service", ["booking", "flight"])
async def test_no_secret_is_in_the_logs(lab, service):
    person = await lab.person()
    token = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
    body = json.dumps({"password": PASSWORD, "payment_token": "tok_visa_of_carol"}).encode()
    for path in ("/api/v1/bookings", "/api/v1/users/login", "/api/v1/flights"):
        await lab.ask(service, request("POST", path, token, body))
    secrets = [person.token, person.refresh_token, lab.alice.token, PASSWORD, "tok_visa_of_carol"]
    secrets += [JWT_SECRET, SERVICE_SECRET, "$2b$", "4111111111111111"]
    noted = "\n".join(lines(getattr(lab.servers, service)))
    assert [secret for secret in secrets if secret in noted] == []


@pytest.mark.parametrize("service", ["booking", "flight"])
async def test_a_line_of_the_log_is_one_event_whatever_was_sent(lab, service):
    """What was sent cannot begin a line of its own."""
    sent = request("GET", "/api/v1/x%0a%7B%22event%22:%22forged%22%7D")
    assert (await lab.ask(service, sent)).status == 404

    async def noted_lines() -> list[str]:
        return [line for line in lines(getattr(lab.servers, service)) if "forged" in line]

    noted = await eventually(noted_lines)
    assert {json.loads(line)["event"] for line in noted} == {"http.request"}
