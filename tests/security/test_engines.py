"""The same words on every engine: what one database shrugs off another may choke on."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from support.databases import SERVER_ENGINES, databases, migrate

from .test_corpus import in_a_url

ASKED = (
    "airports?q={}",
    "airports?after={}",
    "flights/{}",
    "flights/{}/seats",
    "holds/{}",
    "holds?after={}",
    "holds?id={}",
    "bookings/{}",
    "bookings?after={}",
    "bookings?status={}",
)


@pytest.fixture(params=SERVER_ENGINES)
async def system(request, tmp_path, start_system):
    """Both services on a database server."""
    with ExitStack() as stack:
        where = stack.enter_context(databases(request.param, tmp_path))
        for url in where.values():
            migrate(url)
        async with start_system(**where) as system:
            yield system


async def test_no_word_in_an_address_troubles_a_database(system):
    alice = await system.traveller("Alice")
    mine = {"authorization": f"Bearer {alice.token}"}
    troubled = []
    for path in ASKED:
        headers = system.service() if path.startswith("holds") else mine
        for name, text in in_a_url():
            reply = await system.bookings_http.get(f"/api/v1/{path.format(text)}", headers=headers)
            if reply.status_code >= 500:
                troubled.append((path, name, reply.status_code))
    assert not troubled
