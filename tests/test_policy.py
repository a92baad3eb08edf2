from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise.errors import ConfigError
from listwise.policy import Policy
from listwise.resources import names


@pytest.mark.parametrize("name", ["balanced", "best", "frugal", "offline"])
def test_every_shipped_policy_is_sound(name: str) -> None:
    assert f"{name}.toml" in names("routing")
    policy = Policy.of(name, llm="openai/gpt-4o")
    assert policy.llm == "openai/gpt-4o"
    assert policy != Policy(llm="openai/gpt-4o")


def test_settings_go_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('llm = "openai/gpt-4o"\ndepth = 50\nbudget_usd = "0.02"\n')
    policy = Policy.of(file, depth=30)
    assert (policy.depth, policy.budget.usd) == (30, Decimal("0.02"))
    assert Policy.of(policy, depth=20).llm == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"windw": 3}, "did you mean 'window'"),
        ({"escalate": "sometimes"}, "escalate.*sometimes"),
        ({"escalate": "1.5", "llm": "openai/x"}, "escalate.*1.5"),
        ({"escalate": "always"}, "no llm"),
        ({"escalate": 0.3}, "no llm"),
        ({"window": 10, "stride": 10}, "stride"),
        ({"depth": 0}, "depth"),
        ({"budget_usd": "-1"}, "budget_usd"),
        ({"budget_usd": "much"}, "budget_usd"),
        ({"budget_usd": "1e500000"}, "budget_usd.*1000000000"),
        ({"budget_total_usd": "1000000000.1"}, "budget_total_usd.*1000000000"),
        ({"budget_day_usd": "1e30"}, "budget_day_usd.*1000000000"),
        ({"budget_account_usd": "1e30"}, "budget_account_usd.*1000000000"),
        ({"margin": 0.2, "point_usd": "1"}, "margin and point_usd each say which queries are escalated"),
        ({"point_usd": "1", "max_loss": 0.1}, "point_usd and max_loss each"),
        ({"max_loss": 0.1, "pace": True}, "max_loss and pace each"),
        ({"margin": 0.2, "escalate": 0.3, "llm": "openai/x"}, "margin is for escalate = auto, and escalate is 0.3"),
        ({"pace": True, "budget_day_usd": 1, "escalate": "never"}, "pace is for escalate = auto"),
        ({"pace": True}, "pace spreads the budget for a day, and there is none: set budget_day_usd"),
        ({"pace": True, "budget_day_usd": 1, "ledger": "off"}, "needs a ledger, and ledger is off"),
        ({"explore": 0.1, "escalate": "never"}, "explore is for queries that may go either way"),
        (
            {"explore": 0.1, "escalate": "always", "llm": "openai/x"},
            "explore is for queries that may go either way",
        ),
        ({"max_loss": 0.0}, "max_loss"),
        ({"confidence": 1.0}, "confidence"),
        ({"explore": 1.5}, "explore"),
        ({"margin": "nan"}, "margin"),
    ],
)
def test_what_cannot_be_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Policy.of(**settings)


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    with pytest.raises(ConfigError, match="balanced, best, frugal, offline"):
        Policy.of(tmp_path / "nowhere.toml")
    file.write_text("depth = ")
    with pytest.raises(ConfigError, match=r"mine\.toml: not a TOML file"):
        Policy.of(file)
    file.write_text("depht = 3")
    with pytest.raises(ConfigError, match=r"mine\.toml: .*did you mean 'depth'"):
        Policy.of(file)
    with pytest.raises(ConfigError, match=r"^depth: "):
        Policy.of("balanced", depth=-1)


def test_a_share_may_come_as_text() -> None:
    assert Policy.of(escalate="0.3", llm="openai/x").escalate == 0.3
