"""Bad input in every place where there is input: refused, in a sentence, and nothing is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from . import corpus
from .inputs import Operation, Pointer, has, value_at, with_member, with_text, without
from .lab import Lab
from .legal import AS_IT_IS, LEFT_OUT, LEGAL
from .templates import TEMPLATES, Request, Template
from .wire import Answer, HungUp, request

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEMBERS = {"type", "title", "status", "detail", "code", "instance"}
# What an answer must never show: where our code is, what it is made of, what it asks the database.
INSIDE = re.compile(
    r"Traceback|site-packages|File \"|\.py\b|/home/|/usr/|/work/|sqlite3?\.|sqlalchemy|aiosqlite|"
    r"asyncpg|asyncmy|pymysql|SELECT |INSERT |UPDATE |DELETE FROM|pydantic|uvicorn|starlette",
    re.IGNORECASE,
)
LISTS = {"1,000 of it": 1_000, "twice the same": 2}


@dataclass(frozen=True)
class Case:
    """One bad value in one place."""

    place: str
    value: str
    content: bytes
    kind: str = ""

    @property
    def statuses(self) -> frozenset[int]:
        """What it gets where it is no bad input at all."""
        known = LEGAL.get(self.kind)
        return known.statuses if known and known.has(self.value) else frozenset()


# --- what to send ----------------------------------------------------------------------------


class Asking:
    """The requests of one operation, valid but for one place."""

    def __init__(self, lab: Lab, operation: Operation, template: Template, good: Request) -> None:
        self.operation, self.template, self.good = operation, template, good
        self._headers = headers_of(lab, template.who, template.service)
        if good.token is not None:
            self._headers = {"Authorization": f"Bearer {good.token}"}

    @classmethod
    async def everything(cls, lab: Lab, operation: Operation, template: Template) -> list[Case]:
        """All cases; of bodies that others cannot have, only what the first one does not have."""
        first = cls(lab, operation, template, await template.make(lab))
        cases = {(case.place, case.value): case for case in first.cases()}
        for make in template.also:
            other = cls(lab, operation, template, await make(lab))
            cases = {(case.place, case.value): case for case in other.cases()} | cases
        return list(cases.values())

    def content(self, **changed: Any) -> bytes:
        """The bytes of the request, with these parts of it changed."""
        good = self.good
        path = self.operation.path.format_map(
            {name: quote(value, safe="") for name, value in good.path.items()}
            | changed.get("path", {})
        )
        asked = {k: quote(v, safe="") for k, v in good.query.items()} | changed.get("query", {})
        target = path + ("?" + "&".join(f"{k}={v}" for k, v in asked.items()) if asked else "")
        body = changed.get("body", None if good.body is None else json.dumps(good.body).encode())
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers |= changed.get("headers", {})
        headers = {name: value for name, value in headers.items() if value is not None}
        return request(self.operation.method, target, headers, body)

    def cases(self) -> Iterator[Case]:
        kinds = self.template.kinds
        for name in self.operation.parameters("path"):
            for value, text in in_a_url():
                kind = kinds.get(f"path:{name}", "")
                yield Case(f"path:{name}", value, self.content(path={name: text}), kind)
        for name in self.operation.parameters("query"):
            for value, text in in_a_url():
                kind = kinds.get(f"query:{name}", "")
                yield Case(f"query:{name}", value, self.content(query={name: text}), kind)
        for name in self.operation.parameters("header"):
            for value, said in corpus.KEYS.items():
                kind = "no HTTP" if value in corpus.NO_HTTP else ""
                yield Case(f"header:{name}", value, self.content(headers={name: said}), kind)
        if self.operation.has_body:
            yield from self._fields()
            yield from self._bodies()

    def _fields(self) -> Iterator[Case]:
        for pointer in self.operation.fields():
            if not has(self.good.body, pointer):
                continue
            name = ".".join(map(str, pointer))
            kind = self.template.kinds.get(name, "")
            for value, text in self._values(pointer):
                content = self.content(body=with_text(self.good.body, pointer, text))
                yield Case(name, value, content, kind)
            left_out = self.content(body=without(self.good.body, pointer))
            yield Case(name, LEFT_OUT, left_out, kind)
            if isinstance(value_at(self.good.body, pointer), dict):
                yield from self._unknown(pointer, name)
        yield from self._unknown((), "")

    def _values(self, pointer: Pointer) -> Iterator[tuple[str, str]]:
        for value, text in corpus.TEXTS.items():
            yield value, corpus.json_text(text)
        yield from corpus.JSON.items()
        good = value_at(self.good.body, pointer)
        if isinstance(good, list):
            for value, times in LISTS.items():
                yield value, json.dumps(good[:1] * times)
            yield "with a null", json.dumps([*good, None])

    def _unknown(self, pointer: Pointer, name: str) -> Iterator[Case]:
        for member, text in corpus.UNKNOWN_FIELDS.items():
            if not has(self.good.body, (*pointer, member)):
                body = with_member(self.good.body, pointer, member, text)
                yield Case(f"{name}+", f"a member {member!r}", self.content(body=body))

    def _bodies(self) -> Iterator[Case]:
        good = json.dumps(self.good.body).encode()
        for value, spoil in corpus.BODIES.items():
            yield Case("body", value, self.content(body=spoil(good)))
        for kind in corpus.CONTENT_TYPES:
            content = self.content(headers={"Content-Type": kind})
            yield Case("content-type", str(kind), content)


def in_a_url() -> Iterator[tuple[str, str]]:
    """The texts as a URL has them: encoded, and where that differs also as they are."""
    for value, text in corpus.TEXTS.items():
        encoded = quote(text.encode("utf-8", "surrogatepass"), safe="")
        yield value, encoded
        if re.fullmatch(r"[!-~]+", text) and not set(text) & set("#?&%") and text != encoded:
            yield value + AS_IT_IS, text
    yield "no UTF-8", "%ff%fe"
    yield "an overlong slash", "%c0%af"
    yield "encoded twice", "%252e%252e%252f"
    yield "half an encoding", "%4"


def headers_of(lab: Lab, who: str, service: str) -> dict[str, str]:
    match who:
        case "alice":
            return {"Authorization": f"Bearer {lab.alice.token}"}
        case "staff":
            return {"Authorization": lab.system.staff()["authorization"]}
        case "service":
            return {"Authorization": f"Bearer {lab.service_token(service)}"}
    return {}


# --- what must come of it ---------------------------------------------------------------------


def complaint(case: Case, answer: Answer, statuses: frozenset[int] = frozenset()) -> str | None:
    """What is wrong with the answer."""
    if case.kind == "no HTTP" and answer.status == 400:
        return None  # the parser has refused it, and nobody has seen it
    wrong = wrong_with(answer, sent=case.content, statuses=statuses)
    if wrong is None:
        return None
    return f"{case.place} = {case.value} ({case.kind}): {wrong}: {answer.body[:200]!r}"


def wrong_with(answer: Answer, *, sent: bytes, statuses: frozenset[int]) -> str | None:
    if statuses:
        return None if answer.status in statuses else f"{answer.status}, not one of {set(statuses)}"
    if not 400 <= answer.status < 500:
        return f"{answer.status}"
    if answer.header("content-type") != "application/problem+json":
        return f"{answer.status} as {answer.header('content-type')}"
    problem = answer.json()
    if missing := MEMBERS - problem.keys():
        return f"a problem without {missing}"
    if problem["status"] != answer.status or problem["instance"] != answer.header("x-request-id"):
        return "a problem that contradicts its answer"
    # What was sent may be said again; what is ours may not be shown.
    shown = [found for found in INSIDE.findall(answer.body.decode()) if found.encode() not in sent]
    return f"an answer that shows {shown}" if shown else None


async def refused(lab: Lab, service: str, case: Case) -> str | None:
    try:
        return complaint(case, await lab.ask(service, case.content))
    except HungUp as error:
        return f"{case.place} = {case.value}: hung up ({error})"


async def test_every_operation_has_a_template(documents):
    known = {operation.name for each in documents.values() for operation in each}
    assert known == TEMPLATES.keys()


async def test_the_templates_have_every_field_of_every_body(lab, documents):
    for service in documents.values():
        for operation in service:
            template = TEMPLATES[operation.name]
            made = [await make(lab) for make in (template.make, *template.also)]
            for pointer in operation.fields():
                assert any(has(good.body, pointer) for good in made), (operation.name, pointer)


@pytest.mark.parametrize("name", TEMPLATES)
async def test_bad_input_is_refused_everywhere_and_nothing_is_written(lab, documents, name):
    template = TEMPLATES[name]
    operation = next(each for each in documents[template.service] if each.name == name)
    cases = await Asking.everything(lab, operation, template)
    bad = [case for case in cases if not case.statuses]
    before = await lab.written()
    complaints = await lab.each(bad, lambda case: refused(lab, template.service, case))
    lab.tally.inputs[name] += len(bad)
    after = await lab.written()
    assert not complaints, "\n".join(sorted(complaints))
    assert {t: n for t, n in after.items() if n != before[t]} == {}, "something was written"


@pytest.mark.parametrize("name", TEMPLATES)
async def test_what_is_no_bad_input_is_accepted(lab, documents, name):
    """Each on a request of its own, so that none stands in the way of another."""
    template = TEMPLATES[name]
    operation = next(each for each in documents[template.service] if each.name == name)
    wanted = [case for case in await Asking.everything(lab, operation, template) if case.statuses]

    async def accepted(case: Case) -> str | None:
        again = await Asking.everything(lab, operation, template)
        same = next(one for one in again if (one.place, one.value) == (case.place, case.value))
        answer = await lab.ask(template.service, same.content)
        return complaint(same, answer, same.statuses)

    complaints = await lab.each(wanted, accepted)
    lab.tally.inputs[name] += len(wanted)
    assert not complaints, "\n".join(sorted(complaints))


async def test_the_connections_are_still_good(lab):
    """Each was opened once, and again only after the server had said that it would close it."""
    for _ in range(lab.lines.qsize()):
        lines = await lab.lines.get()
        for line in lines.values():
            answer = await line.ask(request("GET", "/livez"))
            assert answer.status == 200
        lab.lines.put_nowait(lines)
