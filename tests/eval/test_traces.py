"""Traces and receipts, read back."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import InputError
from listwise.eval.simulate import Prior, replay
from listwise.eval.traces import Move, escaped, moves, read_receipts, read_traces, replayed, sums
from listwise.strategies import make
from listwise.types import Receipt, Usage, WindowTrace


def window(docids: Sequence[str], permutation: Sequence[int] | None, **changes: Any) -> WindowTrace:
    made = WindowTrace(
        qid="q",
        step=0,
        docids=tuple(docids),
        prompt_sha256="0" * 64,
        model="openai/gpt-4o",
        served_by="gpt-4o-2024",
        answer="[2] > [1]",
        permutation=None if permutation is None else tuple(permutation),
        repairs={},
        usage=Usage(100, output_tokens=10),
        usd=Decimal("0.001"),
        cached=False,
    )
    return replace(made, **changes)


def written(path: Path, *records: WindowTrace | Receipt) -> Path:
    lines = [json.dumps(asdict(each), default=float, ensure_ascii=False) for each in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    first = window("abc", [2, 0, 1], repairs={"lost_bracket": 1}, answer="\x1b[31m3]", scores=(0.1, 0.2, 0.3))
    failed = window("ab", None, qid="r", answer=None, error="timeout", served_by=None, sample=2)
    found = read_traces(written(tmp_path / "trace.jsonl", first, failed))
    assert found == {"q": [first], "r": [failed]}
    receipt = Receipt("q", "llm", "always", 3, usd=Decimal("0.0015"), degraded=("late",), ordered_by={"m": 1})
    assert read_receipts(written(tmp_path / "receipts.jsonl", receipt)) == {
        "q": replace(receipt, notes=[], stages=[], degraded=["late"])
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"docids": None}, r"trace.jsonl:1: no window of a trace: docids: "),
        ({"usd": "much"}, r"usd: "),
        ({"permutation": [0, 0]}, r"trace.jsonl:1: query 'q': no permutation of the 2 passages shown"),
        ({"permutation": [0]}, "no permutation of the 2"),
        ({"docids": ["a", "a"]}, "shows a passage twice"),
    ],
)
def test_a_line_that_is_no_window_is_named(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    record = asdict(window("ab", [1, 0])) | changes
    path = tmp_path / "trace.jsonl"
    path.write_text(json.dumps(record, default=float) + "\n")
    with pytest.raises(InputError, match=said):
        read_traces(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    receipts = written(tmp_path / "receipts.jsonl", Receipt("q", "llm", "", 1), Receipt("q", "llm", "", 1))
    with pytest.raises(InputError, match=r"receipts.jsonl:2: query 'q': a second receipt"):
        read_receipts(receipts)
    with pytest.raises(InputError, match=r"receipts.jsonl:1: no window of a trace"):
        read_traces(receipts)
    (tmp_path / "empty").write_text("")
    with pytest.raises(InputError, match="no windows in it"):
        read_traces(tmp_path / "empty")
    with pytest.raises(InputError, match="No such file"):
        read_receipts(tmp_path / "none")


def test_moves_are_counted_from_one() -> None:
    assert moves(window("abc", [2, 0, 1])) == [Move("c", 3, 1), Move("a", 1, 2), Move("b", 2, 3)]
    assert [move.up for move in moves(window("abc", [2, 0, 1]))] == [2, -1, -1]
    assert [move.up for move in moves(window("ab", None))] == [0, 0]


def test_sums() -> None:
    total = sums(
        [
            window("abc", [2, 0, 1], repairs={"duplicate": 2, "missing": 1}),
            window("ab", None, step=1, cached=True, usd=Decimal(0), usage=Usage()),
            window("ab", [0, 1], step=1, model="sim/weak"),
        ]
    )
    assert (total.windows, total.steps, total.passages, total.moves) == (3, 2, 7, 3)
    assert (total.unordered, total.cached, total.repairs) == (1, 1, 3)
    assert (total.input_tokens, total.output_tokens, total.usd) == (200, 20, Decimal("0.002"))
    assert total.simulated
    assert not sums([window("ab", [0, 1])]).simulated


@given(st.integers(1, 60), st.integers(2, 20), st.integers(0, 2**32))
def test_sliding_windows_tell_the_whole_order(n: int, size: int, seed: int) -> None:
    """The windows of the strategy itself, answered by a recorded opinion, give back its order before and after."""
    docids = tuple(f"d{at}" for at in range(n))
    opinion = random.Random(seed).sample(docids, n)
    strategy = make("sliding", window=size, stride=max(1, size // 2), depth=n)
    played = replay(strategy, Prior("q", docids), opinion)
    asked = [tuple(docids[at] for at in each) for step in played.steps for each in step.windows]
    windows = [window(shown, sorted(range(len(shown)), key=lambda at: opinion.index(shown[at]))) for shown in asked]
    if n > 1:
        assert replayed(windows) == (list(docids), list(played.docids))


def test_windows_that_do_not_tell_the_order() -> None:
    assert replayed([window("ab", [1, 0]), window("cd", [0, 1])]) is None, "apart"
    assert replayed([window("ab", [1, 0]), window("cab", [0, 1, 2])]) is None, "not as those before left it"
    assert replayed([window("ab", [1, 0]), window("cba", [0, 1, 2])]) == (["c", "a", "b"], ["c", "b", "a"])
    assert replayed([window("ab", [1, 0], sample=1)]) is None
    assert replayed([window("ab", [1, 0])], "adaptive") is None
    assert replayed([window("ab", None), window("ab", [1, 0])], "sliding") == (["a", "b"], ["b", "a"])


@given(st.text())
def test_what_a_terminal_might_obey_is_written_out(text: str) -> None:
    assert escaped(text).isprintable()
    assert not text.isprintable() or escaped(text) == text


def test_escapes() -> None:
    assert escaped("a\x1b[2J\n\u202eb\udc80") == "a\\x1b[2J\\n\\u202eb\\udc80"
