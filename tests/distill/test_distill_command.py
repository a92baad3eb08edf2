"""``listwise distill`` as users run it: the directory it writes, interrupts, kills, and errors."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra listwise[train]")
pytest.importorskip("transformers", reason="needs the extra listwise[train]")
pytest.importorskip("onnx", reason="needs the extra listwise[train]")
from listwise.cli.distill_command import command
from listwise.errors import ConfigError, InputError
from listwise.formats import read_requests
from listwise.models.local import load_scorer
from listwise.types import WindowTrace
from tests.distill.conftest import make_bert

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

TRAINING = ("--rate", "2e-3", "--draw", "8", "--max-tokens", "32", "--threads", "1", "--seed", "3")
FILES = (
    *("CARD.md", "config.json", "model.fp32.onnx", "model.onnx", "model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "training.json"),
)


def start(folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "listwise", "distill", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, cwd=folder, text=True, stdout=pipe, stderr=pipe, env={**os.environ})


def distill(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=300)
    assert out == ""
    assert "Traceback" not in err, err
    return process.returncode, err


@pytest.fixture(scope="module")
def written(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection and ``ours``, trained on all kinds of teachers at once."""
    folder = tmp_path_factory.mktemp("written")
    from tests.distill.conftest import collection

    collection.__wrapped__(folder)  # type: ignore[attr-defined]
    teachers = ("--qrels", "qrels.txt", "--trace", "trace.jsonl", "--teacher", "teacher.trec")
    more = ("--permutations", "llm.trec", "--loss", "permutations=lambda", "--check-every", "8", "--epochs", "4")
    code, said = distill(
        folder, "--start", bert, "--out", "ours", "--requests", "requests.jsonl", *teachers, *more, *TRAINING
    )
    assert code == 0, said
    return folder


def test_it_writes_a_whole_directory_and_nothing_else(written: Path) -> None:
    assert tuple(sorted(os.listdir(written / "ours"))) == FILES
    config = json.loads((written / "ours" / "config.json").read_text())
    assert (config["kind"], config["max_tokens"], config["model_type"]) == ("cross-encoder", 32, "bert")


def test_the_card_says_what_it_was_made_of(written: Path) -> None:
    card = (written / "ours" / "CARD.md").read_text()
    for line in (
        "| qrels.txt | qrels | cross-entropy | 19 | 19 | 228 |",
        "| llm.trec | permutations | lambda | 19 | 19 | 228 |",
        "| trace.jsonl | trace | ranknet | 19 | 19 | 228 |",
        "| teacher.trec | teacher | margin-mse | 19 | 19 | 228 |",
        "| seed | 3 |",
        "5 held-out queries, by judgements",
        "int8 against the start: +",
    ):
        assert line in card
    record = json.loads((written / "ours" / "training.json").read_text())
    measures = {name: each["interval"]["mean"] for name, each in record["measures"].items()}
    assert measures["trained, int8"] > measures["start"] + 0.1


def test_the_same_command_again_has_nothing_to_do(written: Path, bert: Path) -> None:
    before = (written / "ours" / "model.safetensors").stat()
    teachers = ("--qrels", "qrels.txt", "--trace", "trace.jsonl", "--teacher", "teacher.trec")
    more = ("--permutations", "llm.trec", "--loss", "permutations=lambda", "--check-every", "8", "--epochs", "4")
    same = ("--start", bert, "--out", "ours", "--requests", "requests.jsonl", *teachers, *more, *TRAINING)
    assert distill(written, *same)[0] == 0
    assert (written / "ours" / "model.safetensors").stat() == before
    code, said = distill(written, *same, "--epochs", "5")
    assert code == 2
    assert "epochs was 4 and is 5" in said


def test_int8_and_fp32_agree_and_sentence_transformers_gives_the_same_scores(written: Path, tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra cross-encoder")
    precise = tmp_path / "fp32"
    precise.mkdir()
    for source, name in (("model.fp32.onnx", "model.onnx"), ("tokenizer.json",) * 2, ("config.json",) * 2):
        (precise / name).write_bytes((written / "ours" / source).read_bytes())
    request = next(read_requests(written / "requests.jsonl"))
    passages = [candidate.content for candidate in request.candidates] + ["", "a " * 500, "zzz"]
    query = request.query.text
    ours, fp32 = (load_scorer(str(path)).score(query, passages) for path in (written / "ours", precise))
    theirs = sentence_transformers.CrossEncoder(str(written / "ours"), device="cpu").predict(
        [(query, passage) for passage in passages]
    )
    assert fp32 == pytest.approx(theirs.tolist(), abs=1e-4)
    assert np.corrcoef(ours, fp32)[0, 1] > 0.99
    far = [
        (one, other)
        for one in range(len(passages))
        for other in range(len(passages))
        if fp32[one] - fp32[other] > 0.2 * float(np.std(fp32))
    ]
    assert far
    assert all(ours[one] > ours[other] for one, other in far)
    alone = [load_scorer(str(written / "ours")).score(query, [passage])[0] for passage in passages[:4]]
    assert alone == pytest.approx(ours[:4], abs=1e-4)


def test_training_goes_on_from_what_was_written(written: Path) -> None:
    code, said = distill(
        *(written, "--start", "ours", "--out", "ours2", "--requests", "requests.jsonl", "--qrels", "qrels.txt"),
        *(*TRAINING, "--held-out", "0", "--epochs", "1"),
    )
    assert code == 0, said
    assert "None: no queries were held out" in (written / "ours2" / "CARD.md").read_text()


def test_sigint_keeps_the_last_step_and_kill_9_the_last_checkpoint(bert: Path, collection: Path) -> None:
    def arguments(out: str) -> tuple[str | Path, ...]:
        teachers = ("--trace", "trace.jsonl", "--patience", "99", "--check-every", "5", "--epochs", "40")
        return ("--start", bert, "--out", out, "--requests", "requests.jsonl", *teachers, *TRAINING)

    assert distill(collection, *arguments("whole"))[0] == 0
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start(collection, *arguments("part"))
        state = collection / "part" / "checkpoint" / "state.safetensors"
        before = state.stat().st_mtime_ns if state.exists() else 0
        until = time.monotonic() + 120
        while not state.exists() or state.stat().st_mtime_ns == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.005)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == code, said
        assert number == signal.SIGKILL or "run the same command again to go on" in said
        assert not (collection / "part" / "model.onnx").exists()
    assert distill(collection, *arguments("part"))[0] == 0
    for name in ("model.safetensors", "model.onnx", "model.fp32.onnx"):
        assert (collection / "part" / name).read_bytes() == (collection / "whole" / name).read_bytes()
    assert not (collection / "part" / "checkpoint").exists()


def test_the_trace_of_a_rerank_teaches(written: Path) -> None:
    rerank = [sys.executable, "-m", "listwise", "rerank", "--requests", "requests.jsonl", "--local", "none"]
    llm = ["--llm", "sim/strong,qrels=qrels.txt", "--escalate", "always", "--trace", "llm.jsonl", "--out", "o.trec"]
    subprocess.run([*rerank, *llm], cwd=written, check=True, capture_output=True)
    known = set(WindowTrace.__dataclass_fields__)
    assert set(json.loads((written / "llm.jsonl").read_text().splitlines()[0])) == known
    code, said = distill(
        *(written, "--start", "ours", "--out", "traced", "--requests", "requests.jsonl", "--trace", "llm.jsonl"),
        *(*TRAINING, "--epochs", "1", "--measure-with", "qrels.txt"),
    )
    assert code == 0, said
    assert "| llm.jsonl | trace | ranknet | 19 | 19 |" in (written / "traced" / "CARD.md").read_text()


def test_a_mistake_ends_with_2_and_writes_nothing(bert: Path, collection: Path) -> None:
    (collection / "bad.txt").write_text("q1 0 d1.1 1\nq1 0 d1.2 good\n")
    code, said = distill(
        collection, "--requests", "requests.jsonl", "--out", "out", "--start", bert, "--qrels", "bad.txt"
    )
    assert code == 2
    assert said == "listwise: bad.txt:2: the grade 'good' is not a whole number\n"
    assert not (collection / "out").exists()


def test_mistakes_are_said_before_any_training(
    bert: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(collection)
    monkeypatch.setattr("torch.set_flush_denormal", lambda on: None)  # of the whole process
    (collection / "other.txt").write_text("x9 0 d1.1 1\n")
    other = tmp_path / "roberta"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    (other / "tokenizer.json").write_text("{}")
    three = make_bert(tmp_path / "three", labels=3)
    for arguments, expected in (
        (("--start", bert), "nothing to learn from"),
        (("--start", bert, "--qrels", "gone.txt"), "gone.txt"),
        (("--start", bert, "--qrels", "other.txt"), "no query in common"),
        (("--start", bert, "--qrels", "qrels.txt", "--loss", "hinge"), "--loss hinge"),
        (("--start", bert, "--qrels", "qrels.txt", "--loss", "people=ranknet"), "SOURCE=LOSS"),
        (("--start", bert, "--qrels", "qrels.txt", "--max-tokens", "1000"), "at most 512 tokens"),
        (("--start", "nobody/nothing", "--qrels", "qrels.txt"), "hf download nobody/nothing"),
        (("--start", collection, "--qrels", "qrels.txt"), "no config.json"),
        (("--start", other, "--qrels", "qrels.txt"), "'roberta'"),
        (("--start", three, "--qrels", "qrels.txt"), "3 labels"),
        (("--start", bert, "--qrels", "qrels.txt", "--device", "cuda"), "CUDA"),
        (("--start", bert, "--qrels", "qrels.txt", "--out", bert), "would be overwritten"),
        (("--start", three, "--qrels", "qrels.txt", "--out", bert), "another model"),
    ):
        asked = ["--requests", "requests.jsonl", "--out", "out", *map(str, arguments)]
        with pytest.raises((ConfigError, InputError), match=re.escape(expected)):
            command.main(asked, standalone_mode=False)
        assert not (collection / "out").exists()
