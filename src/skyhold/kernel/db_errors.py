"""What may go wrong with a database, by names that say what it means to the caller."""

from __future__ import annotations

from .engines import Meaning
from .errors import Problem, Unavailable


class Duplicate(Exception):
    """A unique key refused the row: someone else wrote it first.

    With `after_unknown` that may have been ourselves: an earlier run of the same function ended
    without an answer, and may have been committed.
    """

    after_unknown = False


class Dangling(Exception):
    """A foreign key refused the row: what it refers to is not there."""


class LostRace(Problem):
    """Others were quicker, again and again; please try once more."""

    # Raised inside a transaction when a guarded write finds that its row has moved since it was
    # read: `transact` runs the function again. It reaches a caller only after ATTEMPTS_MAX runs.
    status = 503
    code = "lost_race"

    def __init__(self) -> None:
        super().__init__(retry_after_s=1)


class DatabaseBusy(Unavailable):
    """The database is busy or out of reach just now; please try again shortly."""

    code = "database_busy"
    worth_another_run = True


class NoConnection(DatabaseBusy):
    """Every connection to the database is in use, or none can be made; please try again shortly."""

    # It was waited for as long as a caller may be kept waiting. Nothing was written.
    code = "database_no_connection"
    worth_another_run = False


class DatabaseUnwell(DatabaseBusy):
    """The database cannot be written just now; please try again later."""

    # Its disk is full, or its file read-only: somebody has to look. Nothing was written.
    code = "database_unwell"
    worth_another_run = False


class OutcomeUnknown(DatabaseBusy):
    """The database went away in the middle; please try again shortly."""

    # Unlike DatabaseBusy this may mean that the transaction did commit.
    code = "database_outcome_unknown"


def trouble_of(meaning: Meaning) -> DatabaseBusy | None:
    """What the database's trouble of the moment is called; None for a mistake of ours."""
    match meaning:
        case Meaning.LOST:
            return OutcomeUnknown()
        case Meaning.UNWELL:
            return DatabaseUnwell()
        case Meaning.CONFLICT:
            return DatabaseBusy()
        case _:
            return None


def trouble_of_writing(meaning: Meaning, *, at_commit: bool) -> DatabaseBusy | None:
    """The same, of a transaction that writes.

    A COMMIT that is refused for a reason we do not know may have been carried out all the same, by
    this server or by the one behind a proxy.
    """
    if at_commit and meaning is Meaning.OTHER:
        return OutcomeUnknown()
    return trouble_of(meaning)


def worse(before: Problem, now: Problem) -> Problem:
    """The failure to tell: once one run may have committed, no later one can deny it."""
    return before if isinstance(before, OutcomeUnknown) else now
