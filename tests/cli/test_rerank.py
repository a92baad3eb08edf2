"""``listwise rerank`` as a user runs it: a process, files, and a real server on the loopback."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import CANDIDATES, QUERIES, Shell, last_first
from tests.loopback import Asked, Hang, ScriptedServer, failure

WINDOWS = 2 * QUERIES


def best_first(shell: Shell, name: str = "out.trec") -> dict[str, list[str]]:
    ranked: dict[str, list[str]] = {}
    for line in shell.lines(name):
        qid, _, docid, rank, _, _ = line.split()
        ranked.setdefault(qid, []).append(docid)
        assert int(rank) == len(ranked[qid])
    return ranked


def test_a_run_is_reranked_with_receipts_and_a_trace(shell: Shell) -> None:
    with ScriptedServer(last_first) as server:
        done = shell.run(*shell.rerank(server.base_url, "--receipts", "receipts.jsonl", "--trace", "trace.jsonl"))
        assert done.returncode == 0, done.stderr
        assert len(server.asked) == WINDOWS
    ranked = best_first(shell)
    assert list(ranked) == [f"q{at}" for at in range(QUERIES)]
    assert ranked["q1"][:3] == ["q1d29", "q1d28", "q1d27"]
    assert all(len(set(docids)) == CANDIDATES for docids in ranked.values())
    receipts = shell.records("receipts.jsonl")
    promised = [
        "qid",
        "route",
        "reason",
        "strategy",
        "calls",
        "attempts",
        "cache_hits",
        "passages_read",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "usd",
        "repairs",
        "degraded",
        "seconds",
    ]
    assert set(promised) <= set(receipts[0])
    assert [receipt["calls"] for receipt in receipts] == [2] * QUERIES
    trace = shell.records("trace.jsonl")
    assert len(trace) == WINDOWS
    assert trace[0]["docids"] == [f"q0d{at}" for at in range(10, 30)]
    assert str(trace[0]["answer"]).startswith("[20] > [19]")
    assert trace[0]["permutation"] == list(range(19, -1, -1))
    assert "4 queries in" in done.stderr
    assert "llm" in done.stderr
    for private in ("receipts.jsonl", "trace.jsonl"):
        assert stat.S_IMODE((shell.folder / private).stat().st_mode) == 0o600


def test_the_same_command_again_asks_nothing_and_writes_the_same_bytes(shell: Shell) -> None:
    with ScriptedServer(last_first) as server:
        assert shell.run(*shell.rerank(server.base_url)).returncode == 0
        first = (shell.folder / "out.trec").read_bytes()
        asked = len(server.requests)
        assert (
            shell.run(*shell.rerank(server.base_url, "--concurrency", "2", "--receipts", "r.jsonl")).returncode == 0
        )
        assert len(server.requests) == asked
    assert (shell.folder / "out.trec").read_bytes() == first
    assert all(receipt["cache_hits"] == receipt["calls"] for receipt in shell.records("r.jsonl"))


def test_killed_in_the_middle_only_unanswered_windows_are_asked_again(shell: Shell) -> None:
    with ScriptedServer(last_first, delay_s=0.15) as server:
        process = shell.start(*shell.rerank(server.base_url, "--concurrency", "1"))
        wait_for(lambda: len(server.billed) >= 4)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert not (shell.folder / "out.trec").exists()
        time.sleep(0.3)
        before = len(server.asked)
        done = shell.run(*shell.rerank(server.base_url))
        assert done.returncode == 0
        asked_again = len(server.asked) - before
        assert asked_again <= WINDOWS - 3
        prompts = [asked.prompt for asked in server.asked]
    assert len(prompts) - len(set(prompts)) <= 1  # only the call in flight when it was killed
    assert best_first(shell)["q3"][0] == "q3d29"


def test_interrupted_work_keeps_what_is_done(shell: Shell) -> None:
    def hang_on_the_last(asked: Asked) -> str | Hang:
        return Hang() if "what is q3" in asked.prompt else last_first(asked)

    with ScriptedServer(hang_on_the_last) as server:
        process = shell.start(*shell.rerank(server.base_url))
        wait_for(lambda: len(server.asked) == WINDOWS - 1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; 3 of 4 queries are written" in err
    assert list(best_first(shell)) == ["q0", "q1", "q2"]


@pytest.mark.parametrize("status", [401, 400, 500])
def test_a_server_that_never_answers_breaks_nothing_but_is_said(shell: Shell, status: int) -> None:
    with ScriptedServer(failure(status)) as server:
        done = shell.run(*shell.rerank(server.base_url, "--attempts", "1"))
    assert done.returncode == 1
    assert "answered none of the calls" in done.stderr
    assert "degraded" in done.stderr
    assert best_first(shell)["q0"] == [f"q0d{at}" for at in range(CANDIDATES)]


def test_a_dollar_budget_holds_and_says_so(shell: Shell) -> None:
    (shell.folder / "prices.toml").write_text('["openai/gpt-4o"]\ninput = 2.5\noutput = 10\n')
    with ScriptedServer(last_first) as server:
        limits = ("--prices", "prices.toml", "--budget", "0.004", "--receipts", "r.jsonl")
        assert shell.run(*shell.rerank(server.base_url, *limits)).returncode == 0
        billed = sum(2.5e-6 * tokens_in + 1e-5 * tokens_out for tokens_in, tokens_out in server.billed)
    receipts = shell.records("r.jsonl")
    assert [receipt["calls"] for receipt in receipts] == [1] * QUERIES
    assert all(0 < float(str(receipt["usd"])) <= 0.004 for receipt in receipts)
    assert billed == pytest.approx(sum(float(str(receipt["usd"])) for receipt in receipts))
    assert "USD budget of 0.004 reached" in str(receipts[0]["degraded"])


def test_an_unpriced_model_under_a_dollar_budget_is_refused_before_the_first_call(shell: Shell) -> None:
    with ScriptedServer(last_first) as server:
        done = shell.run(*shell.rerank(server.base_url, "--budget", "0.01"))
        assert server.requests == []
    assert done.returncode == 2
    assert "no price is known for openai/gpt-4o" in done.stderr
    assert not (shell.folder / "out.trec").exists()


def test_one_query_with_passages_from_standard_input(shell: Shell) -> None:
    passages = "Paint is blue.\nAir scatters short waves of sunlight, so the sky looks blue.\n"
    done = shell.run("rerank", "--query", "why is the sky blue", "--passages", "-", stdin=passages)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("Air scatters") < done.stdout.index("Paint is")
    assert "local" in done.stderr


def test_requests_in_and_results_out_as_jsonl(shell: Shell) -> None:
    record = {
        "query": {"qid": "q1", "text": "why is the sky blue"},
        "candidates": [
            {"docid": "paint", "score": 2.0, "doc": {"segment": "Paint is blue.", "url": "p"}},
            {"docid": "air", "score": 1.0, "doc": {"contents": "Air scatters sunlight, so the sky is blue."}},
        ],
    }
    (shell.folder / "in.jsonl").write_text(json.dumps(record) + "\n")
    done = shell.run("rerank", "--requests", "in.jsonl", "--out", "out.jsonl", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    (ranked,) = shell.records("out.jsonl")
    assert ranked["query"] == record["query"]
    docids = [candidate["docid"] for candidate in ranked["candidates"]]  # type: ignore[attr-defined]
    assert docids == ["air", "paint"]


def test_chosen_queries_only(shell: Shell) -> None:
    arguments = ("rerank", "--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec")
    done = shell.run(*arguments, "--local", "none", "--out", "o", "--qid", "q2", "--qid", "q0")
    assert done.returncode == 0, done.stderr
    assert sorted(best_first(shell, "o")) == ["q0", "q2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run.trec": "q0 Q0 q0d0 1\n"}, "run.trec:1"),
        ({"run.trec": "q0 Q0 q0d0 1 2 x\nq0 Q0 q0d0 2 1 x\n"}, "run.trec:2"),
        ({"run.trec": "q0 Q0 nowhere 1 2 x\n"}, "nowhere"),
        ({"queries.tsv": "q0\n"}, "queries.tsv:1"),
        ({"corpus.jsonl": '{"id": "q0d0"\n'}, "corpus.jsonl:1"),
        ({"queries.tsv": None}, "queries.tsv"),
    ],
)
def test_bad_input_is_named_and_nothing_is_overwritten(
    shell: Shell, change: dict[str, str | None], words: str
) -> None:
    (shell.folder / "out.trec").write_text("earlier work")
    for name, text in change.items():
        if text is None:
            (shell.folder / name).unlink()
        else:
            (shell.folder / name).write_text(text)
    arguments = ("rerank", "--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec")
    done = shell.run(*arguments, "--local", "none", "--out", "out.trec")
    assert done.returncode == 2
    assert words in done.stderr
    assert (shell.folder / "out.trec").read_text() == "earlier work"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--query", "x"], "go together"),
        ([], "--queries"),
        (["--requests", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--query", "x", "--passages", "run.trec", "--llm", "gpt-4o"], "gpt-4o"),
        (["--query", "x", "--passages", "run.trec", "--llm", "openai/gpt-4o"], "OPENAI_API_KEY"),
        (["--query", "x", "--passages", "run.trec", "--local", "no/such-model"], "no/such-model"),
        (["--query", "x", "--passages", "run.trec", "--policy", "blanaced"], "balanced"),
        (["--query", "x", "--passages", "run.trec", "--escalate", "often"], "often"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_words(shell: Shell, arguments: list[str], words: str) -> None:
    done = shell.run("rerank", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_output_that_cannot_be_written_is_said_before_anything_is_asked(shell: Shell) -> None:
    with ScriptedServer(last_first) as server:
        arguments = list(shell.rerank(server.base_url))
        arguments[arguments.index("out.trec")] = Path("no") / "such" / "folder.trec"
        done = shell.run(*arguments)
        assert server.requests == []
    assert done.returncode == 2
    assert "folder.trec" in done.stderr


EVENT_LOOPS = """
import asyncio, sys
from listwise import Reranker
reranker = Reranker(llm="openai/gpt-4o", base_url=sys.argv[1], local="none", escalate="always", cache="off")
for at in range(3):
    print(*asyncio.run(reranker.arerank(f"why {at}", ["a", "b"])).docids)
print(*reranker.rerank("why 3", ["a", "b"]).docids)
reranker.close()
"""


def test_one_reranker_serves_one_event_loop_after_another() -> None:
    with ScriptedServer("[2] > [1]") as server:
        command = [sys.executable, "-c", EVENT_LOOPS, server.base_url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1 0\n" * 4


def wait_for(condition: object, seconds: float = 30) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize("out", ["", ".", "corpus.jsonl/x", "nowhere/x"])
def test_a_place_that_is_no_file_is_said(shell: Shell, out: str) -> None:
    done = shell.run("rerank", "--query", "why", "--passages", "run.trec", "--local", "none", "--out", out)
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_an_older_output_survives_a_failure_and_an_interrupt_before_anything_is_done(shell: Shell) -> None:
    (shell.folder / "out.trec").write_text("earlier work")
    done = shell.run(*shell.rerank("http://127.0.0.1:9/v1", "--receipts", "nowhere/r.jsonl"))
    assert done.returncode == 2
    with ScriptedServer(Hang()) as server:
        process = shell.start(*shell.rerank(server.base_url))
        wait_for(lambda: len(server.asked) == QUERIES)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert (shell.folder / "out.trec").read_text() == "earlier work"
    assert not list(shell.folder.glob("*.partial"))


def test_two_outputs_cannot_share_a_file(shell: Shell) -> None:
    done = shell.run(*shell.rerank("http://127.0.0.1:9/v1", "--receipts", "out.trec"))
    assert done.returncode == 2
    assert "same file" in done.stderr


def test_names_that_a_run_cannot_hold_are_refused_before_anything_is_asked(shell: Shell) -> None:
    record = {"query": {"qid": "a b", "text": "why"}, "candidates": [{"docid": "d", "doc": "x"}]}
    (shell.folder / "in.jsonl").write_text(json.dumps(record))
    done = shell.run("rerank", "--requests", "in.jsonl", "--local", "none", "--out", "o.trec")
    assert done.returncode == 2
    assert "--format jsonl" in done.stderr


def test_a_key_in_the_address_is_never_shown(shell: Shell) -> None:
    with ScriptedServer(failure(401, "no")) as server:
        url = server.base_url.replace("://", "://user:hunter2@") + "?api-key=topsecret"
        arguments = shell.rerank(url, "--trace", "t.jsonl", "--receipts", "r.jsonl")
        done = shell.run("-v", *arguments)
    shown = done.stdout + done.stderr + "".join(shell.lines("t.jsonl") + shell.lines("r.jsonl"))
    assert "degraded" in shown
    assert "hunter2" not in shown
    assert "topsecret" not in shown


def test_scores_are_written_in_three_scales(shell: Shell) -> None:
    passages = "Air scatters blue light.\nParis is in France.\nApple pie needs apples.\n"
    (shell.folder / "passages.txt").write_text(passages)
    asked = ("--query", "why is the sky blue", "--passages", "passages.txt", "--scores", "scores.jsonl")
    done = shell.run("rerank", *asked)
    assert done.returncode == 0, done.stderr
    [line] = map(json.loads, shell.lines("scores.jsonl"))
    assert line["scorer"] == "embedded"
    assert line["docids"][0] == "1"
    assert line["raw"] == sorted(line["raw"], reverse=True)
    assert sum(line["share"]) == pytest.approx(1)
    assert all(0 < probability < 1 for probability in line["probability"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "./queries.tsv"), "--out ./queries.tsv would replace the file of --queries"),
        (("--out", "o.trec", "--trace", "run.trec"), "--trace run.trec would replace the file of --run"),
    ],
)
def test_no_output_replaces_an_input(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    before = [(shell.folder / name).read_bytes() for name in ("queries.tsv", "run.trec")]
    given = ("--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec", *arguments)
    done = shell.run("rerank", *given)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert [(shell.folder / name).read_bytes() for name in ("queries.tsv", "run.trec")] == before
