"""The documents that follow from the code are those in docs/."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("docs", ROOT / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_generated_document_is_up_to_date(generator):
    for path, content in generator.pages().items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name}: make docs"
