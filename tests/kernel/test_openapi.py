"""The API's document says of each operation all that it can answer."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from skyhold.kernel.errors import Conflict, NotFound
from skyhold.kernel.http.identity import DOCUMENTED, SERVICE_DOCUMENTED
from skyhold.kernel.http.openapi import BODY, answers
from skyhold.kernel.http.problems import MEDIA_TYPE, documented
from skyhold.kernel.http.routes import Routes

ALWAYS = {"400", "408", "413", "414", "422", "429", "431", "500", "503"}


class Kite(BaseModel):
    colour: str


class KiteLost(NotFound):
    """That kite has flown away."""

    code = "kite_lost"


router = Routes()


@router.get("/kites")
async def list_kites(colour: str = "") -> list[Kite]:
    return [Kite(colour=colour)]


@router.post(
    "/kites",
    status_code=201,
    dependencies=DOCUMENTED,
    responses=documented(Conflict)
    | answers(201, headers=("Location",), leads_to={"mend_kite": {"id": "$response.body#/id"}})
    | answers(202, model=Kite, leads_to={"mend_kite": {BODY: {"colour": "red"}}}),
)
async def fly_kite(kite: Kite) -> Kite:
    return kite


@router.put(
    "/kites/{id}", dependencies=SERVICE_DOCUMENTED, responses=documented(KiteLost, Conflict)
)
async def mend_kite(id: str) -> Kite:
    return Kite(colour=id)


@pytest.fixture
async def document(serve):
    return (await (await serve(router)).get("/openapi.json")).json()


@pytest.fixture
def operation(document):
    def find(method, path):
        found = document["paths"][path][method]
        found["responses"] = {
            status: _resolved(document, response) for status, response in found["responses"].items()
        }
        return found

    return find


def _resolved(document, node):
    while "$ref" in node:
        *_, kind, name = node["$ref"].split("/")
        node = document["components"][kind][name]
    return node


def codes(operation, status):
    schema = operation["responses"][status]["content"][MEDIA_TYPE]["schema"]
    return schema["allOf"][1]["properties"]["code"]["enum"]


def test_what_any_request_may_meet_is_said_of_each_operation(operation):
    assert operation("get", "/kites")["responses"].keys() == {"200"} | ALWAYS
    assert operation("post", "/kites")["responses"].keys() == (
        {"201", "202", "401", "403", "409", "415"} | ALWAYS
    )
    assert operation("put", "/kites/{id}")["responses"].keys() == (
        {"200", "401", "403", "404", "409"} | ALWAYS
    )


def test_each_status_names_its_codes_those_of_the_route_first(operation):
    mending = operation("put", "/kites/{id}")
    assert codes(mending, "404") == ["kite_lost", "not_found"]
    assert codes(mending, "401") == ["unauthorized", "invalid_token"]
    assert "deadline_exceeded" in codes(mending, "503")
    assert "deadline_exceeded" not in codes(operation("get", "/kites"), "503")
    assert "That kite has flown away." in mending["responses"]["404"]["description"]


def test_a_problem_is_problem_json_and_nothing_else_is(document, operation):
    for path, methods in document["paths"].items():
        for method in methods:
            for status, response in operation(method, path)["responses"].items():
                is_problem = list(response.get("content", {})) == [MEDIA_TYPE]
                assert is_problem is (status >= "4"), (method, path, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_headers_of_an_answer_belong_to_its_status(operation):
    responses = operation("post", "/kites")["responses"]
    assert all("X-Request-ID" in response["headers"] for response in responses.values())
    assert responses["201"]["headers"].keys() == {
        "X-Request-ID",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
    }
    request_id = {
        status: response["headers"]["X-Request-ID"]["$ref"]
        for status, response in responses.items()
    }
    assert {status for status, ref in request_id.items() if ref.endswith("Perhaps")} == {
        "400",
        "408",
        "431",
    }
    assert "WWW-Authenticate" in responses["401"]["headers"]
    assert responses["429"]["headers"].keys() > {"Retry-After", "RateLimit", "RateLimit-Policy"}
    assert "Retry-After" in responses["503"]["headers"]


def test_every_reference_leads_somewhere(document):
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert _resolved(document, node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)


def test_answers_lead_to_operations_that_there_are(document, operation):
    flying = operation("post", "/kites")["responses"]
    known = {op["operationId"] for ops in document["paths"].values() for op in ops.values()}
    for status, parameters, body in (
        ("201", {"id": "$response.body#/id"}, None),
        ("202", {}, {"colour": "red"}),
    ):
        link = flying[status]["links"]["mend_kite"]
        assert link["operationId"] in known
        assert (link["parameters"], link.get("requestBody")) == (parameters, body)


def test_who_may_call_is_said_with_every_way_to_say_it(operation):
    assert operation("post", "/kites")["security"] == [{"bearer": []}, {"cookie": []}]
    assert operation("put", "/kites/{id}")["security"] == [{"service": []}]
    assert "security" not in operation("get", "/kites")
