"""Every error leaves as problem+json (RFC 9457), and none with a stack trace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from structlog.contextvars import get_contextvars

from skyhold.kernel.errors import (
    BadRequest,
    BodyTooLarge,
    FieldError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Problem,
    Unprocessable,
    UnsupportedMediaType,
)

from .methods import methods_at

MEDIA_TYPE = "application/problem+json"
ERRORS_MAX = 20


class ProblemField(BaseModel):
    """One thing wrong with the input."""

    field: str = Field(examples=["passengers.0.given_name"])
    message: str


class ProblemBody(BaseModel):
    """RFC 9457 problem details, with a stable `code` for programs."""

    type: str = Field(examples=["/problems/seat_unavailable"])
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str
    code: str = Field(examples=["seat_unavailable"])
    instance: str | None = Field(None, description="The request's id, as in the logs")
    errors: list[ProblemField] | None = None


class Refused(HTTPException):
    """A problem that is found where the framework lets only its own errors through."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)
        self.problem = problem


class UnknownProblem(NotFound):
    """There is no problem with that code."""

    code = "unknown_problem"


_JSON = re.compile(r"application/json\b", re.IGNORECASE)
# Where the validator's own words help nobody.
_SAID = {
    "date_from_datetime_parsing": "must be a date, such as 2026-12-01",
    "date_parsing": "must be a date, such as 2026-12-01",
    "datetime_from_date_parsing": "must be a time, such as 2026-12-01T05:15",
    "datetime_parsing": "must be a time, such as 2026-12-01T05:15",
}


def documented(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that can answer with these problems, for the API's document.

    For each status it says which codes there are, and what they mean.
    """
    by_status: dict[int | str, list[type[Problem]]] = {}
    for kind in dict.fromkeys(kinds):
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _documented(found) for status, found in by_status.items()}


def _documented(kinds: list[type[Problem]]) -> dict[str, Any]:
    status = kinds[0].status
    codes = {"status": {"const": status}, "code": {"enum": [kind.code for kind in kinds]}}
    schema = {"allOf": [{"$ref": "#/components/schemas/ProblemBody"}, {"properties": codes}]}
    examples = {
        kind.code: {"value": _body(status, kind.code, kind.default_detail())} for kind in kinds
    }
    return {
        "description": " · ".join(f"`{kind.code}`: {kind.default_detail()}" for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def _body(status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    errors: tuple[FieldError, ...] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The HTTP answer for a problem."""
    body = _body(status, code, detail) | {"instance": get_contextvars().get("request_id")}
    if errors:
        body["errors"] = [
            {"field": error.field, "message": error.message} for error in errors[:ERRORS_MAX]
        ]
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def body_of(problem: Problem) -> dict[str, Any]:
    """A problem inside another answer: what its own would say, but for the request's id."""
    return _body(problem.status, problem.code, problem.detail)


def answer_for(problem: Problem, more: Mapping[str, str] | None = None) -> JSONResponse:
    """The HTTP answer of one of our own problems, with `more` headers than its own."""
    headers = dict(more or {})
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return answer(
        problem.status, problem.code, problem.detail, errors=problem.errors, headers=headers
    )


def install(app: FastAPI) -> None:
    """Let `app` answer every error as problem+json, and explain its problems at /problems."""

    @app.exception_handler(Problem)
    async def _ours(_: Request, problem: Problem) -> JSONResponse:
        return answer_for(problem)

    @app.exception_handler(RequestValidationError)
    async def _input(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer_for(_unreadable_or_invalid(request, error))

    @app.exception_handler(HTTPException)
    async def _framework(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Refused):
            return answer_for(error.problem)
        kind = _FRAMEWORK.get(error.status_code, BadRequest)
        headers = dict(error.headers or {})
        if kind is MethodNotAllowed:
            headers["Allow"] = ", ".join(methods_at(app, request.scope["path"]))
        return answer(kind.status, kind.code, kind.default_detail(), headers=headers)

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, __: Exception) -> JSONResponse:
        # The framework raises it again after this answer, and the gateway logs it.
        return answer_for(InternalError())

    app.include_router(_catalogue())


def _catalogue() -> APIRouter:
    router = APIRouter(tags=["problems"])

    @router.get("/problems", summary="Every problem this API answers with")
    async def list_problems() -> dict[str, Any]:
        kinds = Problem.catalogue()
        return {"data": [_explained(kinds[code]) for code in sorted(kinds)], "next": None}

    @router.get(
        "/problems/{code}",
        summary="What a problem's code means",
        responses=documented(UnknownProblem),
    )
    async def get_problem(code: str) -> dict[str, Any]:
        kind = Problem.catalogue().get(code)
        if kind is None:
            raise UnknownProblem
        return _explained(kind)

    return router


def _explained(kind: type[Problem]) -> dict[str, Any]:
    return {"code": kind.code, "status": kind.status, "detail": kind.default_detail()}


# What the framework refuses by itself, in our words.
_FRAMEWORK: dict[int, type[Problem]] = {
    kind.status: kind for kind in (BadRequest, NotFound, MethodNotAllowed, BodyTooLarge)
}


def _unreadable_or_invalid(request: Request, error: RequestValidationError) -> Problem:
    found = error.errors()
    body_is_wrong = any(item["loc"] == ("body",) for item in found)
    if body_is_wrong and not _JSON.match(request.headers.get("content-type", "")):
        return UnsupportedMediaType()
    if any(item["type"] == "json_invalid" for item in found):
        return BadRequest("The body is not valid JSON.")
    return Unprocessable(
        "Something in the request is not acceptable; `errors` says what.",
        errors=tuple(
            FieldError(
                field=".".join(str(part) for part in item["loc"] if part != "body") or "body",
                message=_SAID.get(item["type"], str(item["msg"])).removeprefix("Value error, "),
            )
            for item in found
        ),
    )
