"""The local tier on real files: the embedded model, and tiny graphs written here byte by byte."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listwise.errors import ConfigError, MissingExtra, UnknownModel
from listwise.models.base import Scorer
from listwise.models.local import OWN, load_scorer
from listwise.models.scorers.memory import ENTRY_BYTES, Memory
from listwise.models.scorers.passages import Array

QUERY = "why is the sky blue"
PASSAGES = [
    "Paris is the capital of France and its most populous city.",
    "The sky looks blue because air molecules scatter short wavelengths of sunlight more than long ones.",
    "A recipe for apple pie: peel the apples, slice them, and bake for an hour.",
]


@pytest.fixture(scope="module")
def embedded() -> Scorer:
    return load_scorer("embedded")


def test_embedded_finds_the_passage_that_answers(embedded: Scorer) -> None:
    scores = embedded.score(QUERY, PASSAGES)
    assert max(range(3), key=lambda place: scores[place]) == 1
    assert embedded.name == "embedded"


def test_the_embedded_cross_encoder_finds_it_too() -> None:
    scorer = load_scorer("embedded-cross")
    scores = scorer.score(QUERY, PASSAGES)
    assert max(range(3), key=lambda place: scores[place]) == 1
    assert scorer.name == "embedded-cross"
    assert scorer.score(QUERY, PASSAGES[:1]) == scores[:1], "whatever else is asked for"


@pytest.mark.parametrize("name", OWN)
def test_what_comes_with_the_package_is_small(name: str) -> None:
    assert sum(path.stat().st_size for path in OWN[name].iterdir() if path.is_file()) <= 24_000_000


def test_only_a_model_with_judgements_it_has_not_seen_gives_probabilities() -> None:
    assert load_scorer("embedded").calibration is not None
    assert load_scorer("embedded-cross").calibration is None


def test_embedded_tells_meaning_without_shared_words(embedded: Scorer) -> None:
    about, other = embedded.score(
        "automobile repair costs", ["What a garage charges to fix your car.", PASSAGES[2]]
    )
    assert about > other


def test_nothing_to_read_is_fine(embedded: Scorer) -> None:
    assert embedded.score(QUERY, []) == []
    assert len(embedded.score("", ["", "something", "\x00\n"])) == 3
    blank, answer = embedded.score(QUERY, ["", PASSAGES[1]])
    assert blank < answer


def test_a_score_does_not_depend_on_batches_or_on_the_order(embedded: Scorer) -> None:
    mates = [f"{passage} " * (1 + place % 7) for place, passage in enumerate(PASSAGES * 40)]
    together = embedded.score(QUERY, [*PASSAGES, *mates])
    turned = embedded.score(QUERY, [*mates, *PASSAGES])
    assert together[:3] == turned[-3:]
    assert together[3:] == turned[:-3]


def test_feedback_is_taken_among_many_only(embedded: Scorer) -> None:
    """Of the best passages, which then say what the query means."""
    few = [*PASSAGES, *["A recipe for apple pie."] * 16]
    alone = [embedded.score(QUERY, [passage])[0] for passage in few]
    assert embedded.score(QUERY, few) == alone
    many = embedded.score(QUERY, [*few, "Apple pie."])
    raised = [after - before for after, before in zip(many, alone, strict=False)]
    best = sorted(range(len(few)), key=lambda place: -alone[place])[:2]
    assert sorted(sorted(range(len(few)), key=lambda place: -raised[place])[:2]) == sorted(best)
    assert max(range(20), key=lambda place: many[place]) == 1


def test_threads_share_a_scorer(embedded: Scorer) -> None:
    expected = embedded.score(QUERY, PASSAGES)
    with ThreadPoolExecutor(4) as threads:
        for scores in threads.map(lambda _: embedded.score(QUERY, PASSAGES), range(8)):
            assert scores == pytest.approx(expected, abs=1e-3)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_scores_with_its_parents_scorer(embedded: Scorer) -> None:
    expected = embedded.score(QUERY, PASSAGES)
    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: child.send(embedded.score(QUERY, PASSAGES)), daemon=True
    )
    process.start()
    assert parent.poll(30)
    assert parent.recv() == expected
    process.join(30)


def test_a_megabyte_of_text_is_cut_before_it_is_read(embedded: Scorer) -> None:
    started = time.perf_counter()
    long, longer = embedded.score(QUERY, ["sky " * 260_000, "sky " * 520_000])
    assert long == pytest.approx(longer, abs=1e-3)
    assert time.perf_counter() - started < 5
    assert len(embedded.score("sky " * 260_000, PASSAGES)) == 3


def test_embedded_is_small_and_names_where_it_comes_from() -> None:
    import listwise

    folder = Path(listwise.__file__).parent / "embedded"
    assert sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) <= 24_000_000
    assert "Apache" in (folder / "NOTICE").read_text(encoding="utf-8")


def test_scoring_loads_no_torch() -> None:
    code = (
        "import sys; from listwise.models.local import load_scorer; load_scorer('embedded').score('a', ['b']); "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'transformers', 'huggingface_hub', 'openai')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_hugging_face_cross_encoder_works_as_it_is(tmp_path: Path) -> None:
    _hugging_face(tmp_path, labels=1, place="onnx/model.onnx")
    assert load_scorer(str(tmp_path)).score("good", ["bad", "good good", ""]) == [3.0, 6.0, 2.0]


def test_the_second_of_two_logits_means_relevant(tmp_path: Path) -> None:
    _hugging_face(tmp_path, labels=2, place="model.onnx")
    assert load_scorer(str(tmp_path)).score("good", ["bad", "good good"]) == [6.0, 12.0]


def test_a_classifier_of_many_labels_is_no_cross_encoder(tmp_path: Path) -> None:
    _hugging_face(tmp_path, labels=3, place="model.onnx")
    with pytest.raises(ConfigError, match="3 labels"):
        load_scorer(str(tmp_path))


def test_a_graph_of_flashrank_may_have_any_name(tmp_path: Path) -> None:
    _hugging_face(tmp_path, labels=1, place="flashrank-tiny_Q.onnx")
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 16, "pad_token": "[PAD]"}')
    assert load_scorer(str(tmp_path)).score("good", ["bad", "good " * 100]) == [3.0, 2.0 * 16]


def test_a_graph_is_read_where_the_weights_would_want_code_run(tmp_path: Path) -> None:
    _hugging_face(tmp_path, labels=1, place="onnx/model.onnx")
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["auto_map"] = {"AutoModelForSequenceClassification": "model.Reranker"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert load_scorer(str(tmp_path)).score("good", ["bad"]) == [3.0]
    (tmp_path / "onnx" / "model.onnx").rename(tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match="not run here"):
        load_scorer(str(tmp_path))


def test_half_of_an_input_is_for_the_query_at_most(tmp_path: Path) -> None:
    _hugging_face(tmp_path, labels=1, place="model.onnx")
    scorer = load_scorer(str(tmp_path), "max")
    # The query's ids sum to 2 * 256; of 600 tokens, the last chunk starts at 2 * 192 and has 116 bad and 100 good.
    seen = scorer.read("good " * 400, ["bad", "bad " * 500 + "good " * 100])
    assert list(seen.scores) == [512 + 1, 512 + 116 + 2 * 100]
    assert (seen.cut, seen.chunked) == (0, 1)


def test_a_passage_that_returns_is_not_encoded_again() -> None:
    encoded: list[list[int]] = []

    def encode(pieces: Sequence[Sequence[int]]) -> Iterator[tuple[int, Array]]:
        encoded.extend(map(list, pieces))
        return iter((place, np.full(100, sum(ids), np.float32)) for place, ids in enumerate(pieces))

    memory = Memory(most_bytes=2 * (400 + ENTRY_BYTES))
    seen = dict(memory.recall([[1], [2], [1]], encode))
    assert [float(seen[place][0]) for place in range(3)] == [1.0, 2.0, 1.0]
    assert dict(memory.recall([[1]], encode))[0][0] == 1.0
    assert encoded == [[1], [2]]
    list(memory.recall([[3]], encode))
    assert memory.held_bytes <= 2 * (400 + ENTRY_BYTES)
    list(memory.recall([[1], [2]], encode))
    assert encoded == [[1], [2], [3], [2]]


def test_threads_share_a_memory() -> None:
    def encode(pieces: Sequence[Sequence[int]]) -> Iterator[tuple[int, Array]]:
        return iter((place, np.full(10, ids[0], np.float32)) for place, ids in enumerate(pieces))

    memory = Memory(most_bytes=20 * (40 + ENTRY_BYTES))

    def ask(start: int) -> bool:
        pieces = [[start + place % 50] for place in range(200)]
        return all(made[0] == pieces[place][0] for place, made in memory.recall(pieces, encode))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(40)))
    assert 0 < memory.held_bytes <= 20 * (40 + ENTRY_BYTES)


def test_a_bi_encoder_compares_mean_states(tmp_path: Path) -> None:
    _tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"kind": "bi-encoder", "pooling": "mean"}')
    # States are one-hot over the four terms, so the score is the cosine of counts.
    nodes: list[Node] = [("OneHot", ["input_ids", "depth", "off_on"], ["states"], {})]
    (tmp_path / "model.onnx").write_bytes(_graph(nodes, "states", 3, [_depth(), _off_on()]))
    scores = load_scorer(str(tmp_path)).score("good", ["good good", "bad", "good bad", ""])
    assert scores == pytest.approx([1.0, 0.0, 0.5**0.5, 0.0])


def test_a_model_in_the_hugging_face_cache_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--someone--reranker"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    _hugging_face(repository / "snapshots" / "abc123", labels=1, place="onnx/model.onnx")
    scorer = load_scorer("someone/reranker")
    assert scorer.name == "someone/reranker"
    assert scorer.score("good", ["good"]) == [4.0]


@pytest.mark.parametrize("name", ["someone/not-here", "bert-base-uncased", "not a name/", "../nowhere"])
def test_an_unknown_name_fails_fast_and_helps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    started = time.perf_counter()
    with pytest.raises(UnknownModel, match="no local model"):
        load_scorer(name)
    assert time.perf_counter() - started < 2


def test_an_unknown_name_says_how_to_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnknownModel, match="hf download someone/reranker"):
        load_scorer("someone/reranker")


def test_weights_without_a_graph_need_an_extra(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    _hugging_face(tmp_path, labels=1, place="model.onnx")
    (tmp_path / "model.onnx").rename(tmp_path / "model.safetensors")
    try:
        import sentence_transformers  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match=r"listwise\[cross-encoder\]"):
            load_scorer(str(tmp_path))


BERT = '"architectures": ["BertForSequenceClassification"]'


def _drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _spoil(name: str, text: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(text)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_drop("config.json"), "no config.json"),
        (_drop("model.onnx"), "holds no model.onnx"),
        (_drop("tokenizer.json"), "no tokenizer"),
        (_spoil("config.json", "{"), "not JSON"),
        (_spoil("config.json", "[]"), "not a JSON object"),
        (_spoil("config.json", '{"kind": "oracle"}'), "config.json: Input tag .*oracle"),
        (_spoil("config.json", f'{{{BERT}, "max_position_embeddings": "many"}}'), "cannot be: .*int"),
        (_spoil("config.json", f'{{{BERT}, "num_labels": "two"}}'), "cannot be: .*two"),
        (_spoil("config.json", '{"architectures": 5}'), "cannot be: .*iterable"),
        (_spoil("config.json", f'{{{BERT}, "calibration": {{"slope": "x"}}}}'), "calibration.slope: .*number; cal"),
        (_spoil("config.json", '{"kind": "hybrid"}'), "dense_weight"),
        (_spoil("config.json", '{"architectures": ["BertModel"]}'), "no cross-encoder"),
        (_spoil("tokenizer.json", "{}"), "no tokenizer"),
        (_spoil("model.onnx", "not a graph"), "cannot be loaded"),
    ],
)
def test_a_broken_directory_says_what_is_wrong(spoil: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    _hugging_face(tmp_path, labels=1, place="model.onnx")
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=says) as refused:
        load_scorer(str(tmp_path))
    assert "\n" not in str(refused.value)


# A cross-encoder for tests: the logit is the sum of the token ids, 2 for "good" and 1 for any other word.


def _hugging_face(folder: Path, *, labels: int, place: str) -> None:
    _tokenizer(folder)
    settings = {
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(label): f"LABEL_{label}" for label in range(labels)},
        "max_position_embeddings": 512,
    }
    (folder / "config.json").write_text(json.dumps(settings))
    nodes: list[Node] = [
        ("Cast", ["input_ids"], ["floats"], {"to": 1}),
        ("ReduceSum", ["floats"], ["sum"], {"axes": [1]}),
        ("Neg", ["sum"], ["less"], {}),
        ("Concat", ["less", "sum"], ["both"], {"axis": 1}),
    ]
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_bytes(_graph(nodes, "sum" if labels == 1 else "both", 2))


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))


# The few messages of onnx.proto that a graph needs, in protobuf's wire format.

Node = tuple[str, list[str], list[str], dict[str, Any]]


def _graph(nodes: list[Node], output: str, rank: int, constants: list[bytes] | None = None) -> bytes:
    graph = b"".join(_field(1, _node(*node)) for node in nodes) + _field(2, b"tiny")
    graph += b"".join(_field(5, constant) for constant in constants or [])
    graph += _field(11, _value("input_ids", 7, 2)) + _field(12, _value(output, 1, rank))
    return _number(1, 6) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 11))


def _node(kind: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any]) -> bytes:
    named = b"".join(_field(1, name.encode()) for name in inputs)
    named += b"".join(_field(2, name.encode()) for name in outputs)
    return named + _field(4, kind.encode()) + b"".join(_field(5, _attribute(*one)) for one in attributes.items())


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name.encode()) + _number(3, value) + _number(20, 2)
    return _field(1, name.encode()) + b"".join(_number(8, one) for one in value) + _number(20, 7)


def _value(name: str, kind: int, rank: int) -> bytes:
    shape = b"".join(_field(1, _field(2, f"{name}{axis}".encode())) for axis in range(rank))
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))


def _depth() -> bytes:
    return _number(2, 7) + _number(7, 4) + _field(8, b"depth")


def _off_on() -> bytes:
    import struct

    return _number(1, 2) + _number(2, 1) + _field(8, b"off_on") + _field(9, struct.pack("<2f", 0.0, 1.0))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def test_a_misspelt_vendor_is_guessed() -> None:
    with pytest.raises(UnknownModel, match=r"hf download cohre/rerank-v3\.5.*cohere/"):
        load_scorer("cohre/rerank-v3.5")
