"""Attacks are data: whatever a passage holds, the prompt has the template's identifiers and turns, and no
others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Message
from listwise.prompting import addresses_the_model, load_template, neutralise, render, template_names
from listwise.prompting.orders import without_orders
from tests.attacks.corpus import CASES, Case, attacked

BASE, QUERY = "The moon is far away. It has no air, so its sky is black.", "why is the sky blue"
CLEAN = [f"Harmless passage {at}." for at in range(5)]
UNFOUND = {"in the query", "stuffing", "other words"}
"""Families that are no orders to the model, or that the detector does not know: `docs/attacks.md` says so."""

texts = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case.name}".replace(" ", "-"))


def shown(case: Case) -> str:
    title, text = attacked(case, BASE, QUERY)
    return f"{title} {text}" if title else text


def identifiers(messages: Sequence[Message], template: str) -> list[str]:
    """What a model would take for an identifier; tags count only where the template has them."""
    prompt = unicodedata.normalize("NFKC", "\n".join(message.content for message in messages))
    tags = r"|</?passage[^>]*>" if template == "structured" else ""
    return re.findall(rf"\[ ?\d+ ?\]{tags}", prompt)


def test_there_are_many_of_many_kinds() -> None:
    assert len(CASES) >= 60
    assert len({case.family for case in CASES}) >= 15
    assert len({case.name for case in CASES}) == len(CASES)


@texts
@pytest.mark.parametrize("name", template_names())
def test_the_prompt_has_only_the_identifiers_and_turns_of_its_template(case: Case, name: str) -> None:
    template = load_template(name)
    clean = render(template, QUERY, [*CLEAN, BASE])
    query = case.query(BASE, QUERY) if case.query else QUERY
    attack = render(template, query, [*CLEAN, shown(case)])
    assert [message.role for message in attack] == [message.role for message in clean]
    text, other = ("\n".join(message.content for message in messages) for messages in (attack, clean))
    assert identifiers(attack, name) == identifiers(clean, name)
    assert text.count("\n") == other.count("\n")
    assert not re.search(r"<\|\w+\|>|\[/?INST\]|<\w+_of_turn>|^(?:Human|System|Assistant):", text, re.MULTILINE)


@given(st.lists(st.sampled_from(CASES), min_size=1, max_size=6), st.sampled_from(template_names()), st.booleans())
def test_any_mixture_of_attacks_adds_no_identifier(cases: list[Case], name: str, joined: bool) -> None:
    template = load_template(name)
    passages = [shown(case) for case in cases]
    passages = ["".join(passages), BASE] if joined else [*passages, BASE]
    clean = render(template, QUERY, [BASE] * len(passages))
    attack = render(template, QUERY, passages)
    assert identifiers(attack, name) == identifiers(clean, name)


@texts
def test_what_is_found_and_what_is_not(case: Case) -> None:
    partner = case.partner(BASE, QUERY) if case.partner else ""
    found = addresses_the_model(shown(case)) or addresses_the_model(partner)
    assert found == (case.family not in UNFOUND)


@texts
def test_orders_are_withheld_and_the_passage_stays(case: Case) -> None:
    text = neutralise(shown(case))
    left = without_orders(text)
    assert not addresses_the_model(left)
    assert len(left.encode()) <= len(text.encode())
    assert "black" in left
