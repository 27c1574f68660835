"""Which methods an address answers to."""

from __future__ import annotations

import re
from functools import cache

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path


def methods_at(app: FastAPI, path: str) -> list[str]:
    """All of them, over all routes with that path: the framework names those of the first only.

    HEAD is answered wherever GET is, see the doorkeeper.
    """
    found = {
        method for pattern, methods in _table(app) if pattern.match(path) for method in methods
    }
    return sorted(found | {"HEAD"} if "GET" in found else found)


@cache
def _table(app: FastAPI) -> list[tuple[re.Pattern[str], set[str]]]:
    return [
        (compile_path(context.path)[0], context.methods)
        for context in iter_route_contexts(app.router.routes)
        if context.path is not None and context.methods
    ]
