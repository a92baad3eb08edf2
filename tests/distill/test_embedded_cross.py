"""The recipe of the embedded cross-encoder, end to end and piece by piece, on tiny models that read letters."""

from __future__ import annotations

import gzip
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra listwise[train]")
pytest.importorskip("transformers", reason="needs the extra listwise[train]")

import torch

from listwise.distill import embedded_cross, phases, pool, tuning
from listwise.distill.collections import read_collection
from listwise.distill.cross_encoder import PairEncoder
from listwise.distill.lessons import Lesson
from listwise.distill.losses import lambda_of_grades, lambda_rank
from listwise.distill.pool import ANYWHERE, BANDS, DRAWN_ANYWHERE, Listed, Pool
from listwise.distill.sentences import Sentences
from listwise.distill.student import Student
from tests.distill.conftest import LETTERS, make_bert

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

TEACHER = "splade_p_p_ensemble_distil"
PASSAGES = 40
"""Of a collection."""


@pytest.fixture(scope="module")
def berts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A dense, a sparse and a sentence encoder."""
    folder = tmp_path_factory.mktemp("berts")
    dense, sparse, sentence = (make_bert(folder / str(seed), kind="encoder", seed=seed) for seed in range(3))
    return dense, sparse, sentence


@pytest.fixture(scope="module")
def seen(berts: tuple[Path, Path, Path]) -> Pool:
    """Twenty queries and three hundred passages, as the encoders see them."""
    draw = random.Random(2)
    queries = [" ".join(draw.choices(LETTERS, k=3)) for _ in range(20)]
    passages = [" ".join(draw.choices(LETTERS, k=draw.randint(4, 20))) for _ in range(300)]
    dense, sparse, sentence = berts
    hybrid = Student(dense, sparse, 32).eval()
    return Pool.of(hybrid, Sentences(sentence, torch.device("cpu")), queries, passages, 32)


@pytest.fixture(scope="module")
def listed(seen: Pool) -> list[Listed]:
    lists: list[Listed] = seen.lists(0.7, np.random.default_rng(0))
    return lists


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three collections, of which two are judged and two have a teacher's run; and queries of none."""
    draw = random.Random(3)
    for name in embedded_cross.COLLECTIONS:
        folder = tmp_path / name
        folder.mkdir()
        docids = [f"{name}.{at}" for at in range(PASSAGES)]
        with gzip.open(folder / "corpus.jsonl.gz", "wt") as lines:
            lines.writelines(
                json.dumps({"id": docid, "text": " ".join(draw.choices(LETTERS, k=9))}) + "\n" for docid in docids
            )
        (folder / "queries.tsv").write_text("".join(f"{qid}\t{LETTERS[qid]}\n" for qid in range(4)))
        for run in ("bm25", TEACHER) if name in embedded_cross.SCORED else ("bm25",):
            with gzip.open(folder / f"{run}.trec.gz", "wt") as lines:
                for qid in range(4):
                    found = draw.sample(docids, 30)
                    lines.writelines(f"{qid} Q0 {each} {at} {900 - 7 * at} x\n" for at, each in enumerate(found))
        if name in embedded_cross.JUDGED:
            grades = [f"{qid} 0 {docid} {draw.choice((0, 0, 1, 3))}" for qid in range(4) for docid in docids[:25]]
            (folder / "qrels.txt").write_text("\n".join(grades))
    (tmp_path / "queries").mkdir()
    with gzip.open(tmp_path / "queries" / "msmarco_unlabelled.tsv.gz", "wt") as lines:
        lines.writelines(f"{qid}\t{' '.join(draw.choices(LETTERS, k=2))}\n" for qid in range(12))
    return tmp_path


def test_the_program_writes_a_model_that_was_distilled_and_tuned(
    data: Path, berts: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(embedded_cross, "starting_points", lambda: berts[:2])
    monkeypatch.setattr(phases, "SAID_EVERY", 1)
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: True)  # it would hold for all tests that follow
    files = ["--data", str(data), "--sentences", str(berts[2]), "--out"]
    few = ["--queries", "6", "--threads", "1", "--steps", "2", "--lessons", "2"]
    embedded_cross.main([*files, str(tmp_path / "both"), *few, "--tuning-steps", "1"])
    said = capsys.readouterr().err
    assert "encoding 10 queries and 120 passages" in said
    assert "step 2 of 2" in said
    assert "step 1 of 1" in said
    embedded_cross.main([*files, str(tmp_path / "distilled"), *few, "--tuning-steps", "0"])
    both, distilled = (PairEncoder(tmp_path / name, 64).network for name in ("both", "distilled"))
    moved = [not torch.equal(*pair) for pair in zip(both.parameters(), distilled.parameters(), strict=True)]
    assert any(moved), "tuning does something"

    from listwise.models.local import load_scorer

    scorer = load_scorer(str(tmp_path / "both"))
    assert len(set(scorer.score("a b", ["a", "b c", "x y z"]))) == 3


def test_opinions_are_the_teachers_and_their_feedback(seen: Pool, listed: list[Listed]) -> None:
    """Computed anew, in a plain loop."""
    one = listed[3]
    at = list(seen.queries).index(one.query)
    query, passages = seen.asked[at], [seen.read[place] for place in one.places]
    asked, sentences = seen.sentences[0][at], [seen.sentences[1][place] for place in one.places]
    plain = []
    for passage, sentence in zip(passages, sentences, strict=True):
        late = (passage.states.float() @ query.states.float().T).max(dim=0).values.mean()
        sparse = passage.terms.to_dense().float() @ query.terms.to_dense().float()
        hybrid = seen.weights[0] * (passage.dense @ query.dense) + seen.weights[1] * late + sparse
        plain.append(float(hybrid / pool.HYBRID_SPREAD + 0.75 * (sentence @ asked) / pool.SENTENCE_SPREAD))
    best = sorted(range(len(plain)), key=lambda place: -plain[place])[:2]
    expected = torch.tensor(plain)
    for vectors, spread in zip(([one.dense for one in passages], sentences), pool.FEEDBACK_SPREADS, strict=True):
        mean = (vectors[best[0]] + vectors[best[1]]) / 2
        expected += torch.stack([0.4 * (vector @ mean) / mean.norm() / spread for vector in vectors])
    assert one.opinions == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-2)


def test_a_list_has_the_likeliest_first_and_some_from_anywhere(seen: Pool, listed: list[Listed]) -> None:
    assert len(listed) == 14, "seven in ten of twenty"
    for one in listed:
        likeliest = one.opinions[:-ANYWHERE]
        assert len(one.places) == pool.CANDIDATES + ANYWHERE
        assert likeliest.tolist() == sorted(likeliest, reverse=True)
        assert len(set(one.places[:-ANYWHERE].tolist())) == pool.CANDIDATES
    nearest = [float((seen.sentences[1] @ seen.sentences[0][at]).max()) for at in range(20)]
    kept = {list(seen.queries).index(one.query) for one in listed}
    assert min(nearest[at] for at in kept) >= max(nearest[at] for at in set(range(20)) - kept)


def test_a_lesson_has_some_of_each_band(seen: Pool, listed: list[Listed]) -> None:
    one = listed[0]
    ranks = Listed(one.query, one.places, np.arange(len(one.places), dtype=np.float32))
    lesson = seen.lesson(ranks, np.random.default_rng(1))
    drawn = lesson.utilities.astype(int)
    counts = [sum(first <= rank < last for rank in drawn) for first, last, _ in BANDS]
    assert counts == [count for _, _, count in BANDS]
    assert sum(drawn >= pool.CANDIDATES) == DRAWN_ANYWHERE
    assert list(lesson.passages) == [seen.passages[one.places[rank]] for rank in drawn]
    assert len(set(drawn.tolist())) == tuning.PASSAGES
    assert lesson.loss == "margin-mse"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(0, 9))
def test_a_graded_part_has_both_kinds_as_far_as_there_are(grades: list[int], seed: int) -> None:
    lesson = Lesson("q", "x", tuple(map(str, range(len(grades)))), np.array(grades, np.float32), "lambda")
    part = tuning.graded_part(lesson, np.random.default_rng(seed))
    relevant = sum(grade > 0 for grade in grades)
    assert sum(part.utilities > 0) == min(relevant, tuning.GRADED)
    others = len(grades) - relevant
    assert sum(part.utilities == 0) == min(others, tuning.PASSAGES - min(relevant, tuning.GRADED))
    assert [grades[int(text)] for text in part.passages] == part.utilities.tolist()
    assert len(set(part.passages)) == len(part.passages)
    assert (part.query, part.loss) == ("x", "lambda")


def test_a_runs_scores_come_on_the_models_scale(data: Path) -> None:
    collections = [read_collection(data / name) for name in embedded_cross.SCORED]

    def score(query: str, passages: Any) -> list[float]:
        return [2.5 * at for at in range(len(passages))]

    lessons = tuning.run_scores(collections, TEACHER, score)
    assert len(lessons) == 8
    assert all(one.loss == "margin-mse" for one in lessons)
    for one in lessons:
        assert np.std(one.utilities) == pytest.approx(np.std(score("", one.passages)), rel=1e-5)
        assert one.utilities[0] > one.utilities[-1], "as the run has it"


def test_a_step_of_tuning_has_all_three_kinds(data: Path, seen: Pool, listed: list[Listed]) -> None:
    judged = tuning.grades([read_collection(data / name) for name in embedded_cross.JUDGED], "bm25")
    scored = tuning.run_scores([read_collection(data / "dl22")], TEACHER, lambda _, texts: list(range(len(texts))))
    drawn = tuning.Mixture(judged, scored, seen, listed).draw(np.random.default_rng(0))
    assert [one.loss for one in drawn] == ["lambda"] * tuning.JUDGED + ["margin-mse"] * 18
    assert {len(one.passages) for one in drawn} == {tuning.PASSAGES}
    assert {one.query for one in drawn[-tuning.TAUGHT :]} <= set(seen.queries)


def test_lambda_takes_grades_as_they_are() -> None:
    scores, grades = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    # One pair, ranked wrongly: gain 1, discounts 1 / log2(3) and 1, ideal 1.
    expected = (1 - 1 / math.log2(3)) * math.log1p(math.e)
    assert float(lambda_of_grades(scores, grades)) == pytest.approx(expected)
    assert float(phases.weighted_lambda(scores, grades)) == pytest.approx(4 * expected)
    full = torch.tensor([3.0, 0.0])
    assert float(lambda_of_grades(scores, full)) == pytest.approx(float(lambda_rank(scores, grades)))


def test_the_rate_rises_and_falls_to_its_lowest() -> None:
    schedule = phases.Schedule(steps=100, peak=2.0, rising=10, lowest=0.05)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[:9] == sorted(rates[:9])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) <= 2.0
    assert rates[50] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1)
