"""Policies that clients may choose, within what the operator allows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise import ConfigError, Policy
from listwise.adapters.offered import offered_beside

LLM: dict[str, Any] = {"llm": "openai/gpt-4o", "base_url": "http://127.0.0.1:1/v1", "escalate": "always"}


def offered(*names: str, policy: str | None = None, **settings: Any) -> dict[str, Policy]:
    return offered_beside(Policy.of(policy, **settings), settings, names)


def test_what_a_policy_decides_is_its_own_and_the_llm_is_the_operators() -> None:
    found = offered("offline", "frugal", **LLM, strategy="full", concurrency=3)
    assert (found["offline"].escalate, found["frugal"].escalate) == ("never", 0.3)
    assert found["frugal"].strategy == "single"
    assert {each.llm for each in found.values()} == {"openai/gpt-4o"}
    assert {each.concurrency for each in found.values()} == {3}


def test_a_policy_that_names_an_llm_keeps_it_and_gets_no_other_ones_address(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('llm = "anthropic/claude-haiku-4-5"\nescalate = "always"\n')
    (policy,) = offered(str(mine), **LLM).values()
    assert (policy.llm, policy.base_url) == ("anthropic/claude-haiku-4-5", None)


@pytest.mark.parametrize(("operators", "holds"), [("0.005", "0.005"), ("0.5", "0.01"), (None, "0.01")])
def test_the_lower_limit_holds(operators: str | None, holds: str) -> None:
    limit = {} if operators is None else {"budget_usd": operators}
    assert offered("frugal", **LLM, **limit)["frugal"].budget_usd == Decimal(holds)


def test_a_limit_holds_for_policies_without_one() -> None:
    found = offered("offline", **LLM, budget_usd="0.02", max_calls=4)["offline"]
    assert (found.budget_usd, found.max_calls) == (Decimal("0.02"), 4)


def test_all_spend_from_one_purse(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.toml", tmp_path / "theirs.toml"
    mine.write_text('account = "agents"\nbudget_day_usd = 5\n')
    theirs.write_text('account = "rich"\nledger = "elsewhere.db"\nbudget_day_usd = 500\n')
    found = offered(str(theirs), policy=str(mine), ledger="here.db")["theirs"]
    assert (found.account, found.ledger, found.budget_day_usd) == ("agents", "here.db", Decimal(5))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["offline", "offline"], "offline: a policy 'offline' is offered already"),
        (["default"], "default: a policy 'default' is offered already"),
        (["no-such"], "no-such"),
        (["frugal"], "there is no llm to escalate to"),
    ],
)
def test_what_cannot_be_offered(names: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        offered(*names)
