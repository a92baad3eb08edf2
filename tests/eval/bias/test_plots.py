"""Pictures of studies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from listwise.errors import ConfigError
from listwise.eval.bias.observations import Observation
from listwise.eval.bias.plots import PICTURES
from listwise.eval.bias.study import Study, study_of
from listwise.eval.simulate import Traits
from tests.eval.bias.made_up import world


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    """One of each kind, with a name that is no formula, and one without positions."""
    made = world(Traits(bias="head"), queries=8, size=5, orders=3).observations
    asked = [replace(each, order="asked") for each in made if each.sample == 0]
    return [
        study_of(made, simulated=True),
        replace(study_of(asked), model="$x^"),
        study_of([Observation("mute", "q", ("a", "b"), None)]),
    ]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_whole_and_the_same_again(name: str, studies: list[Study], tmp_path: Path) -> None:
    for at in "ab":
        PICTURES[name](studies, tmp_path / f"{at}.svg")
    first, second = ((tmp_path / f"{at}.svg").read_bytes() for at in "ab")
    assert first == second
    words = "".join(ElementTree.fromstring(first).itertext())
    assert "position shown" in words
    assert "m (simulated)" in words
    assert "$x^" in words
    assert "24 windows of 5, reordered" in words
    assert "8 windows of 5, confounded" in words
    assert "mute" not in words
    PICTURES[name](studies, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_drawn_is_said(studies: list[Study], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be drawn"):
        PICTURES["curve"](studies, tmp_path / "curve.doc")
