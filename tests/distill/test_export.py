"""The hand-written graph: weights against their stored form, the student against what the loader makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the extra listwise[train]")

from listwise.distill import graph as graphs

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]


def test_int8_weights_come_back_within_half_a_step() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 256)).astype(np.float32)
    stored, scales = graphs.quantize_linear(weight)
    assert stored.dtype == np.int8
    assert np.abs(stored).max() <= graphs.WEIGHT_LEVELS
    assert np.abs(stored.T * scales[:, None] - weight).max() <= scales.max() / 2 + 1e-6


def test_int4_tables_come_back_within_a_step() -> None:
    table = np.random.default_rng(0).normal(size=(7, 64)).astype(np.float32)
    packed, scales = graphs.quantize_table(table)
    levels = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    back = levels.reshape(7, 2, 32) * scales[:, :, None].astype(np.float32)
    error = np.abs(back.reshape(7, 64) - table)
    assert packed.shape == (7, 32)
    assert np.sqrt(np.mean(error**2)) < 0.12


def _weights(random: np.random.Generator, layers: int, width: int, wide: int) -> dict[str, NDArray[Any]]:
    """Random parameters of a BERT with a vocabulary of 50 and 40 positions."""
    shapes = {
        "embeddings.word_embeddings": (50, width),
        "embeddings.position_embeddings": (40, width),
        "embeddings.token_type_embeddings": (2, width),
    }
    inner = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        shapes |= {f"{name}.{part}": (width, width) for part in inner}
        shapes |= {f"{name}.intermediate.dense": (wide, width), f"{name}.output.dense": (width, wide)}
    weights = {f"{name}.weight": random.normal(size=shape) for name, shape in shapes.items()}
    weights |= {f"{name}.bias": random.normal(size=shape[0]) for name, shape in shapes.items()}
    norms = [f"encoder.layer.{layer}.{part}" for layer in range(layers) for part in ("attention.output", "output")]
    for name in ("embeddings", *norms):
        weights |= {f"{name}.LayerNorm.weight": np.ones(width), f"{name}.LayerNorm.bias": np.zeros(width)}
    return {name: value.astype(np.float32) for name, value in weights.items()}


def test_the_first_token_alone_is_as_among_all_and_kinds_and_padding_count(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    weights = _weights(np.random.default_rng(0), layers=2, width=32, wide=64)
    layers = {name.removesuffix(".weight"): (-20.0, 20.0) for name in weights if name.endswith(".weight")}
    encoder = graphs.Encoder("bert", weights, layers, heads=2, table_bits=8)
    graph, inputs = graphs.GraphBuilder(), ("ids", "mask", "kinds")
    outputs = {"all": (encoder.hidden(graph, *inputs), 3), "first": (encoder.first(graph, *inputs), 3)}
    declared = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in inputs]
    graph.save(tmp_path / "model.onnx", declared, outputs)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")

    def run(ids: list[int], mask: list[int], kinds: list[int]) -> list[NDArray[Any]]:
        fed = dict(zip(inputs, (np.array([row], np.int64) for row in (ids, mask, kinds)), strict=True))
        return list(session.run(["all", "first"], fed))

    every, first = run([5, 6, 7], [1, 1, 1], [0, 1, 1])
    assert first[:, 0] == pytest.approx(every[:, 0], abs=1e-4)
    padded, _ = run([5, 6, 7, 9], [1, 1, 1, 0], [0, 1, 1, 0])
    assert padded[:, :3] == pytest.approx(every, abs=1e-4)
    other, _ = run([5, 6, 7], [1, 1, 1], [0, 0, 0])
    assert np.abs(other - every).max() > 0.1


@pytest.mark.slow
def test_an_exported_student_scores_as_it_did_in_training(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra listwise[train]")
    transformers = pytest.importorskip("transformers", reason="needs the extra listwise[train]")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    from listwise.distill.export import export_hybrid
    from listwise.distill.student import Student, encoders
    from listwise.models.local import load_scorer

    torch.manual_seed(1)
    words = [f"w{number}" for number in range(60)]
    sizes = {"vocab_size": 64, "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 128}
    config = transformers.BertConfig(**sizes, num_hidden_layers=2, initializer_range=0.2)
    transformers.BertModel(config).save_pretrained(tmp_path / "dense")
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "sparse")
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "dense" / "tokenizer.json"))

    student = Student(tmp_path / "dense", tmp_path / "sparse", 32)
    texts = [" ".join(words[start : start + 3 + start % 9]) for start in range(50)]
    dense, sparse = encoders(student, texts)
    learned = {"dense_weight": student.dense_weight.item(), "late_weight": student.late_weight.item()}
    settings = {"kind": "hybrid", "sparse_weight": 1.0, **learned}
    export_hybrid(dense, sparse, tmp_path / "dense" / "tokenizer.json", settings, tmp_path / "out")
    with torch.no_grad():
        expected = student(["w3 w4"], texts)[0].numpy()
    scores = np.array(load_scorer(str(tmp_path / "out")).score("w3 w4", texts))
    assert (
        np.corrcoef(scores, expected)[0, 1] > 0.95
    )  # random weights: quantization weighs more than in a real model
