"""Both services answer as their documents say, to whatever schemathesis comes up with.

A short and repeatable run; `make fuzz` is the long one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from fuzz.campaign import run
from fuzz.stage import stage

EXAMPLES = 12  # per operation, besides the document's own examples and its boundaries
LIMITS = [f"--max-examples={EXAMPLES}", "--generation-deterministic"]
# What it amounts to at least, or something keeps schemathesis from asking.
REQUESTS_MIN = {"booking": 500, "flight": 700}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with stage(tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes(servers, tmp_path_factory):
    """Of both services; they are asked at the same time, each of them has a process."""
    with ThreadPoolExecutor() as together:
        running = {
            service: together.submit(
                run, servers, service, tmp_path_factory.mktemp(service), seed=1, limits=LIMITS
            )
            for service in REQUESTS_MIN
        }
        return {service: outcome.result() for service, outcome in running.items()}


@pytest.mark.parametrize("service", REQUESTS_MIN)
def test_a_service_answers_as_its_document_says(outcomes, service):
    outcome = outcomes[service]
    print(f"\n{outcome.summary()}")
    assert outcome.status == 0, outcome.report
    assert not outcome.server_errors, outcome.report
    assert outcome.requests >= REQUESTS_MIN[service], outcome.report


@pytest.mark.parametrize("service", REQUESTS_MIN)
def test_every_operation_is_asked_and_nearly_all_succeed_at_least_once(outcomes, servers, service):
    server = getattr(servers, service)
    document = httpx.get(f"{server.url}/openapi.json").json()
    every = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    outcome = outcomes[service]
    assert every <= outcome.operations
    succeeded = {label for label, status in outcome.answers if status < 300}
    # A short run may not find its way everywhere; it has to get to the end of these.
    assert {
        "booking": {
            "POST /api/v1/bookings",
            "POST /api/v1/bookings/payments",
            "GET /api/v1/users/me",
        },
        "flight": {"PUT /api/v1/holds/{hold_id}", "POST /api/v1/flights"},
    }[service] <= succeeded
