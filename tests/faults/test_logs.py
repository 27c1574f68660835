"""Of all that goes wrong in a run, the logs' reader finds what should not have."""

from __future__ import annotations

import json

import pytest

from .logs import surprises

CAUSE = """Traceback (most recent call last):
  File "a.py", line 1, in f
sqlalchemy.exc.IntegrityError: (asyncpg.UniqueViolationError) duplicate key
DETAIL:  Key (id)=(1) already exists.
[SQL: INSERT]

The above exception was the direct cause of the following exception:

"""


@pytest.mark.parametrize(
    ("ends", "is_one"),
    [
        ("AssertionError: expired -> cancelled", True),
        (
            "sqlalchemy.exc.IntegrityError: (x) CHECK failed\nDETAIL:  Failing row\n[SQL: UPDATE]",
            True,
        ),
        ("skyhold.kernel.db_errors.DatabaseBusy: The database is busy", False),
        ("skyhold.kernel.db.Duplicate", False),
        ("asyncio.exceptions.CancelledError", False),
    ],
)
def test_a_mistake_is_told_from_the_trouble_that_others_make(tmp_path, ends, is_one):
    last = f'Traceback (most recent call last):\n  File "b.py", line 2, in g\n    return\n{ends}'
    line = {"event": "job.failed", "booking_id": "b1", "exception": CAUSE + last}
    (tmp_path / "worker-1.log").write_text(f'Hello\n{json.dumps(line)}\n{{"event": "cut of')
    found = [(it.where, it.event, it.id) for it in surprises(tmp_path)]
    assert found == ([("worker-1", "job.failed", "b1")] if is_one else [])
