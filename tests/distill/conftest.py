"""A tiny BERT with random weights, and a collection from which it can learn something."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

LETTERS = "abcdefghijklmnopqrstuvwxyz"
QUERIES = 24
CANDIDATES = 12


def make_bert(folder: Path, *, labels: int = 1, kind: str = "classifier", seed: int = 0) -> Path:
    """A Hugging Face directory of a BERT that reads letters.

    Args:
        kind: ``classifier``, or ``encoder`` for one without a head.
    """
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertWordPieceTokenizer(str(folder / "vocab.txt")).save(str(folder / "tokenizer.json"))
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = BertConfig(vocab_size=len(words), num_labels=labels, initializer_range=0.1, **sizes)
    made = BertForSequenceClassification(config) if kind == "classifier" else BertModel(config)
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder to start from."""
    pytest.importorskip("torch", reason="needs the extra listwise[train]")
    pytest.importorskip("transformers", reason="needs the extra listwise[train]")
    return make_bert(tmp_path_factory.mktemp("start"))


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A passage is the better the more often it has the query's letter; requests, judgements, a trace, and runs."""
    draw = random.Random(1)
    requests, qrels, trace, ranked, scored = [], [], [], [], []
    for number in range(QUERIES):
        qid, letter = f"q{number}", LETTERS[number % 5]
        texts = {}
        for at in range(CANDIDATES):
            count = draw.choice((0, 0, 1, 3))
            rest = draw.choices(LETTERS[6:], k=8 - count)
            texts[f"d{number}.{at}"] = " ".join(draw.sample([*[letter] * count, *rest], 8))
        found = [{"docid": docid, "score": 1.0, "doc": {"text": text}} for docid, text in texts.items()]
        requests.append({"query": {"qid": qid, "text": letter}, "candidates": found})
        worth = {docid: text.split().count(letter) for docid, text in texts.items()}
        qrels += [f"{qid} 0 {docid} {count}" for docid, count in worth.items()]
        docids = list(texts)
        order = sorted(range(CANDIDATES), key=lambda at: -worth[docids[at]])
        trace.append({"qid": qid, "docids": docids, "permutation": order, "model": "sim"})
        ranked += [f"{qid} Q0 {docids[at]} {rank} {99 - rank} llm" for rank, at in enumerate(order, 1)]
        scored += [f"{qid} Q0 {docids[at]} {rank} {worth[docids[at]]} t" for rank, at in enumerate(order, 1)]
    (tmp_path / "requests.jsonl").write_text("".join(json.dumps(each) + "\n" for each in requests))
    (tmp_path / "qrels.txt").write_text("\n".join(qrels))
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(each) + "\n" for each in trace))
    (tmp_path / "llm.trec").write_text("\n".join(ranked))
    (tmp_path / "teacher.trec").write_text("\n".join(scored))
    return tmp_path
