"""``--fallback``, as a user meets it: through the real SDKs, with a bill that says who was paid."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.cli.conftest import QUERIES, Shell, last_first
from tests.loopback import ScriptedServer, failure

PRICES = ("--price", "openai/gpt-4o=2.5,10", "--price", "anthropic/claude-haiku-4-5=1,5")


def test_a_run_goes_on_with_the_next_model_and_the_bill_says_so(shell: Shell) -> None:
    with ScriptedServer(failure(503, retry_after="0")) as down, ScriptedServer(last_first) as up:
        done = shell.run(
            *shell.rerank(down.base_url, *PRICES, "--run-id", "r", "--attempts", "2", "--budget-total", "5"),
            *("--fallback", f"anthropic/claude-haiku-4-5@{up.root}"),
            *("--receipts", "receipts.jsonl", "--trace", "trace.jsonl"),
        )
        bill = sum((Decimal(i) + Decimal(o) * 5 for i, o in up.billed), Decimal(0)) / 10**6
    assert done.returncode == 0, done.stderr
    assert f"fell back, {QUERIES} queries: to another LLM" in done.stderr
    receipts = shell.records("receipts.jsonl")
    assert {str(each["fallback"]) for each in receipts} == {"llm"}
    assert all(each["ordered_by"] == {"anthropic/claude-haiku-4-5": 2} for each in receipts)
    assert [line.split()[2] for line in shell.lines("out.trec") if line.split()[3] == "1"] == [
        f"q{at}d29" for at in range(QUERIES)
    ]
    models = {window["model"] for window in shell.records("trace.jsonl")}
    assert models == {"openai/gpt-4o", "anthropic/claude-haiku-4-5"}
    by_model = {
        line["name"]: line for line in json.loads(shell.run("spend", "--run", "r", "--format", "json").stdout)
    }
    assert Decimal(by_model["anthropic/claude-haiku-4-5"]["usd"]) == bill > 0
    assert by_model["openai/gpt-4o"]["rejected"] == len(down.asked)
    assert by_model["openai/gpt-4o"]["fell_back"] == QUERIES
    assert up.root not in shell.run("spend", "--by", "run", "--format", "json").stdout


def test_where_no_model_answers_the_order_stands_and_the_exit_code_says_so(shell: Shell) -> None:
    with ScriptedServer(failure(500, retry_after="0")) as one, ScriptedServer(failure(401)) as two:
        done = shell.run(
            *shell.rerank(one.base_url, "--attempts", "1", "--fallback", f"openai/other@{two.base_url}"),
            *("--receipts", "receipts.jsonl"),
        )
    assert done.returncode == 1
    assert f"fell back, {QUERIES} queries: to the first stage's order" in done.stderr
    assert len(two.asked) <= QUERIES, "the refused key is not tried for every window"
    for receipt in shell.records("receipts.jsonl"):
        assert (receipt["route"], receipt["fallback"], receipt["ordered_by"]) == ("llm", "first_stage", {})


def test_a_plan_of_a_chain_needs_no_key_and_its_high_figure_covers_all_of_it(shell: Shell) -> None:
    collection = ("--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec", "--local", "none")
    alone = ("plan", *collection, "--llm", "openai/gpt-4o", "--escalate", "always", "--json", *PRICES)
    chain = (*alone, "--fallback", "anthropic/claude-haiku-4-5")
    spans = [json.loads(shell.run(*command).stdout)["strategies"][0]["usd"] for command in (alone, chain)]
    assert spans[1]["expected"] == spans[0]["expected"]
    assert spans[1]["high"] > spans[0]["high"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fallback", "openai/gpt-4o"), "no llm that it stands in for"),
        (("--llm", "openai/gpt-4o", "--fallback", "gpt-4o-mini"), "did you mean openai/gpt-4o-mini"),
        (
            ("--llm", "openai/gpt-4o", "--fallback", "openai/nobody", "--budget", "1"),
            "no price is known for openai/nobody",
        ),
        (("--policy", "policy.toml"), "there is no setting 'fallback.0.time_s'; did you mean"),
    ],
)
def test_a_chain_that_cannot_be_is_refused_before_anything_is_asked(
    shell: Shell, options: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    (shell.folder / "policy.toml").write_text(
        'llm = "openai/gpt-4o"\n[[fallback]]\nllm = "openai/gpt-4o-mini"\ntime_s = 3\n'
    )
    done = shell.run("rerank", "--query", "q", "--passages", "-", *options, stdin="a\nb\n")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
