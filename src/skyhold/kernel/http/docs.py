"""The interactive documents at /docs, without a script or a file from anywhere else.

The page has no script of its own, so that its policy need not allow any: what it runs are two files
of this origin.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

# The address of the document stands in the page, where a proxy that moves it can put another.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/swagger/swagger-ui.css">
<link rel="icon" href="/swagger/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui" data-document="{document}"></div>
<script src="/swagger/swagger-ui-bundle.js"></script>
<script src="/swagger/start.js"></script>
</body>
</html>
"""
_START = """"use strict";
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
# The style sheet has its pictures inside it, as data: addresses.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_KEPT = {"Cache-Control": "public, max-age=3600"}


def docs(title: str, document: str) -> APIRouter:
    """The page for the API's document at the path `document`, and what the page loads."""
    router = APIRouter(include_in_schema=False)
    page = _PAGE.format(title=html.escape(title), document=html.escape(document))

    @router.get("/")
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    @router.get("/docs")
    async def show() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    @router.get("/swagger/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript", headers=_KEPT)

    for name, media_type in _FILES.items():
        router.add_api_route(f"/swagger/{name}", _file(name, media_type))
    return router


def _file(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        return Response(_content(name), media_type=media_type, headers=_KEPT)

    return send


@cache
def _content(name: str) -> bytes:
    return resources.files("fastapi_swagger.resources").joinpath(name).read_bytes()
