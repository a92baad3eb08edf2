"""TREC DL 2019 as an experiment: the figures are those that are published with the runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from listwise.eval.experiments.experiment import Experiment

pytest.importorskip("ir_measures", reason="needs the extra listwise[eval]")

PUBLISHED = {
    "BM25": 0.5058,
    "SPLADE++": 0.7308,
    "gpt-3.5-turbo run=1": 0.6799,
    "gpt-3.5-turbo run=2": 0.6737,
    "gpt-3.5-turbo run=3": 0.6827,
    "gpt-3.5-turbo run=4": 0.6938,
    "gpt-3.5-turbo run=5": 0.6868,
    "RankVicuna run=1": 0.6665,
    "RankVicuna run=2": 0.6840,
    "RankVicuna run=3": 0.6682,
    "gpt-4o-mini": 0.7545,
}
"""nDCG@10 by trec_eval."""
FILE = """
collections = ["dl19"]
baseline = "BM25"
[first_stages]
"BM25" = "bm25"
"SPLADE++" = "splade_p_p_ensemble_distil"
[systems."gpt-3.5-turbo"]
recorded = "llm_runs/gpt-3.5-turbo__bm25__*.trec.gz"
[systems."RankVicuna"]
recorded = "llm_runs/rank_vicuna_7b__bm25__*.trec.gz"
[systems."gpt-4o-mini"]
recorded = "llm_runs/gpt-4o-mini_setwise_heapsort.trec.gz"
[systems."vote"]
vote = "gpt-3.5-turbo"
aggregate = "reciprocal"
"""


def test_recorded_runs_score_as_published(data: Path, tmp_path: Path) -> None:
    if not (data / "dl19" / "llm_runs").is_dir():
        pytest.skip("needs dl19/llm_runs in the judged data")
    file = tmp_path / "dl19.toml"
    file.write_text(FILE)
    experiment = Experiment.of(file, out=tmp_path / "out", data=data)

    async def run() -> int:
        with experiment.money() as money:
            asked = [receipt async for _, receipt in experiment.run(money)]
            experiment.write(money)
        return len(asked)

    with experiment.results.held():
        assert asyncio.run(run()) == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "measures.jsonl").read_text().splitlines()]
    means = {line["system"]: line["mean"] for line in lines}
    assert {name: round(means[name], 4) for name in PUBLISHED} == PUBLISHED
    assert means["vote"] == pytest.approx(0.6900, abs=5e-5)
    groups = [json.loads(line) for line in (tmp_path / "out" / "groups.jsonl").read_text().splitlines()]
    assert [line["system"] for line in groups] == ["gpt-3.5-turbo", "RankVicuna"]
    assert groups[0]["mean"] == pytest.approx(sum(list(PUBLISHED.values())[2:7]) / 5, abs=5e-5)
    assert all(line["ceiling"] > line["mean"] for line in lines)
