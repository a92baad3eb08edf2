"""The student: a sentence encoder and a SPLADE encoder that share a vocabulary, and one weighted sum of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertForMaskedLM, BertModel

from listwise.distill.calibration import Watch
from listwise.distill.graph import Encoder, Range

TEXTS_AT_ONCE = 16
"""Texts of similar length that are padded to one another."""
FROZEN_LAYERS = 2
"""Lowest layers of the dense encoder that are not trained."""
DENSE_WEIGHT = 20.0
"""Of the cosine of mean states at the start; the product of term weights has 1."""
LATE_WEIGHT = 45.0
"""Of the mean, over the query's tokens, of the best cosine with a token of the passage, at the start."""


class _Encoded(NamedTuple):
    """A batch of texts, as the scores see them."""

    mask: Tensor
    """[texts, length]."""
    dense: Tensor
    """Mean states of unit length, [texts, hidden]."""
    states: Tensor
    """Of unit length, [texts, length, hidden]."""
    terms: Tensor
    """Weights of some terms, [texts, terms]."""


class Read(NamedTuple):
    """One text, as the scores see it."""

    dense: Tensor
    """Mean state of unit length, [hidden]."""
    states: Tensor
    """Of unit length, [tokens, hidden], float16."""
    terms: Tensor
    """Weights of the terms of the vocabulary, [terms], float16, sparse."""


class Student(nn.Module):  # type: ignore[misc]  # torch need not be installed to check types
    """Scores passages as `listwise.models.scorers.hybrid.Hybrid` does.

    Args:
        dense: directory of a BERT encoder whose mean states and states are compared by cosine.
        sparse: directory of a BERT masked language model trained as SPLADE.
        max_tokens: longest input in training.
    """

    def __init__(self, dense: Path, sparse: Path, max_tokens: int) -> None:
        super().__init__()
        self.dense = BertModel.from_pretrained(dense, add_pooling_layer=False)
        self.sparse = BertForMaskedLM.from_pretrained(sparse)
        self.dense_weight = nn.Parameter(torch.tensor(DENSE_WEIGHT))
        self.late_weight = nn.Parameter(torch.tensor(LATE_WEIGHT))
        self.tokenizer = Tokenizer.from_file(str(dense / "tokenizer.json"))
        self.tokenizer.enable_truncation(max_tokens)
        self.tokenizer.enable_padding()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.dense_weight.device

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, [texts, length]."""
        encodings = self.tokenizer.encode_batch_fast(list(texts))
        ids = torch.tensor([one.ids for one in encodings], device=self.device)
        return ids, torch.tensor([one.attention_mask for one in encodings], device=self.device)

    def forward(self, queries: Sequence[str], passages: Sequence[str]) -> Tensor:
        """Scores of every passage for every query, [queries, passages]."""
        every = self._every_term()
        with torch.autocast(self.device.type, torch.bfloat16):
            asked = [self._encode([query], every) for query in queries]
            # Terms that no query uses add nothing, to the scores or to the gradient.
            used = torch.cat([query.terms for query in asked]).detach().amax(dim=0).nonzero().squeeze(1)
            by_length = sorted(range(len(passages)), key=lambda place: len(passages[place]))
            parts = [by_length[start : start + TEXTS_AT_ONCE] for start in range(0, len(passages), TEXTS_AT_ONCE)]
            read = [self._encode([passages[place] for place in part], used) for part in parts]
        scores = torch.cat(
            [torch.stack([self._compare(query, used, part) for query in asked]) for part in read], dim=1
        )
        return scores[:, torch.tensor(by_length, device=self.device).argsort()]

    def _compare(self, query: _Encoded, used: Tensor, passages: _Encoded) -> Tensor:
        """Scores of the passages, [passages]."""
        likeness = passages.states @ query.states[0].T
        closest = likeness.masked_fill(passages.mask.unsqueeze(-1) == 0, -1.0).amax(dim=1)
        return (
            self.dense_weight * (passages.dense @ query.dense[0])
            + self.late_weight * closest.mean(dim=1)
            + passages.terms @ query.terms[0, used]
        )

    def _encode(self, texts: Sequence[str], terms: Tensor) -> _Encoded:
        ids, mask = self.tokenize(texts)
        states = self.dense(ids, mask).last_hidden_state.float()
        head = self.sparse.cls.predictions
        hidden = head.transform(self.sparse.bert(ids, mask).last_hidden_state)
        logits = (hidden @ head.decoder.weight[terms].T + head.decoder.bias[terms]).float()
        highest = logits.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)
        return _Encoded(
            mask,
            nn.functional.normalize((states * mask.unsqueeze(-1)).sum(dim=1), dim=-1),
            nn.functional.normalize(states, dim=-1),
            torch.log1p(torch.relu(highest)),
        )

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def read(self, texts: Sequence[str]) -> list[Read]:
        """Every text by itself, as the scores see it."""
        found: dict[int, Read] = {}
        every = self._every_term()
        by_length = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = by_length[start : start + TEXTS_AT_ONCE]
            with torch.autocast(self.device.type, torch.bfloat16):
                made = self._encode([texts[place] for place in part], every)
            for row, place in enumerate(part):
                states = made.states[row][made.mask[row].bool()]
                found[place] = Read(made.dense[row], states.half(), made.terms[row].half().to_sparse())
        return [found[place] for place in range(len(texts))]

    def _every_term(self) -> Tensor:
        return torch.arange(self.tokenizer.get_vocab_size(), device=self.device)

    def parameter_groups(self, dense_rate: float, sparse_rate: float) -> list[dict[str, Any]]:
        """What is trained: all but the lowest layers, which keep what pre-training knew about rare words."""
        frozen = self.dense.encoder.layer[:FROZEN_LAYERS]
        for part in (self.dense.embeddings, self.sparse.bert.embeddings, frozen):
            part.requires_grad_(False)
        return [
            {"params": [p for p in self.dense.parameters() if p.requires_grad], "lr": dense_rate},
            {"params": [p for p in self.sparse.parameters() if p.requires_grad], "lr": sparse_rate},
            {"params": [self.dense_weight, self.late_weight], "lr": 100 * dense_rate},
        ]


def encoders(student: Student, texts: Sequence[str]) -> tuple[Encoder, Encoder]:
    """The dense and the sparse encoder as the exporter wants them, calibrated on ``texts``."""
    student.eval()
    ranges = _observe(student, texts)
    parts = {"dense": student.dense, "sparse": student.sparse}
    weights = {
        name: {_plain(key): value.numpy() for key, value in part.state_dict().items()}
        for name, part in parts.items()
    }
    heads = {name: int(part.config.num_attention_heads) for name, part in parts.items()}
    return (
        Encoder("dense", weights["dense"], ranges["dense"], heads["dense"], table_bits=4),
        Encoder("sparse", weights["sparse"], ranges["sparse"], heads["sparse"], table_bits=8),
    )


def _observe(student: Student, texts: Sequence[str]) -> dict[str, dict[str, Range]]:
    """The range of what each linear layer is given, padding apart: encoder to layer to range."""
    parts = {"dense": student.dense, "sparse": student.sparse}
    watches = {name: Watch(part, _plain) for name, part in parts.items()}
    with torch.no_grad(), watches["dense"], watches["sparse"]:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            ids, mask = student.tokenize(texts[start : start + TEXTS_AT_ONCE])
            for watch in watches.values():
                watch.shown = mask.bool()
            student.dense(ids, mask)
            student.sparse.cls.predictions.transform(student.sparse.bert(ids, mask).last_hidden_state)
    return {name: watch.ranges for name, watch in watches.items()}


def _plain(name: str) -> str:
    """A parameter's name as `listwise.distill.graph` knows it."""
    bare = name.removeprefix("bert.").removeprefix("cls.predictions.")
    return {"bias": "term_bias", "decoder.bias": "term_bias"}.get(bare, bare)
