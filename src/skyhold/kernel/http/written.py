"""Answers that are written past the models that document them."""

from __future__ import annotations

from fastapi import Response


class Written(Response):
    """JSON that is written already."""

    media_type = "application/json"
