"""Makes a Hugging Face directory of a cross-encoder: two layers of random weights, and characters for tokens.

Runs in vLLM's environment, which has torch and transformers; needs no network.

Usage: python prepare_cross_encoder.py DIRECTORY
"""

from __future__ import annotations

import string
import sys
from pathlib import Path

LONGEST = 256
"""Tokens of a query and a passage together."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def prepare(directory: Path) -> None:
    """Write weights, configuration and tokenizer. The weights are large, so that scores differ."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    directory.mkdir(parents=True, exist_ok=True)
    characters = string.ascii_lowercase + string.digits
    vocabulary = [*SPECIAL, *characters, *(f"##{each}" for each in characters), *string.punctuation]
    file = directory / "vocab.txt"
    file.write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(str(file))
    tokenizer.model_max_length = LONGEST
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            intermediate_size=128,
            max_position_embeddings=LONGEST,
            num_labels=1,
            initializer_range=0.5,
        )
    )
    tokenizer.save_pretrained(directory)
    model.save_pretrained(directory)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
