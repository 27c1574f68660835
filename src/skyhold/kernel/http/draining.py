"""Whether this process has been told to stop.

From SIGTERM on it says so in every answer, and still takes requests for a while: whoever spreads
them over several processes must notice first.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Draining:
    """One for the process; what serves requests reads it, what handles signals turns it on.

    `told_others` says that it was for a while before the port is closed.
    """

    on: bool = False
    told_others: bool = False


STATE = Draining()
