"""A directory as FlashRank lays it out, read by us and by FlashRank itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")
pytest.importorskip("onnx", reason="needs onnx: make test-torch")
pytest.importorskip("flashrank", reason="needs flashrank: make test-torch")

import flashrank
import numpy as np

from eval.benchmarks.speed_model import make_model
from listwise.models.local import load_scorer
from tests.models import tiny

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

QUERY, PASSAGES = "abc def", ["a b c", "zz", "the sky is blue", "b" * 40, "q " * 400]


def test_flashrank_gives_the_same_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flashrank.Config import model_file_map

    pairs = [(QUERY, passage) for passage in PASSAGES]
    _, graph = make_model(tiny.bert(tmp_path / "encoder"), pairs, tmp_path / "made")
    (graph / "model.onnx").rename(graph / "flashrank-tiny_Q.onnx")
    monkeypatch.setitem(model_file_map, graph.name, "flashrank-tiny_Q.onnx")
    ranker = flashrank.Ranker(graph.name, str(graph.parent), max_length=128)
    shown = [{"id": place, "text": passage} for place, passage in enumerate(PASSAGES)]
    theirs = {one["id"]: one["score"] for one in ranker.rerank(flashrank.RerankRequest(QUERY, shown))}
    ours = 1 / (1 + np.exp(-np.array(load_scorer(str(graph)).score(QUERY, PASSAGES))))
    assert ours == pytest.approx([theirs[place] for place in range(len(PASSAGES))], abs=1e-3)
    assert np.ptp(ours) > 0.01


def test_a_quantized_graph_scores_nearly_as_its_weights(tmp_path: Path) -> None:
    passages = [" ".join(tiny.LETTERS[start : start + 3 + start % 9]) for start in range(20)]
    weights, graph = make_model(
        tiny.bert(tmp_path / "encoder"), [(QUERY, passage) for passage in passages], tmp_path / "made"
    )
    exact, quantized = (load_scorer(str(folder)).score(QUERY, passages) for folder in (weights, graph))
    assert np.corrcoef(exact, quantized)[0, 1] > 0.95
