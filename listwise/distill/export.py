"""Writes a trained hybrid as the directory that `listwise.models.local` loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from listwise.distill.graph import Encoder, GraphBuilder

CLIP = 1e4
"""What is taken from the logits of padding, so that it never is the maximum."""


def export_hybrid(dense: Encoder, sparse: Encoder, tokenizer: Path, settings: Mapping[str, Any], out: Path) -> None:
    """Write ``model.onnx``, ``tokenizer.json`` and ``config.json``.

    The graph takes ``input_ids`` and ``attention_mask`` [batch, length] and ``terms`` [k], all int64, and gives
    ``dense`` [batch, hidden], of unit length, and ``sparse`` [batch, k]: the weights of those terms of the
    vocabulary that the caller asks for. A query asks for all of them, a passage only for those of its query.

    Args:
        dense: encodes meaning: the mean of its states.
        sparse: encodes terms as SPLADE does: log(1 + relu) of the masked language model's logits, maximum over
            the text; its weights include ``transform.*`` and ``term_bias``.
        tokenizer: a ``tokenizer.json`` that both encoders share.
        settings: the content of ``config.json``, see `listwise.models.local.HybridConfig`.
        out: the directory, made where missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    graph = GraphBuilder()
    ids, mask, terms = "input_ids", "attention_mask", "terms"
    weight = graph.op("Unsqueeze", graph.op("Cast", mask, to=TensorProto.FLOAT), graph.ints(-1))
    outputs = {
        "dense": _mean_of_unit_length(graph, dense.hidden(graph, ids, mask), weight),
        "sparse": _term_weights(graph, sparse, sparse.hidden(graph, ids, mask), weight, terms),
    }
    inputs = [
        helper.make_tensor_value_info(ids, TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info(mask, TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info(terms, TensorProto.INT64, ["k"]),
    ]
    graph.save(out / "model.onnx", inputs, outputs)
    (out / "tokenizer.json").write_text(_bare_tokenizer(tokenizer), encoding="utf-8")
    (out / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _mean_of_unit_length(graph: GraphBuilder, hidden: str, weight: str) -> str:
    """The mean over the text, scaled to length 1; the scaling makes the count of tokens irrelevant."""
    total = graph.op("ReduceSum", graph.op("Mul", hidden, weight), graph.ints(1), keepdims=0)
    length = graph.op("ReduceL2", total, graph.ints(-1), keepdims=1)
    return graph.op("Div", total, graph.op("Max", length, graph.number(1e-9)))


def _term_weights(graph: GraphBuilder, encoder: Encoder, hidden: str, weight: str, terms: str) -> str:
    [transformed] = encoder.linear(graph, hidden, "transform.dense")
    normal = graph.layer_norm(graph.op("Gelu", transformed), "transform.LayerNorm", encoder.weights)
    columns = graph.op("Transpose", encoder.tokens(graph, terms), perm=[1, 0])
    bias = graph.constant("term_bias", encoder.weights["term_bias"].astype(np.float16))
    wanted_bias = graph.op("Cast", graph.op("Gather", bias, terms), to=TensorProto.FLOAT)
    logits = graph.op("MatMul", normal, columns)
    padding = graph.op("Mul", graph.op("Sub", weight, graph.number(1.0)), graph.number(CLIP))
    highest = graph.op("ReduceMax", graph.op("Add", logits, padding), graph.ints(1), keepdims=0)
    positive = graph.op("Relu", graph.op("Add", highest, wanted_bias))
    return graph.op("Log", graph.op("Add", positive, graph.number(1.0)))


def _bare_tokenizer(path: Path) -> str:
    """The tokenizer without its own padding and truncation: the loader sets these."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["padding"] = stored["truncation"] = None
    return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))
