"""Errors that carry their own HTTP answer.

    Problem
    ├── BadRequest 400
    ├── Unauthorized 401
    ├── PaymentRequired 402
    ├── Forbidden 403
    ├── NotFound 404
    ├── MethodNotAllowed 405
    ├── RequestTimeout 408
    ├── Conflict 409
    ├── Gone 410
    ├── BodyTooLarge 413
    ├── UriTooLong 414
    ├── UnsupportedMediaType 415
    ├── Unprocessable 422
    ├── TooManyRequests 429
    ├── HeaderFieldsTooLarge 431
    ├── InternalError 500
    └── Unavailable 503

A problem's ``code`` is stable and meant for programs; its docstring is the default message for
people. What leaves the process is RFC 9457 problem+json, see kernel.http.problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with the input: where (a dotted path) and what."""

    field: str
    message: str


class Problem(Exception):
    """Something the caller should know about."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "problem"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        self.detail = detail or self.default_detail()
        self.errors = errors
        self.retry_after_s = retry_after_s
        super().__init__(self.detail)

    @classmethod
    def default_detail(cls) -> str:
        """The class's docstring, which is written for the person who reads the answer."""
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def catalogue(cls) -> dict[str, type[Problem]]:
        """Every problem that is loaded, by its code."""
        found: dict[str, type[Problem]] = {}
        for kind in cls.__subclasses__():
            if "code" in vars(kind):
                found[kind.code] = kind
            found.update(kind.catalogue())
        return found


class BadRequest(Problem):
    """The request could not be read."""

    status = 400
    code = "bad_request"


class Unauthorized(Problem):
    """Please log in first."""

    status = 401
    code = "unauthorized"


class PaymentRequired(Problem):
    """The payment did not go through."""

    status = 402
    code = "payment_required"


class Forbidden(Problem):
    """You are logged in, but not allowed to do this."""

    status = 403
    code = "forbidden"


class NotFound(Problem):
    """There is nothing here."""

    status = 404
    code = "not_found"


class MethodNotAllowed(Problem):
    """This address does not answer to that method."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(Problem):
    """The request did not arrive in the time that this service waits for one."""

    status = 408
    code = "request_timeout"


class BodyTooLarge(Problem):
    """The body is larger than this service accepts."""

    status = 413
    code = "body_too_large"


class UriTooLong(Problem):
    """The address is longer than this service accepts."""

    status = 414
    code = "uri_too_long"


class UnsupportedMediaType(Problem):
    """Send the body as JSON, with Content-Type: application/json."""

    status = 415
    code = "unsupported_media_type"


class TooManyRequests(Problem):
    """These are more requests than one may send; please wait a little."""

    status = 429
    code = "too_many_requests"


class HeaderFieldsTooLarge(Problem):
    """The headers are more than this service accepts."""

    status = 431
    code = "header_fields_too_large"


class InternalError(Problem):
    """Something went wrong on our side; it has been logged under the request's id."""

    status = 500
    code = "internal_error"


class Conflict(Problem):
    """The request does not fit the present state."""

    status = 409
    code = "conflict"


class Gone(Problem):
    """This has ended and does not come back."""

    status = 410
    code = "gone"


class Unprocessable(Problem):
    """The request was understood, but something in it is not acceptable."""

    status = 422
    code = "invalid"


class Unavailable(Problem):
    """The service cannot answer just now; please try again shortly."""

    status = 503
    code = "unavailable"

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 1) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class NotReady(Unavailable):
    """The service is starting, stopping, or cannot reach its database."""

    code = "not_ready"
