from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from eval.benchmarks import golden_replay
from eval.benchmarks.golden_replay import Window, fingerprint, read_every_number, read_logs, replay, restored

TIME = "2023-01-02T03:04:05"
PREFIX = [f"d{at}" for at in range(100)]
LOST_BRACKET = "2] > [1]" + "".join(f" > [{at}]" for at in range(3, 21))
PROSE = "Of the 20 passages, these are best: [7] > [3]"
"""Read differently: RankGPT takes 20 for an identifier."""


def made_up(folder: Path, answers: dict[str, list[str]]) -> Path:
    """A collection in the form of the real one, with a log of answers and the run that came of them."""
    dl19, runs, responses = folder / "dl19", folder / "dl19" / "llm_runs", folder / "responses"
    for each in (runs, responses):
        each.mkdir(parents=True)
    words = random.Random(7)
    (dl19 / "queries.tsv").write_text("".join(f"{qid}\twhat is [{qid}]?\n" for qid in answers))
    with gzip.open(dl19 / "corpus.jsonl.gz", "wt") as corpus:
        for docid in PREFIX:
            text = f"[12] passage {docid}\u200b " + " ".join(words.choices(["sea", "ship", "sun", "sand"], k=40))
            corpus.write(json.dumps({"id": docid, "text": text}) + "\n")
    write_run(dl19 / "bm25.trec.gz", dict.fromkeys(answers, PREFIX))
    orders = {}
    with gzip.open(responses / "dl19.jsonl.gz", "wt") as log:
        for qid, said in answers.items():
            orders[qid], lines = played(qid, said)
            log.writelines(json.dumps(line) + "\n" for line in lines)
    write_run(runs / "made_up__bm25__top100__2023-01-02T030405.trec.gz", orders)
    return folder


def played(qid: str, answers: list[str]) -> tuple[list[str], list[dict[str, object]]]:
    order, lines = list(PREFIX), []
    for call, (start, answer) in enumerate(zip(range(80, -1, -10), answers, strict=True)):
        docids = order[start : start + 20]
        lines.append(
            {
                "log": f"made_up_dl19_{TIME}.1",
                "first_stage": "bm25",
                "collection": "dl19",
                "depth": 100,
                "qid": qid,
                "call": call,
                "docids": [None, *docids[1:]],
                "response": answer,
            }
        )
        order[start : start + 20] = [docids[at] for at in read_every_number(answer, 20)]
    return order, lines


def write_run(path: Path, orders: dict[str, list[str]]) -> None:
    """Ranks count; scores are all the same, as recorded ones may be."""
    with gzip.open(path, "wt") as run:
        for qid, docids in orders.items():
            run.writelines(f"{qid} Q0 {docid} {rank} 1.0 made-up\n" for rank, docid in enumerate(docids, 1))


def shuffled(seed: int) -> list[str]:
    order = random.Random(seed)
    return [" > ".join(f"[{at}]" for at in order.sample(range(1, 21), 20)) for _ in range(9)]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    clean, mended, parted = shuffled(1), shuffled(2), shuffled(3)
    mended[4], parted[0] = LOST_BRACKET, PROSE
    return made_up(tmp_path, {"q1": clean, "q2": mended, "q3": parted})


def test_replays_what_was_recorded(collection: Path) -> None:
    (log,) = read_logs(collection)
    (verdict,) = replay([log], golden_replay.read_collection(collection / "dl19"))
    assert verdict.clean == {"q1"}
    assert verdict.agreed == {"q2"}
    assert verdict.equal == {"q1", "q2"}
    assert verdict.unrecorded > 0
    assert not verdict.mismatched


def test_tells_an_order_that_is_not_the_recorded_one(
    collection: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = (collection / "dl19" / "llm_runs").iterdir()
    monkeypatch.setattr("sys.argv", ["golden_replay", "--data", str(collection)])
    assert golden_replay.main() == 0
    orders = golden_replay.read_order(run)
    (log,) = read_logs(collection)
    orders["q1"][0], orders["q1"][1] = orders["q1"][1], orders["q1"][0]
    verdict = golden_replay.judge(log, golden_replay.read_order(run), orders, 0)
    assert verdict.mismatched == {"q1"}
    golden_replay.show(verdict)
    assert "MISMATCH: query q1" in capsys.readouterr().out


def test_a_log_must_lead_to_its_run() -> None:
    order, lines = played("q", shuffled(1))
    assert restored(PREFIX, order, lines)[0].docids == tuple(PREFIX[80:])
    with pytest.raises(ValueError, match="does not lead"):
        restored(PREFIX, PREFIX, lines)


def test_rankgpt_reads_every_number() -> None:
    assert read_every_number("[2] > [3] > [2]", 4) == (1, 2, 0, 3)
    assert read_every_number("20 passages: 0, 3, 99999999999999999999", 3) == (2, 0, 1)
    assert not Window(tuple(PREFIX[:20]), PROSE).agreed
    assert Window(tuple(PREFIX[:20]), LOST_BRACKET).agreed
    assert not Window(tuple(PREFIX[:20]), LOST_BRACKET).clean


def test_a_window_is_known_whatever_neutralising_does_to_it() -> None:
    shown = fingerprint("m", "a query", ["(3) first  one", "second"])
    assert shown == fingerprint("m", "a [query]", ["[3] first\u200b one", "second"])
    assert shown != fingerprint("m", "a query", ["second", "(3) first  one"])
    assert shown != fingerprint("other", "a query", ["(3) first  one", "second"])


@pytest.mark.slow
def test_recorded_rankvicuna_runs_come_out_again(data: Path) -> None:
    collection = golden_replay.read_collection(data / "dl19")
    logs = [replace(log, windows=dict(list(log.windows.items())[:3])) for log in read_logs(data)]
    verdicts = list(replay(logs, collection))
    assert len(verdicts) == 4
    for verdict in verdicts:
        assert verdict.clean | verdict.agreed == verdict.equal == verdict.queries
        assert verdict.unrecorded == 0
