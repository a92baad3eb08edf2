"""A cross-encoder that comes as weights only, through the real sentence-transformers (extra ``cross-encoder``)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from listwise.models.local import TorchCrossEncoder, load_scorer

pytestmark = [
    pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="needs the extra cross-encoder"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights, saved as any model on the hub is."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertWordPieceTokenizer(str(folder / "vocab.txt")).save(str(folder / "tokenizer.json"))
    BertTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertForSequenceClassification(BertConfig(vocab_size=len(words), num_labels=1, **sizes)).save_pretrained(folder)
    return folder


def test_scores_are_those_of_sentence_transformers(directory: Path) -> None:
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    scorer = load_scorer(str(directory))
    assert isinstance(scorer, TorchCrossEncoder)
    passages = ["a b c", "zz", "", "q" * 5000]
    theirs = CrossEncoder(str(directory), activation_fn=Identity(), device="cpu").predict(
        [("abc def", passage) for passage in passages]
    )
    assert scorer.score("abc def", passages) == pytest.approx(list(theirs), abs=1e-5)
    assert scorer.score("abc def", []) == []
