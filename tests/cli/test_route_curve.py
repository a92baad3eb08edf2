"""``listwise route curve``, over made-up cases."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from listwise.cli.route_command import command
from listwise.errors import ConfigError, InputError, MissingExtra
from listwise.routing.cases import write_cases
from tests.eval.test_routing import case, drawn, router, three


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Cases of 30 queries whose gains are told, of three whose gains add up to nothing, and a router."""
    write_cases(tmp_path / "told.jsonl", drawn(30))
    write_cases(tmp_path / "three.jsonl", three())
    router().write(tmp_path / "router.json")
    return tmp_path


def run(folder: Path, *arguments: str | Path) -> str:
    """What was printed."""
    done = CliRunner().invoke(
        command, [*map(str, arguments), "--router", str(folder / "router.json")], standalone_mode=False
    )
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_tables(folder: Path) -> None:
    text = run(folder, "curve", "--cases", folder / "told.jsonl")
    assert text.startswith("gpt: 30 queries of made-up; local order 0.5000")
    assert "times random's" in text
    assert "not clearly above zero" not in text
    assert "calibration: predictions are off by" in text
    rows = [line.split() for line in text.splitlines() if line.lstrip().startswith("30%")]
    assert len(rows) == 3
    assert float(rows[0][2]) > float(rows[0][3]), "the router is above chance"
    assert float(rows[1][1]) > 0, "for the same money, too"


def test_a_ratio_to_nothing_is_not_shown(folder: Path) -> None:
    text = run(folder, "curve", "--cases", folder / "three.jsonl")
    assert "random's gain is not clearly above zero" in text


def test_free_cases_have_no_equal_money(folder: Path) -> None:
    write_cases(folder / "free.jsonl", [case("a", 0.0, (0.1, 0.2), free=True)])
    assert "for the same money" in run(folder, "curve", "--cases", folder / "told.jsonl")
    assert "for the same money" not in run(folder, "curve", "--cases", folder / "free.jsonl")


def test_json_and_several_files(folder: Path) -> None:
    write_cases(folder / "more.jsonl", [case("z", 0.0, (0.1, 0.2), llm="sim/weak,seed=3")])
    text = run(folder, "curve", "--json", "--cases", folder / "three.jsonl", "--cases", folder / "more.jsonl")
    first, second = json.loads(text)
    assert (first["llm"], first["simulated"], first["queries"]) == ("gpt", False, 3)
    assert (second["llm"], second["simulated"], second["queries"]) == ("sim/weak", True, 1)
    names = [each["name"] for each in first["curves"]]
    assert names == ["router", "random", "margin", "oracle", "router, any depth", "random, any depth"]
    assert [each["share"] for each in first["compared"]] == [0.1, 0.2, 0.3, 0.5]
    assert first["compared"][0]["times_random"] is None
    at_first = [each["order"] for each in first["for_the_same_money"] if each["share"] == 0.1]
    assert at_first == ["router", "router, per dollar", "margin", "cheapest", "oracle, per dollar"]


def test_one_llm(folder: Path) -> None:
    write_cases(folder / "more.jsonl", [case("z", 0.0, (0.1, 0.2), llm="sim/weak,seed=3")])
    files = ("--cases", folder / "three.jsonl", "--cases", folder / "more.jsonl")
    assert run(folder, "curve", *files, "--llm", "sim/weak").startswith("sim/weak (simulated): 1 queries")
    with pytest.raises(ConfigError, match="there are gpt, sim/weak"):
        run(folder, "curve", *files, "--llm", "other")


def test_drawings(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    files = {"--out": folder / "curve.svg", "--calibration": folder / "calibration.svg"}
    given = [each for pair in files.items() for each in pair]
    drawn_first: dict[str, str] = {}
    for _ in range(2):
        run(folder, "curve", "--cases", folder / "told.jsonl", *given)
        texts = {option: path.read_text(encoding="utf-8") for option, path in files.items()}
        assert drawn_first in ({}, texts), "the same figures are the same file"
        drawn_first = texts
    assert "router, any depth" in drawn_first["--out"]
    assert "30 queries" in drawn_first["--out"]
    assert "predicted gain" in drawn_first["--calibration"]


def test_drawing_needs_an_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"listwise\[eval\]"):
        run(folder, "curve", "--cases", folder / "told.jsonl", "--out", folder / "curve.svg")


@pytest.mark.parametrize("name", ["curve.docx", "missing/curve.svg"])
def test_drawing_where_that_cannot_be(folder: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ConfigError, match="cannot be drawn"):
        run(folder, "curve", "--cases", folder / "told.jsonl", "--out", folder / name)


def test_no_cases(folder: Path) -> None:
    (folder / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="no routing cases"):
        run(folder, "curve", "--cases", folder / "empty.jsonl")
