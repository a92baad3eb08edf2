"""Makes a cross-encoder to measure speed with: a BERT's weights, a head without training, an int8 graph."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from listwise.distill.graph import Encoder, GraphBuilder, Range

PAIRS_AT_ONCE = 10
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def make_model(encoder: Path, pairs: Sequence[tuple[str, str]], out: Path) -> tuple[Path, Path]:
    """Write the weights as Hugging Face does, and an int8 graph of the same weights calibrated on ``pairs``.

    Returns:
        The directory with the weights, and the one with the graph. Both have the files that FlashRank wants.
    """
    import torch
    from tokenizers import Tokenizer
    from transformers import BertForSequenceClassification

    weights, graph = out / "weights", out / "graph"
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(encoder, num_labels=1).eval()
    model.save_pretrained(weights)
    graph.mkdir(parents=True, exist_ok=True)
    shutil.copy(weights / "config.json", graph)
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    longest = int(model.config.max_position_embeddings)
    for folder in (weights, graph):
        _write_tokenizer(tokenizer, folder, longest)
    tokenizer.enable_truncation(longest)
    tokenizer.enable_padding()
    _export(model, _observe(model, tokenizer, pairs), graph / "model.onnx")
    return weights, graph


def _write_tokenizer(tokenizer: Any, folder: Path, longest: int) -> None:
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    told = {"tokenizer_class": "BertTokenizer", "model_max_length": longest, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))


def _observe(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> dict[str, Range]:
    """The range of what each linear layer is given, padding apart."""
    import torch

    seen: dict[str, Range] = {}
    shown = torch.ones(1, 1, dtype=torch.bool)

    def watch(name: str) -> Callable[[Any, Any], None]:
        def see(_: Any, inputs: Any) -> None:
            values = inputs[0][shown] if inputs[0].dim() == 3 else inputs[0]
            low, high = seen.get(name, (0.0, 0.0))
            seen[name] = min(low, float(values.min())), max(high, float(values.max()))

        return see

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(watch(name.removeprefix("bert.")))
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        read = tokenizer.encode_batch(list(pairs[start : start + PAIRS_AT_ONCE]))
        mask = torch.tensor([one.attention_mask for one in read])
        shown = mask.bool()
        with torch.inference_mode():
            model(torch.tensor([one.ids for one in read]), mask, torch.tensor([one.type_ids for one in read]))
    return seen


def _export(model: Any, ranges: dict[str, Range], path: Path) -> None:
    weights = {name.removeprefix("bert."): value.numpy() for name, value in model.state_dict().items()}
    encoder = Encoder("bert", weights, ranges, model.config.num_attention_heads, table_bits=8)
    graph = GraphBuilder()

    def dense(x: str, name: str) -> str:
        weight, bias = (graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return graph.op("Gemm", x, weight, bias, transB=1)

    first = graph.op("Squeeze", encoder.first(graph, *INPUTS), graph.ints(1))
    logits = dense(graph.op("Tanh", dense(first, "pooler.dense")), "classifier")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in INPUTS]
    graph.save(path, inputs, {"logits": (logits, 2)})


def agreement(scores: Sequence[float], others: Sequence[float]) -> float:
    """How closely two rows of scores agree: their correlation."""
    return float(np.corrcoef(scores, others)[0, 1])
