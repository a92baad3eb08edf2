"""Grids, names and seeds; lacking answers; votes; a digest that says what is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError
from listwise.eval.experiments.definition import read_definition
from listwise.eval.experiments.jobs import Job, jobs_of
from listwise.eval.experiments.material import read_material, sorted_run
from listwise.eval.experiments.run import lacking
from listwise.eval.experiments.systems import System, grid, systems_of
from listwise.formats import Scored
from listwise.types import Candidate, Query, Ranking, Receipt, Usage, WindowTrace
from tests.conftest import CHECKOUT

EXAMPLE = CHECKOUT / "eval" / "experiments" / "example.toml"
HEAD = 'collections = ["./example"]\nfirst_stages = ["words"]\n'


def systems(folder: Path, text: str, head: str = HEAD) -> list[System]:
    file = folder / "trial.toml"
    file.write_text(head + text)
    return list(systems_of(read_definition(file)))


def test_a_grid_is_every_choice_in_the_order_written() -> None:
    points = list(grid({"strategy": ["sliding", "topdown"], "window": [10, 20], "depth": 50, "votes": ["auto"]}))
    assert [labels for labels, _ in points] == [
        ("sliding", "window=10"),
        ("sliding", "window=20"),
        ("topdown", "window=10"),
        ("topdown", "window=20"),
    ]
    assert points[1][1] == {"strategy": "sliding", "window": 20, "depth": 50, "votes": "auto"}


def test_settings_that_are_lists_need_lists_of_lists() -> None:
    assert [point["local"] for _, point in grid({"local": ["a", "b"]})] == [["a", "b"]]
    assert [labels for labels, _ in grid({"local": [["a"], ["a", "b"], []]})] == [("a",), ("a>b",), ("none",)]


@given(
    st.dictionaries(
        st.sampled_from(["depth", "window", "stride", "top"]), st.lists(st.integers(1, 9), unique=True, min_size=1)
    )
)
def test_no_two_points_of_a_grid_have_one_name(axes: dict[str, list[int]]) -> None:
    points = list(grid(axes))
    assert len({" ".join(labels) for labels, _ in points}) == len(points)


def test_names_seeds_and_first_stages(tmp_path: Path) -> None:
    head = 'collections = ["./x"]\nfirst_stages = ["a", "b"]\n'
    text = '[systems.s]\nllm = "sim/weak"\nfirst_stage = ["a", "b"]\nvotes = [1, 2]\nseeds = [7, 8]\n'
    found = systems(tmp_path, text, head)[2:]
    assert [system.name for system in found][:3] == [
        "s votes=1 over a seed=7",
        "s votes=1 over a seed=8",
        "s votes=2 over a seed=7",
    ]
    assert len(found) == 8
    assert found[0].group == "s votes=1 over a"
    assert found[1].settings["llm"] == "sim/weak,seed=8,qrels="
    assert found[1].settings["seed"] == 8
    assert found[0].model == "sim/weak,seed=7"
    assert all(system.simulated for system in found)


def test_defaults_are_for_systems_with_an_llm(tmp_path: Path) -> None:
    text = '[defaults]\nllm = "openai/gpt-4o"\nlocal = "none"\nescalate = "always"\ndepth = 5\n'
    text += '[systems.a]\nlocal = "embedded"\n[systems.b]\nstrategy = "topdown"\ndepth = 7\n'
    _, a, b = systems(tmp_path, text)
    assert (a.kind, a.settings) == ("local", {"local": "embedded", "escalate": "never"})
    assert (b.kind, b.model, b.settings["depth"], b.settings["local"]) == ("llm", "openai/gpt-4o", 7, "none")


def test_files_beside_the_experiment_are_found(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('llm = "openai/gpt-4o"\nlocal = "none"\nescalate = "always"\nwindow = 12\n')
    (tmp_path / "short.yaml").write_text("")
    _, system = systems(tmp_path, '[systems.a]\npolicy = "mine.toml"\nprompt = "short.yaml"\n')
    assert (system.kind, system.model) == ("llm", "openai/gpt-4o")
    assert system.settings["prompt"] == str(tmp_path / "short.yaml")


def example(tmp_path: Path, text: str) -> dict[str, Job]:
    file = tmp_path / "trial.toml"
    file.write_text(HEAD.replace("./example", str(EXAMPLE.parent / "example")) + text)
    source = read_definition(file)
    jobs = jobs_of(source, systems_of(source), read_material(source, None))
    return {job.system.name: job for job in jobs}


def test_a_digest_changes_with_what_changes_the_order_and_with_nothing_else(tmp_path: Path) -> None:
    prompt = (CHECKOUT / "prompts" / "rankgpt.yaml").read_text()
    (tmp_path / "own.yaml").write_text(prompt)
    text = '[systems.a]\nllm = "openai/gpt-4o"\nprompt = "own.yaml"\n'
    first = example(tmp_path, text)["a"].digest
    assert example(tmp_path, text)["a"].digest == first
    for same in ("concurrency = 2\n", "timeout_s = 5\n", 'account = "other"\n'):
        assert example(tmp_path, text + same)["a"].digest == first
    for other in (
        "window = 12\n",
        "budget_usd = 1\n",
        "temperature = 1.0\n",
        'strategy = "topdown"\n',
        "depth = 4\n",
    ):
        assert example(tmp_path, text + other)["a"].digest != first
    (tmp_path / "own.yaml").write_text(prompt + "\n# changed\n")
    assert example(tmp_path, text)["a"].digest != first


def test_so_many_queries_are_taken_and_no_others_are_measured(tmp_path: Path) -> None:
    file = tmp_path / "trial.toml"
    file.write_text("queries = 2\n" + HEAD.replace("./example", str(EXAMPLE.parent / "example")))
    (material,) = read_material(read_definition(file), None).values()
    assert list(material.queries) == list(material.qrels) == ["sky", "stain"]
    assert [each.query.qid for each in material.requests(material.first_stage("words", "rank"))] == ["sky", "stain"]


def test_a_collection_that_is_nowhere_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LISTWISE_DATA", raising=False)
    file = tmp_path / "trial.toml"
    file.write_text('collections = ["nowhere/at/all"]\nfirst_stages = ["a"]\n')
    with pytest.raises(ConfigError, match=r"trial.toml: collections: .*; --data or LISTWISE_DATA names"):
        read_material(read_definition(file), None)
    with pytest.raises(ConfigError, match=r"there is no folder .*data/nowhere/at/all"):
        read_material(read_definition(file), tmp_path / "data")


def test_by_score_ties_go_as_trec_eval_breaks_them() -> None:
    run = {"q": [Scored("a", 1.0, 1), Scored("b", 1.0, 2), Scored("c", 3.0, 3)], "other": [Scored("a", 1.0, 4)]}
    assert [each.docid for each in sorted_run(run, "score", ["q"])["q"]] == ["c", "b", "a"]
    assert [each.docid for each in sorted_run(run, "rank", ["q"])["q"]] == ["a", "b", "c"]


WINDOW = WindowTrace("q", 0, ("a", "b"), "0" * 64, "m", "m", "[1]", (0, 1), {}, Usage(), 0, False)  # type: ignore[arg-type]
FAILED = replace(WINDOW, served_by=None, answer=None, permutation=None, error="m: no connection")


@pytest.mark.parametrize(
    ("windows", "why"),
    [
        ([WINDOW], None),
        ([FAILED], "m: no connection"),
        ([FAILED, WINDOW], None),  # another model of the chain read it
        ([replace(WINDOW, permutation=None, error="unreadable")], None),  # it would be the same again
        ([replace(FAILED, error="run 7: USD budget of 1 reached: ...")], "run 7: USD budget of 1 reached: ..."),
        ([replace(FAILED, error="query q: USD budget of 1 reached: ...")], None),  # a limit of its own
        ([WINDOW, replace(FAILED, step=1)], "m: no connection"),
    ],
)
def test_what_a_query_lacks(windows: list[WindowTrace], why: str | None) -> None:
    candidates = (Candidate("a", "a"), Candidate("b", "b"))
    ranking = Ranking(Query("q", "q"), candidates, Receipt("q", "llm", "", 2), windows=windows)
    assert lacking(ranking) == why
