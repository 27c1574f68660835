"""What a browser is shown when there is no page to show."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from .api import Away, Refused
from .forms import NotAForm
from .visit import Visit

UNAUTHORIZED, NOT_FOUND = 401, 404
TITLES = {
    404: "There is no such page",
    405: "That cannot be done here",
    429: "That was a little too often",
}


def sorry(visit: Visit, error: Exception) -> Response:
    """A page that says what went wrong, in words for travellers."""
    match error:
        case Refused(status=401):
            return visit.go(f"/sign-in?{urlencode({'next': visit.back})}")
        case Refused():
            page = _page(visit, error.status, error.detail)
            if error.retry_after is not None:
                page.headers["retry-after"] = error.retry_after
            return page
        case Away():
            return _page(
                visit,
                503,
                "A part of Skyhold does not answer at the moment. Nothing you did is lost; "
                "please try again shortly.",
                title="Please try again shortly",
            )
        case NotAForm():
            return _page(visit, 400, "This is not what a form of ours sends.")
        case HTTPException():
            return _page(visit, error.status_code, "")
        case _:
            return _page(
                visit, 500, "It is ours to mend, and it is written down.", title="Something broke"
            )


def _page(visit: Visit, status: int, says: str, title: str | None = None) -> Response:
    title = title or TITLES.get(status, "That did not work")
    return visit.show("error.html", status, title=title, says=says)
