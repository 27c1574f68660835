"""The floor: what an answer costs that does nothing but verify a token. No framework, no log."""

from __future__ import annotations

import sys
from typing import Any

import jwt
import uvicorn

from .system import JWT_SECRET

KEY = JWT_SECRET.encode()
BODY = b'{"id":"018f4b6e-3d3a-7c51-9f0a-2f1f4c1f9a77","text":"' + b"x" * 245 + b'"}'
assert len(BODY) == 300  # noqa: PLR2004 - about as much as a small answer of ours
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"300")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Verify the bearer token, and answer."""
    del receive
    token = next(value for name, value in scope["headers"] if name == b"authorization")[7:]
    jwt.decode(token, KEY, algorithms=["HS256"], audience="skyhold", issuer="skyhold-booking")
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def main() -> None:
    """Serve it on this port, with the loop and parser that the services have."""
    config = uvicorn.Config(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
