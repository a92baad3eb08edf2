"""``listwise prices`` and ``--price``, as a user meets them."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Shell, last_first
from tests.loopback import ScriptedServer


def test_prices_say_who_says_so_and_since_when(shell: Shell) -> None:
    done = shell.run(
        "prices", "openai/gpt-4o", "vllm/x", "--price", "vllm/x=input:0.5,output:2,as_of:2020-01-01", "--json"
    )
    assert done.returncode == 0, done.stderr
    table, stated = map(json.loads, done.stdout.splitlines())
    assert "2.5/input MTok" in table["rates"]
    assert table["source"].startswith("genai-prices")
    assert (stated["rates"], stated["old"]) == ("$0.5/input MTok, $2/output MTok", True)


def test_old_prices_are_marked(shell: Shell) -> None:
    done = shell.run("prices", "vllm/x", "--price", "vllm/x=input:0.5,output:2,as_of:2020-01-01")
    assert "as of 2020-01-01" in done.stdout
    assert "OLD" in done.stdout


def test_an_unknown_model_is_exit_2_with_a_close_name(shell: Shell) -> None:
    done = shell.run("prices", "openai/gpt-4oo")
    assert done.returncode == 2
    assert "did you mean 'openai/gpt-4o'" in done.stderr
    assert "--price" in done.stderr


def test_prices_show_what_the_flex_tier_and_batches_cost(shell: Shell) -> None:
    done = shell.run("prices", "openai/gpt-5", "anthropic/claude-sonnet-4-5", "openai/gpt-4o", "--json")
    gpt_5, sonnet, gpt_4o = (json.loads(line)["tiers"] for line in done.stdout.splitlines())
    assert "0.625/input MTok" in gpt_5["flex"]
    assert "1.5/input MTok" in sonnet["batch"]
    assert [list(tiers) for tiers in (gpt_5, sonnet, gpt_4o)] == [["flex", "batch"], ["batch"], ["batch"]]
    assert "  flex: $0.625/input MTok" in shell.run("prices", "openai/gpt-5").stdout


def test_a_rerank_api_is_priced_by_the_search_unit(shell: Shell) -> None:
    unknown = shell.run("prices", "cohere/rerank-v9")
    assert unknown.returncode == 2
    assert '--price "cohere/rerank-v9=search_unit:USD"' in unknown.stderr
    assert "$0.0025/search unit" in shell.run("prices", "cohere/rerank-v4.0-pro").stdout
    assert shell.run("prices", "cohere/rerank-v4.0-pro", "--base-url", "http://mine/v2").returncode == 2
    stated = shell.run("prices", "cohere/rerank-v3.5", "--price", "cohere/rerank-v3.5=search_unit:0.002")
    assert "$0.002/search unit" in stated.stdout


@pytest.mark.parametrize("command", ["rerank", "plan"])
def test_the_flex_tier_is_openais(shell: Shell, command: str) -> None:
    words = shell.rerank("http://127.0.0.1:9", "--llm", "anthropic/claude-haiku-4-5", "--service-tier", "flex")
    given = [word for word in words[1:] if word not in ("--out", "out.trec")] if command == "plan" else words[1:]
    done = shell.run(command, *given)
    assert done.returncode == 2
    assert "the service tier 'flex' is OpenAI's" in done.stderr


def test_a_stated_price_lets_a_budget_hold(shell: Shell) -> None:
    with ScriptedServer(last_first) as server:
        done = shell.run(
            *shell.rerank(
                server.base_url, "--price", "openai/gpt-4o=2.5,10", "--budget", "0.004", "--receipts", "r.jsonl"
            )
        )
    assert done.returncode == 0, done.stderr
    assert all(0 < float(str(receipt["usd"])) <= 0.004 for receipt in shell.records("r.jsonl"))


def test_an_old_price_is_said_at_each_run(shell: Shell) -> None:
    with ScriptedServer(last_first) as server:
        done = shell.run(
            *shell.rerank(server.base_url, "--price", "openai/gpt-4o=input:2.5,output:10,as_of:2020-01-01")
        )
    assert "prices are old" in done.stderr


def test_an_hours_price_becomes_a_tokens_by_what_was_seen(shell: Shell) -> None:
    measuring = ("prices", "openai/gpt-4o", "--gpu-hour", "3.6")
    nothing = shell.run(*measuring)
    assert nothing.returncode == 2
    assert "nothing was spent" in nothing.stderr
    with ScriptedServer(last_first, delay_s=0.02) as server:
        command = shell.rerank(server.base_url, "--run-id")
        assert shell.run(*command, "r").returncode == 0
        table = shell.run(*measuring, "--run", "r")
        (shell.folder / "prices.toml").write_text(table.stdout)
        again = ("--cache", "off", "--prices", "prices.toml", "--budget", "1", "--receipts", "r.jsonl")
        assert shell.run(*command, "priced", *again).returncode == 0
    measured = json.loads(shell.run(*measuring, "--run", "r", "--json").stdout)
    assert measured["answers"] == len(server.asked) // 2
    usd = sum(float(str(receipt["usd"])) for receipt in shell.records("r.jsonl"))
    assert usd == pytest.approx(measured["busy_s"] * 3.6 / 3600, rel=0.01)
    other = shell.run(*measuring, "--run", "nowhere")
    assert other.returncode == 2
    assert "answered nothing yet in run 'nowhere'" in other.stderr
