from __future__ import annotations

import pytest
import structlog
from provider_stage import remote_sandbox, sandbox, stripe

from support.stripe_process import StandIn, running


@pytest.fixture(autouse=True, scope="module")
def _plain_logs():
    """Plain log lines; tracebacks that show every variable take seconds to render."""
    processors = structlog.get_config()["processors"]
    before = processors[:]
    processors[:] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
    ]
    yield
    processors[:] = before


@pytest.fixture(scope="session")
def _stand_in(tmp_path_factory: pytest.TempPathFactory):
    with running(tmp_path_factory.mktemp("stripe")) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(_stand_in: StandIn) -> StandIn:
    """Stripe, as far as this machine has it: one process for all tests, calm at first."""
    _stand_in.calm()
    return _stand_in


@pytest.fixture(params=["sandbox_inside", "sandbox_over_http", "stripe_stand_in"])
async def till(request):
    """A payment provider, with levers: each test runs with every one."""
    async with request.getfixturevalue(request.param) as till:
        yield till


@pytest.fixture
def sandbox_inside(tmp_path):
    return sandbox(tmp_path)


@pytest.fixture
def sandbox_over_http(tmp_path):
    return remote_sandbox(tmp_path)


@pytest.fixture
def stripe_stand_in(stand_in):
    return stripe(stand_in)
