"""Every input of every operation, as the API's document tells of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")
ANY = "*"
_MARK = "\x01mark\x01"

Pointer = tuple[str | int, ...]


@dataclass(frozen=True)
class Operation:
    """A method and a path of one service, with what it takes."""

    method: str
    path: str
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def _spec(self) -> Mapping[str, Any]:
        return self.document["paths"][self.path][self.method.lower()]

    def parameters(self, where: str) -> list[str]:
        """The names of its parameters in the path, the query or the headers.

        But for those that all operations share: X-Request-ID, of which what makes no sense is not
        heeded.
        """
        own = [each for each in self._spec.get("parameters", ()) if "$ref" not in each]
        return [each["name"] for each in own if each["in"] == where]

    @property
    def has_body(self) -> bool:
        return "requestBody" in self._spec

    def fields(self) -> list[Pointer]:
        """Where the values of its body are, however deep; the body itself is not among them."""
        if not self.has_body:
            return []
        schema = self._spec["requestBody"]["content"]["application/json"]["schema"]
        return [pointer for pointer in self._walk(schema, ()) if pointer]

    def _walk(self, schema: Mapping[str, Any], at: Pointer) -> Iterator[Pointer]:
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        yield at
        for one in schema.get("anyOf", schema.get("allOf", ())):
            yield from (pointer for pointer in self._walk(one, at) if pointer != at)
        for name, below in schema.get("properties", {}).items():
            yield from self._walk(below, (*at, name))
        if isinstance(schema.get("items"), dict):
            yield from self._walk(schema["items"], (*at, 0))
        if isinstance(schema.get("additionalProperties"), dict):
            yield from self._walk(schema["additionalProperties"], (*at, ANY))


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """All of a document."""
    return [
        Operation(method.upper(), path, document)
        for path, methods in document["paths"].items()
        for method in methods
        if method in METHODS
    ]


def has(body: Any, pointer: Pointer) -> bool:
    """Whether there is something at this place of a body."""
    try:
        _resolve(body, pointer)
    except (KeyError, IndexError, TypeError, StopIteration):
        return False
    return True


def value_at(body: Any, pointer: Pointer) -> Any:
    for step in _resolve(body, pointer):
        body = body[step]
    return body


def _resolve(body: Any, pointer: Pointer) -> Pointer:
    """The same place, with the first of its members for ANY."""
    found: list[str | int] = []
    for step in pointer:
        at = next(iter(body)) if step == ANY else step
        body = body[at]
        found.append(at)
    return tuple(found)


def with_text(body: Any, pointer: Pointer, text: str) -> bytes:
    """The body as JSON, with this text as the value at that place."""
    return _written(_changed(body, _resolve(body, pointer), _MARK), text)


def without(body: Any, pointer: Pointer) -> bytes:
    """The body as JSON, with nothing at that place."""
    *way, last = _resolve(body, pointer)
    copy = json.loads(json.dumps(body))
    inner = value_at(copy, tuple(way))
    del inner[last]
    return json.dumps(copy).encode()


def with_member(body: Any, pointer: Pointer, name: str, text: str) -> bytes:
    """The body as JSON, with one more member in the object at that place."""
    way = _resolve(body, pointer)
    return _written(_changed(body, way, value_at(body, way) | {name: _MARK}), text)


def _changed(body: Any, way: Pointer, value: Any) -> Any:
    if not way:
        return value
    first, *rest = way
    copy = list(body) if isinstance(body, list) else dict(body)
    copy[first] = _changed(body[first], tuple(rest), value)
    return copy


def _written(body: Any, text: str) -> bytes:
    return json.dumps(body).replace(json.dumps(_MARK), text).encode()
