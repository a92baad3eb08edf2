"""A sentence encoder as a teacher: one unit vector a text, compared by cosine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertModel

from listwise.distill.cross_encoder import bucketed, half_precision

TOKENS_A_BATCH = 8192


class Sentences:
    """A BERT encoder of Hugging Face whose mean state is the text's vector, such as multilingual-e5-small.

    Args:
        directory: of weights and ``tokenizer.json``.
        device: where it computes, and where its vectors are.
        query_prefix, passage_prefix: what it was trained to see before a text.
    """

    def __init__(
        self,
        directory: Path,
        device: torch.device,
        *,
        query_prefix: str = "query: ",
        passage_prefix: str = "passage: ",
    ) -> None:
        network = BertModel.from_pretrained(directory, add_pooling_layer=False, local_files_only=True)
        self._network, self._device = network.to(device).eval(), device
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._query, self._passage = query_prefix, passage_prefix

    def queries(self, texts: Sequence[str], max_tokens: int) -> Tensor:
        """Unit vectors, [texts, hidden]."""
        return self._vectors([self._query + text for text in texts], max_tokens)

    def passages(self, texts: Sequence[str], max_tokens: int) -> Tensor:
        """Unit vectors, [texts, hidden]."""
        return self._vectors([self._passage + text for text in texts], max_tokens)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _vectors(self, texts: Sequence[str], max_tokens: int) -> Tensor:
        self._tokenizer.enable_truncation(max_tokens)
        read = [one.ids for one in self._tokenizer.encode_batch_fast(list(texts))]
        vectors = torch.empty(len(texts), self._network.config.hidden_size, device=self._device)
        for places in bucketed([len(ids) for ids in read], TOKENS_A_BATCH):
            ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(read[at]) for at in places], batch_first=True)
            lengths = torch.tensor([len(read[at]) for at in places])
            ids, mask = ids.to(self._device), (torch.arange(ids.shape[1]) < lengths.unsqueeze(1)).to(self._device)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=half_precision(self._device)):
                states = self._network(ids, mask.long()).last_hidden_state
            total = (states.float() * mask.unsqueeze(-1)).sum(dim=1)
            vectors[places] = torch.nn.functional.normalize(total, dim=-1)
        return vectors
