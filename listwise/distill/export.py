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

    The graph takes ``input_ids`` and ``attention_mask`` [batch, length] and ``terms`` [k], all int64, and
    ``query_states`` [tokens, hidden] of float. It gives ``dense`` [batch, hidden], of unit length; ``sparse``
    [batch, k], the weights of those terms of the vocabulary that the caller asks for; ``late`` [batch, tokens], the
    best cosine of each state of the query with one of the text; and ``states`` [batch, length, hidden], of unit
    length. A query asks for all terms and keeps its states, a passage is given both from its query.

    Args:
        dense: encodes meaning, of the text in the mean of its states and of each token in its state.
        sparse: encodes terms as SPLADE does: log(1 + relu) of the masked language model's logits, maximum over
            the text; its weights include ``transform.*`` and ``term_bias``.
        tokenizer: a ``tokenizer.json`` that both encoders share.
        settings: the content of ``config.json``, see `listwise.models.scorers.configs.HybridConfig`.
        out: the directory, made where missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    graph = GraphBuilder()
    ids, mask, terms, asked = "input_ids", "attention_mask", "terms", "query_states"
    weight = graph.op("Unsqueeze", graph.op("Cast", mask, to=TensorProto.FLOAT), graph.ints(-1))
    hidden = dense.hidden(graph, ids, mask)
    states = _of_unit_length(graph, hidden)
    total = graph.op("ReduceSum", graph.op("Mul", hidden, weight), graph.ints(1), keepdims=0)
    outputs = {
        "dense": (_of_unit_length(graph, total), 2),
        "sparse": (_term_weights(graph, sparse, sparse.hidden(graph, ids, mask), weight, terms), 2),
        "late": (_closest(graph, states, weight, asked), 2),
        "states": (states, 3),
    }
    inputs = [
        helper.make_tensor_value_info(ids, TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info(mask, TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info(terms, TensorProto.INT64, ["k"]),
        helper.make_tensor_value_info(asked, TensorProto.FLOAT, ["tokens", dense.table.shape[1]]),
    ]
    graph.save(out / "model.onnx", inputs, outputs)
    (out / "tokenizer.json").write_text(bare_tokenizer(tokenizer), encoding="utf-8")
    (out / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _of_unit_length(graph: GraphBuilder, vectors: str) -> str:
    length = graph.op("ReduceL2", vectors, graph.ints(-1), keepdims=1)
    return graph.op("Div", vectors, graph.op("Max", length, graph.number(1e-9)))


def _closest(graph: GraphBuilder, states: str, weight: str, asked: str) -> str:
    """The largest cosine over the text, of each of the query's states, [batch, tokens]."""
    cosines = graph.op("MatMul", states, graph.op("Transpose", asked, perm=[1, 0]))
    return graph.op("ReduceMax", graph.op("Add", cosines, _padding(graph, weight)), graph.ints(1), keepdims=0)


def _padding(graph: GraphBuilder, weight: str) -> str:
    """0 for a token and very low for padding, [batch, length, 1]."""
    return graph.op("Mul", graph.op("Sub", weight, graph.number(1.0)), graph.number(CLIP))


def _term_weights(graph: GraphBuilder, encoder: Encoder, hidden: str, weight: str, terms: str) -> str:
    [transformed] = encoder.linear(graph, hidden, "transform.dense")
    normal = graph.layer_norm(graph.op("Gelu", transformed), "transform.LayerNorm", encoder.weights)
    columns = graph.op("Transpose", encoder.tokens(graph, terms), perm=[1, 0])
    bias = graph.constant("term_bias", encoder.weights["term_bias"].astype(np.float16))
    wanted_bias = graph.op("Cast", graph.op("Gather", bias, terms), to=TensorProto.FLOAT)
    logits = graph.op("MatMul", normal, columns)
    highest = graph.op("ReduceMax", graph.op("Add", logits, _padding(graph, weight)), graph.ints(1), keepdims=0)
    positive = graph.op("Relu", graph.op("Add", highest, wanted_bias))
    return graph.op("Log", graph.op("Add", positive, graph.number(1.0)))


def bare_tokenizer(path: Path) -> str:
    """The tokenizer without its own padding and truncation: the loader sets these."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["padding"] = stored["truncation"] = None
    return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))
