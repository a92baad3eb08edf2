"""Without its library an adapter says what to install; with all of them, the library itself loads none."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module

import pytest

from listwise.errors import MissingExtra
from tests.conftest import CHECKOUT
from tests.test_public import modules_after

ADAPTERS = [
    ("langchain", "langchain_core", "langchain"),
    ("llama_index", "llama_index.core", "llama-index"),
    ("haystack", "haystack", "haystack"),
    ("pyterrier", "pyterrier", "pyterrier"),
    ("mcp_server", "mcp", "mcp"),
]


@pytest.mark.parametrize(("module", "library", "extra"), ADAPTERS)
def test_what_is_missing_is_named(module: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == library or name.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"listwise.adapters.{module}", raising=False)
    with pytest.raises(MissingExtra, match=rf"pip install 'listwise\[{extra}\]'"):
        import_module(f"listwise.adapters.{module}")


def test_the_extras_are_declared() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {extra for _, _, extra in ADAPTERS} <= set(project["optional-dependencies"])


def test_the_library_loads_no_adapter() -> None:
    loaded = modules_after("from listwise import Reranker\nReranker('offline')\nimport listwise.adapters")
    assert not {library.partition(".")[0] for _, library, _ in ADAPTERS} & loaded
