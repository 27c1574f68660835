"""Routes that do nothing for a request but what it needs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.params import Depends
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase

from . import query
from .openapi import Responses


class Route(APIRoute):
    """Looks at the query before anything else, and lets documentation be documentation.

    A security scheme among the dependencies that nobody takes the value of, and that refuses
    nobody, is for the API's document alone: running it for every request would change nothing.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What serves a request."""
        known = query.known_to(self)
        shown, self.dependant = self.dependant, _at_work(self.dependant)
        handle = super().get_route_handler()
        self.dependant = shown

        async def serve(request: Request) -> Response:
            query.check(request, known)
            return await handle(request)

        return serve


class Routes(APIRouter):
    """What controllers declare their routes on; operations are called as their functions are.

    An application takes the routes as they are here: each layer of routers that they are included
    through would be asked again for every request.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        tags: Iterable[str] = (),
        dependencies: Iterable[Depends] = (),
        responses: Responses | None = None,
        include_in_schema: bool = True,
    ) -> None:
        super().__init__(
            prefix=prefix,
            tags=[*tags],
            dependencies=[*dependencies],
            responses=responses,
            include_in_schema=include_in_schema,
            route_class=Route,
            generate_unique_id_function=lambda route: route.name,
        )


def _at_work(dependant: Dependant) -> Dependant:
    at_work = [one for one in dependant.dependencies if not _is_documentation(one)]
    return replace(dependant, dependencies=at_work)


def _is_documentation(dependant: Dependant) -> bool:
    scheme: object = dependant.call
    refuses = getattr(scheme, "auto_error", True)
    return dependant.name is None and isinstance(scheme, SecurityBase) and not refuses
