"""The API's document: what FastAPI finds in the routes, and what is true of all of them.

A route states its own problems with `documented()`, its headers and where it leads with
`answers()`. What any request may meet, whatever its route, is added here, once, from the same
classes that are raised. So each operation names every status it answers with and, for each, every
`code`; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.batcher import Overloaded
from skyhold.kernel.db_errors import DatabaseBusy
from skyhold.kernel.errors import (
    BadRequest,
    BodyTooLarge,
    HeaderFieldsTooLarge,
    InternalError,
    NotFound,
    Problem,
    RequestTimeout,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
    UriTooLong,
)
from skyhold.kernel.people import KeysUnavailable

from .csrf import CrossSiteRequest
from .gateway import DeadlineExceeded
from .identity import SERVICE_SCHEME
from .problems import MEDIA_TYPE, ProblemBody, documented

Operation = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]
Link = Mapping[str, str | dict[str, str]]

BODY = "requestBody"

REF = "#/components/{kind}/{name}"
SAFE_METHODS = frozenset({"get", "head", "options", "trace"})
ANY_REQUEST = (
    BadRequest,
    RequestTimeout,
    BodyTooLarge,
    UriTooLong,
    Unprocessable,
    TooManyRequests,
    HeaderFieldsTooLarge,
    InternalError,
    Unavailable,
    DatabaseBusy,
    Overloaded,
)
HEADERS: dict[str, dict[str, Any]] = {
    "Idempotent-Replayed": {
        "description": "`true` when this repeats the answer of an earlier request",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "Where the new thing is",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RateLimit": {
        "description": "What is left of it, for how many seconds; of requests that are counted",
        "schema": {"type": "string", "examples": ['"address";r=599;t=60']},
    },
    "RateLimit-Policy": {
        "description": "How many requests one may send in how many seconds",
        "schema": {"type": "string", "examples": ['"address";q=600;w=60']},
    },
    "Retry-After": {
        "description": "In how many seconds to try again",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After-Perhaps": {
        "description": "In how many seconds to try again, where waiting helps",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
    "X-Request-ID": {
        "description": "The request's id, as in the logs; the one that came with it, if any",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
}
# These may be said on the connection itself, of what has not become a request.
BEFORE_A_REQUEST = frozenset({"400", "408", "431"})
HEADERS["X-Request-ID-Perhaps"] = {
    key: value for key, value in HEADERS["X-Request-ID"].items() if key != "required"
}
# What belongs to a status whatever the route, by the name of the header in the answer.
BY_STATUS = {
    "401": {"WWW-Authenticate": "WWW-Authenticate"},
    "409": {"Retry-After": "Retry-After-Perhaps"},
    "429": {"Retry-After": "Retry-After"},
    "503": {"Retry-After": "Retry-After"},
}
# Said in every answer to a request that is counted; here, of those that people look at.
RATES = {"RateLimit": "RateLimit", "RateLimit-Policy": "RateLimit-Policy"}
REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "1 to 64 of `A-Z a-z 0-9 . _ -`: your id of this request, kept in our logs. "
    "Anything else is not heeded, and the request gets an id of ours",
    "schema": {"type": "string"},
}


class Contract(FastAPI):
    """A FastAPI application whose document is complete."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        known = self.openapi_schema
        document = super().openapi()
        if document is not known:
            complete(document)
        return document


def answers(
    status: int,
    *,
    model: type[BaseModel] | None = None,
    description: str | None = None,
    headers: tuple[str, ...] = (),
    leads_to: Mapping[str, Link] | None = None,
) -> Responses:
    """For `responses=` of a route: an answer's headers, and which operations it makes possible.

    `leads_to` has for each of them its parameters, as OpenAPI's runtime expressions, and under BODY
    its body.
    """
    said: dict[str, Any] = {}
    if model is not None:
        said["model"] = model
    if description is not None:
        said["description"] = description
    if headers:
        said["headers"] = {name: _ref("headers", name) for name in headers}
    if leads_to:
        said["links"] = {name: _link(name, dict(link)) for name, link in leads_to.items()}
    return {status: said}


def _link(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    body = parameters.pop(BODY, None)
    link = {"operationId": operation, "parameters": parameters}
    return link if body is None else link | {"requestBody": body}


def complete(document: dict[str, Any]) -> None:
    """Add to a document what holds for every route."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)  # FastAPI's own words for 422, which nobody hears
    problem = ProblemBody.model_json_schema(ref_template=REF.format(kind="schemas", name="{model}"))
    schemas |= problem.pop("$defs") | {"ProblemBody": problem}
    components["headers"] = HEADERS
    components["parameters"] = {"X-Request-ID": REQUEST_ID}
    components |= {"responses": {}, "examples": {}}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            _complete(method, operation, components)


def _complete(method: str, operation: Operation, components: dict[str, Any]) -> None:
    responses = operation["responses"]
    for kind in _common(method, operation):
        _add(kind, responses)
    for status, response in responses.items():
        rates = RATES if status < "3" or status == "429" else {}
        request_id = "X-Request-ID" + ("-Perhaps" if status in BEFORE_A_REQUEST else "")
        named = {"X-Request-ID": request_id} | rates | BY_STATUS.get(status, {})
        of_all = {name: _ref("headers", header) for name, header in named.items()}
        response["headers"] = of_all | response.get("headers", {})
        responses[status] = _shared(response, components)
    operation["responses"] = dict(sorted(responses.items()))
    operation.setdefault("parameters", []).append(_ref("parameters", "X-Request-ID"))


def _common(method: str, operation: Operation) -> Iterator[type[Problem]]:
    """What a request may meet before its route has a say."""
    yield from ANY_REQUEST
    if security := operation.get("security"):
        yield from (Unauthorized, InvalidToken, KeysUnavailable)
        if SERVICE_SCHEME in security[0]:
            yield DeadlineExceeded  # what only a service may ask for
    if method not in SAFE_METHODS:
        yield CrossSiteRequest
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        yield NotFound
    if "requestBody" in operation:
        yield UnsupportedMediaType


def _add(kind: type[Problem], responses: dict[str, Any]) -> None:
    response = responses.setdefault(str(kind.status), {})
    known = Problem.catalogue()
    said = [
        known[code] for code in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ())
    ]
    response |= documented(*said, kind)[kind.status]


def _shared(response: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Its place among the shared answers, when it is one problem and always the same."""
    examples = response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    for code, example in examples.items():
        components["examples"][code] = example
        examples[code] = _ref("examples", code)
    if len(examples) != 1:
        return response
    (code,) = examples
    shared = components["responses"].setdefault(code, response)
    return _ref("responses", code) if shared == response else response


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": REF.format(kind=kind, name=name)}
