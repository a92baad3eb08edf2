"""The names of spans and attributes are those that OpenTelemetry publishes, and those that the docs have."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import opentelemetry.semconv._incubating.attributes as incubating
import opentelemetry.semconv.attributes as stable
from opentelemetry.semconv._incubating.attributes.gen_ai_attributes import GenAiOperationNameValues
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from listwise.telemetry import names
from tests.conftest import CHECKOUT

PAGE = (CHECKOUT / "docs" / "observability.md").read_text(encoding="utf-8")
RENAMED = {
    "gen_ai.usage.cache_write.input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.request.reasoning.level": "",
    "gen_ai.client.inference.duration": "gen_ai.client.operation.duration",
}
"""Names that are newer than the last package, which the GenAI conventions have left, with what it calls them."""


def published(folder: ModuleType) -> set[str]:
    found: set[str] = set()
    for each in pkgutil.iter_modules(folder.__path__):
        module = importlib.import_module(f"{folder.__name__}.{each.name}")
        found |= {
            value for value in vars(module).values() if isinstance(value, str) and re.match(r"[a-z_]+\.", value)
        }
    return found


def ours() -> set[str]:
    """All names of attributes, and of one metric."""
    constants = {value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)}
    return {value for value in constants if "." in value}


def test_names_that_are_not_our_own_are_published() -> None:
    general = {name for name in ours() if not name.startswith(("gen_ai.", "listwise."))}
    assert len(general) == 9
    assert general <= published(stable)
    metrics = {value for value in vars(gen_ai_metrics).values() if isinstance(value, str)}
    known = published(incubating) | metrics
    gen_ai = {name for name in ours() if name.startswith("gen_ai.")}
    assert gen_ai - RENAMED.keys() <= known
    assert {old for old in RENAMED.values() if old} <= known
    assert not RENAMED.keys() & known, "the package has caught up: take them out of RENAMED"
    assert names.CHAT in {each.value for each in GenAiOperationNameValues}
    assert names.RERANK not in {each.value for each in GenAiOperationNameValues}, "there is a name for it now"


def test_names_that_were_given_up_are_not_used() -> None:
    module = importlib.import_module("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    text = Path(module.__file__ or "").read_text(encoding="utf-8")
    given_up = re.findall(r'Final = "(gen_ai[\w.]+)"\n"""\nDeprecated: (?:Replaced|Removed)', text)
    assert "gen_ai.system" in given_up
    assert not ours() & set(given_up)


def test_the_docs_have_every_name() -> None:
    tables = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    shown = set(re.findall(r"`((?:gen_ai|listwise|http|url|error|server|network)\.[\w.]+)`", tables))
    assert shown == ours() - {names.INFERENCE_DURATION}
