"""Writes a trained cross-encoder as a directory that we, sentence-transformers and a further training can load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from onnx import TensorProto, helper
from safetensors.torch import save

from listwise.distill.calibration import Watch
from listwise.distill.checkpoints import write_beside
from listwise.distill.cross_encoder import PairEncoder
from listwise.distill.export import bare_tokenizer
from listwise.distill.graph import Encoder, GraphBuilder, Range

CALIBRATION_PAIRS = 512
"""Pairs of the training that set the scales of activations."""
SPECIAL_TOKENS = {"[UNK]": "unk_token", "[SEP]": "sep_token", "[PAD]": "pad_token", "[CLS]": "cls_token"}


def export_cross_encoder(
    model: PairEncoder, pairs: Sequence[tuple[str, str]], out: Path, *, token_bits: Literal[4, 8] = 8
) -> None:
    """Write ``model.onnx`` in int8, ``model.fp32.onnx``, the weights as ``model.safetensors``, the tokenizer, and
    ``config.json``, which is written last. No file is ever half written.

    The graphs take ``input_ids``, ``attention_mask`` and ``token_type_ids``, int64 [batch, length], and give
    ``logits``, float [batch, 1].

    Args:
        pairs: of query and passage, like those that are to be scored; they set the scales of activations.
        token_bits: of the table of tokens in ``model.onnx``; 4 saves 6 MB of MiniLM's 23.
    """
    model.cpu()
    ranges = _observe(model, pairs)
    write_beside(out / "model.onnx", _graph(model, ranges, token_bits))
    write_beside(out / "model.fp32.onnx", _graph(model, ranges, 32))
    weights = {name: value.contiguous() for name, value in model.network.state_dict().items()}
    write_beside(out / "model.safetensors", save(weights, {"format": "pt"}))
    write_beside(out / "tokenizer.json", bare_tokenizer(model.start / "tokenizer.json").encode())
    _write_json(out / "tokenizer_config.json", _tokenizer_settings(model))
    _write_json(out / "config.json", _settings(model))


def spread(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """At most `CALIBRATION_PAIRS`, from all over ``pairs``."""
    return list(pairs[:: max(1, -(-len(pairs) // CALIBRATION_PAIRS))])


def _observe(model: PairEncoder, pairs: Sequence[tuple[str, str]]) -> dict[str, Range]:
    with torch.inference_mode(), Watch(model.network, lambda name: name.removeprefix("bert.")) as watch:
        for batch in model.batches(pairs):
            watch.shown = batch.mask.bool()
            model(batch.ids, batch.mask, batch.kinds)
    return watch.ranges


def _graph(model: PairEncoder, ranges: dict[str, Range], bits: Literal[4, 8, 32]) -> bytes:
    weights = {name.removeprefix("bert."): value.numpy() for name, value in model.network.state_dict().items()}
    config = model.network.config
    encoder = Encoder("pair", weights, ranges, int(config.num_attention_heads), bits)
    graph = GraphBuilder(float(config.layer_norm_eps))
    names = ("input_ids", "attention_mask", "token_type_ids")
    states = encoder.first(graph, *names)
    first = graph.op("Gather", states, graph.constant("first", np.array(0, np.int64)), axis=1)
    # The head is small, and what it reads is in the scores as it is: float32 in both graphs.
    pooled = graph.op(
        "Tanh", graph.dense(first, "pooler", weights["pooler.dense.weight"], weights["pooler.dense.bias"])
    )
    logits = graph.dense(pooled, "classifier", weights["classifier.weight"], weights["classifier.bias"])
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in names]
    content: bytes = graph.model(inputs, {"logits": (logits, 2)}).SerializeToString()
    return content


def _settings(model: PairEncoder) -> dict[str, Any]:
    """Of `transformers`, with ours, and with the wish that sentence-transformers gives logits as we do."""
    settings: dict[str, Any] = json.loads(model.network.config.to_json_string(use_diff=False))
    return settings | {
        "architectures": ["BertForSequenceClassification"],
        "dtype": "float32",
        "kind": "cross-encoder",
        "max_tokens": model.max_tokens,
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
    }


def _tokenizer_settings(model: PairEncoder) -> dict[str, Any]:
    """The tokenizer file as it is, whatever class it was made with."""
    special = {
        kind: token for token, kind in SPECIAL_TOKENS.items() if model.tokenizer.token_to_id(token) is not None
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.max_tokens,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **special,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_beside(path, (json.dumps(content, indent=2) + "\n").encode())
