"""Local scorers that torch runs, over tiny real checkpoints, against the libraries they come from.

Run with ``make test-torch``; skipped where a library is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")
pytest.importorskip("transformers", reason="needs transformers: make test-torch")
pytest.importorskip("sentence_transformers", reason="needs sentence-transformers: make test-torch")

from listwise.errors import ConfigError, MissingExtra
from listwise.models.local import load_scorer
from listwise.models.scorers.late_interaction import LateInteraction
from listwise.models.scorers.passages import Array
from tests.models import tiny

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

QUERY = "abc def"
PASSAGES = ["a b c", "zz", "", "the sky. is, blue!", "b" * 40, "q " * 400]


def _cross_encoder(folder: Path, query: str, passages: list[str], **settings: Any) -> list[float]:
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    model = CrossEncoder(str(folder), activation_fn=Identity(), device="cpu", **settings)
    logits = model.predict([(query, passage) for passage in passages], show_progress_bar=False)
    return [float(value) for value in (logits[:, 1] - logits[:, 0] if logits.ndim == 2 else logits)]


@pytest.mark.parametrize("labels", [1, 2])
def test_a_bert_scores_as_sentence_transformers_has_it(tmp_path: Path, labels: int) -> None:
    folder = tiny.bert(tmp_path, labels=labels)
    expected = _cross_encoder(folder, QUERY, PASSAGES)
    assert load_scorer(str(folder)).score(QUERY, PASSAGES) == pytest.approx(expected, abs=1e-4)
    assert load_scorer(str(folder)).score(QUERY, []) == []


def test_an_xlm_roberta_scores_as_sentence_transformers_has_it(tmp_path: Path) -> None:
    folder = tiny.xlm_roberta(tmp_path)
    expected = _cross_encoder(folder, QUERY, PASSAGES, max_length=64)
    assert load_scorer(str(folder)).score(QUERY, PASSAGES) == pytest.approx(expected, abs=1e-4)


def test_what_sentence_transformers_saved_is_read(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    folder = tiny.bert(tmp_path / "first")
    CrossEncoder(str(folder), device="cpu").save_pretrained(str(tmp_path / "again"))
    expected = load_scorer(str(folder)).score(QUERY, PASSAGES)
    assert load_scorer(str(tmp_path / "again")).score(QUERY, PASSAGES) == pytest.approx(expected, abs=1e-5)


def test_the_best_chunk_counts_and_each_is_read_as_a_passage_of_its_own(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    # 128 tokens less 3 special ones and 6 of the query are 119; of letters apart, each is one token.
    letters = [tiny.LETTERS[place % 26] for place in range(250)]
    chunks = [" ".join(letters[start : start + 119]) for start in (0, 90, 180)]
    seen = load_scorer(str(folder), "max").read(QUERY, [" ".join(letters), "a b"])
    assert (seen.chunked, seen.cut) == (1, 0)
    assert seen.scores[0] == pytest.approx(max(load_scorer(str(folder)).score(QUERY, chunks)), abs=1e-5)


def test_a_score_does_not_depend_on_batch_mates(tmp_path: Path) -> None:
    for folder in (tiny.bert(tmp_path / "a"), tiny.t5(tmp_path / "b"), tiny.stanford_colbert(tmp_path / "c")):
        together = load_scorer(str(folder), "max").score(QUERY, PASSAGES)
        alone = [load_scorer(str(folder), "max").score(QUERY, [passage])[0] for passage in PASSAGES]
        assert together == pytest.approx(alone, abs=1e-4)


def test_code_that_comes_with_weights_is_not_run(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    settings["auto_map"] = {"AutoModelForSequenceClassification": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ConfigError, match="Python code of its own"):
        load_scorer(str(folder))


def test_broken_weights_are_said_in_our_words(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError):
        load_scorer(str(folder))


@pytest.mark.parametrize(
    ("make", "extra"),
    [(tiny.bert, "cross-encoder"), (tiny.t5, "monot5"), (tiny.stanford_colbert, "late-interaction")],
)
def test_a_missing_library_is_named(make: Any, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path)
    for library in ("transformers.utils", "transformers", "sentence_transformers"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"listwise\[{extra}\]"):
        load_scorer(str(folder))


def test_a_monot5_gives_the_likelihood_of_true(tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    folder = tiny.t5(tmp_path)
    model, tokenizer = T5ForConditionalGeneration.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    answers = tokenizer.convert_tokens_to_ids(["▁false", "▁true"])
    passages = ["a b c", "zz", "the sky is blue", "b" * 40]
    expected = []
    for passage in passages:
        inputs = tokenizer(f"Query: {QUERY} Document: {passage} Relevant:", return_tensors="pt")
        with torch.no_grad():
            logits = model(
                input_ids=inputs["input_ids"], decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)
            ).logits
        expected.append(float(logits[0, 0, answers].log_softmax(-1)[1]))
    scores = load_scorer(str(folder)).score(QUERY, passages)
    assert scores == pytest.approx(expected, abs=1e-4)
    assert max(scores) <= 0
    assert np.std(scores) > 1e-3


def test_a_t5_without_the_answers_is_no_monot5(tmp_path: Path) -> None:
    folder = tiny.t5(tmp_path)
    stored = (folder / "tokenizer.json").read_text(encoding="utf-8")
    (folder / "tokenizer.json").write_text(stored.replace("▁true", "▁truth"), encoding="utf-8")
    with pytest.raises(ConfigError, match="no monoT5"):
        load_scorer(str(folder))


def _late_scores(folder: Path, query: str, passages: list[str]) -> list[float]:
    """By sentence-transformers from 6 on, which reads all layouts, or by PyLate, which wants an older one."""
    import sentence_transformers

    if hasattr(sentence_transformers, "MultiVectorEncoder"):
        theirs = sentence_transformers.MultiVectorEncoder(str(folder), device="cpu")
        [asked] = theirs.encode_query([query], show_progress_bar=False, convert_to_numpy=True)
        read = theirs.encode_document(passages, show_progress_bar=False, convert_to_numpy=True)
    else:
        models = pytest.importorskip("pylate.models", reason="needs pylate: make test-torch")
        theirs = models.ColBERT(model_name_or_path=str(folder), device="cpu")
        [asked] = theirs.encode([query], is_query=True, show_progress_bar=False)
        read = theirs.encode(passages, is_query=False, show_progress_bar=False)
    return [float((asked @ each.T).max(axis=1).sum()) for each in read]


@pytest.mark.parametrize("attend", [False, True])
def test_stanfords_colbert_scores_as_others_have_it(tmp_path: Path, attend: bool) -> None:
    folder = tiny.stanford_colbert(tmp_path, attend_to_mask_tokens=attend)
    expected = _late_scores(folder, QUERY, PASSAGES)
    assert load_scorer(str(folder)).score(QUERY, PASSAGES) == pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize("told", [{}, {"attend_to_expansion_tokens": True}, {"do_query_expansion": False}])
def test_pylates_layout_scores_as_others_have_it(tmp_path: Path, told: dict[str, bool]) -> None:
    folder = tiny.pylate(tmp_path / "pylate", tiny.stanford_colbert(tmp_path / "stanford"), **told)
    expected = _late_scores(folder, QUERY, PASSAGES)
    assert load_scorer(str(folder)).score(QUERY, PASSAGES) == pytest.approx(expected, abs=1e-2)


def test_a_passage_that_returns_is_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = load_scorer(str(tiny.stanford_colbert(tmp_path)))
    assert isinstance(scorer.kind, LateInteraction)
    encoded: list[int] = []
    read = scorer.kind._read_passages

    def counted(pieces: Sequence[Sequence[int]]) -> Iterator[tuple[int, Array]]:
        encoded.append(len(pieces))
        return read(pieces)

    monkeypatch.setattr(scorer.kind, "_read_passages", counted)
    first = scorer.score(QUERY, [*PASSAGES, *PASSAGES])
    again = scorer.score(QUERY, [*PASSAGES, "new"])
    assert encoded == [len(PASSAGES), 1]
    assert first[: len(PASSAGES)] == first[len(PASSAGES) :] == again[:-1]


def test_a_projection_that_does_more_is_refused(tmp_path: Path) -> None:
    folder = tiny.pylate(tmp_path / "pylate", tiny.stanford_colbert(tmp_path / "stanford"))
    settings = json.loads((folder / "1_Dense" / "config.json").read_text())
    settings["activation_function"] = "torch.nn.modules.activation.Tanh"
    (folder / "1_Dense" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="Tanh is not supported"):
        load_scorer(str(folder))
