"""The pages' own files: read once, and kept by browsers until they change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class File:
    """One file; `digest` is part of its address, so another version has another address."""

    content: bytes
    kind: str
    digest: str


@dataclass(frozen=True)
class Static:
    """All files in web/static, in memory."""

    found: Mapping[str, File]

    @classmethod
    def read(cls) -> Static:
        """What this version comes with."""
        folder = files("skyhold.web") / "static"
        return cls({it.name: _file(it.name, it.read_bytes()) for it in folder.iterdir()})

    def address(self, name: str) -> str:
        """Where a browser finds this very version of a file."""
        return f"/static/{name}?v={self.found[name].digest}"

    async def answer(self, request: Request) -> Response:
        """One file. Modules ask for one another without a version: then the browser asks again."""
        file = self.found.get(request.path_params["name"])
        if file is None:
            return PlainTextResponse("There is no such file.", 404)
        headers = {"etag": f'"{file.digest}"', "cache-control": "no-cache"}
        if request.query_params.get("v") == file.digest:
            headers["cache-control"] = FOR_GOOD
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.kind, headers=headers)


def _file(name: str, content: bytes) -> File:
    kind = KINDS[name.rpartition(".")[2]]
    return File(content, kind, hashlib.sha256(content).hexdigest()[:16])
