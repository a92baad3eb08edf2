"""``listwise route simulate``, over made-up cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click import BadParameter

from listwise.errors import ConfigError
from listwise.routing.cases import write_cases
from tests.cli.test_route_curve import run
from tests.eval.test_routing import at_cost, case, drawn, router, three
from tests.routing.gains import gain_model, line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cases, sixty, and a router."""
    write_cases(tmp_path / "three.jsonl", three())
    write_cases(tmp_path / "many.jsonl", drawn(60))
    router().write(tmp_path / "router.json")
    return tmp_path


def rows(folder: Path, *arguments: str, cases: str = "three.jsonl") -> dict[str, dict[str, Any]]:
    (told,) = json.loads(run(folder, "simulate", "--json", "--cases", folder / cases, *arguments))
    return {each["policy"]: each for each in told["policies"]}


def test_bills_are_not_known_beforehand(folder: Path) -> None:
    """A policy that knew the bills would take the query whose bill is smallest."""
    cases = [at_cost("a", 1.0, 0.3, 9_000_000), at_cost("b", 0.9, 0.2, 1_000_000)]
    write_cases(folder / "bills.jsonl", cases)
    told = rows(folder, "--escalate", "0.5", cases="bills.jsonl")
    assert told["--escalate 0.5"]["nano_usd"] == 9_000_000
    capped = rows(folder, "--budget-total", "0.006", cases="bills.jsonl")["--budget-total 0.006"]
    assert (capped["nano_usd"], capped["escalated"]) == (0, 0), "foreseen at 0.005, billed at 0.009"


def test_a_table(folder: Path) -> None:
    text = run(folder, "simulate", "--cases", folder / "three.jsonl", "--escalate", "0.3")
    names = [line[:20].strip() for line in text.splitlines()]
    assert names[2:] == ["never", "always", "--escalate 0.3", "blindly, same money", "oracle, same money"]


def test_a_share_by_hand(folder: Path) -> None:
    """Of the best offers, 0.2 for 4 million on a, 0.1 on b and 0 on c, a's is taken."""
    told = rows(folder, "--escalate", "0.34")
    ours = told["--escalate 0.34"]
    assert (ours["escalated"], ours["nano_usd"]) == (pytest.approx(1 / 3), 4_000_000)
    assert ours["ndcg"] == pytest.approx(0.6)
    assert ours["over_never"]["mean"] == pytest.approx(0.1)
    assert ours["over_always"]["mean"] == pytest.approx(0.1)
    assert told["oracle, same money"]["ndcg"] == pytest.approx(0.6)
    assert told["never"]["ndcg"] == pytest.approx(0.5)
    assert told["never"]["nano_usd"] == 0
    assert told["always"]["ndcg"] == pytest.approx(0.5)
    assert told["always"]["nano_usd"] == 12_000_000


def test_a_price_by_hand(folder: Path) -> None:
    """At $0.00015 a point, a's offers are worth 1.5 and 3 million and cost 1 and 4; b's are worth 0.75 and 1.5."""
    ours = rows(folder, "--point", "0.00015")["--point 0.00015"]
    assert (ours["escalated"], ours["nano_usd"]) == (pytest.approx(1 / 3), 1_000_000)
    assert ours["ndcg"] == pytest.approx(0.5 + 0.1 / 3)


def test_a_budget_holds(folder: Path) -> None:
    for usd in ("0", "0.003", "0.01", "1"):
        told = rows(folder, "--budget-total", usd, cases="many.jsonl")
        ours, best = told[f"--budget-total {usd}"], told["oracle, same money"]
        assert ours["nano_usd"] <= float(usd) * 1e9
        assert best["nano_usd"] <= ours["nano_usd"]
        assert best["ndcg"] >= ours["ndcg"] - 0.002


def test_a_loss_that_cannot_be_promised_escalates_all(folder: Path) -> None:
    """By 40 cases nothing can be promised within 0.01."""
    told = rows(folder, "--max-loss", "0.01", cases="many.jsonl")
    assert told["--max-loss 0.01"]["escalated"] == 1


def test_a_loss_that_can_be_promised(folder: Path) -> None:
    ours = rows(folder, "--max-loss", "0.1", cases="many.jsonl")["--max-loss 0.1"]
    assert 0 < ours["escalated"] < 1


def test_by_default_as_rerank_does(folder: Path) -> None:
    """Three in ten of the router's own queries are expected to gain 0.28; a 0.3, c nothing."""
    write_cases(folder / "two.jsonl", [case("a", 2.0, (0.1, 0.3)), case("c", -1.0, (0.1, 0.1))])
    assert rows(folder, cases="two.jsonl")["auto"]["escalated"] == 0.5


def test_a_router_that_tells_nothing_is_refused_as_rerank_does(folder: Path) -> None:
    gain_model(line(20, 0.1, held_out=[(0.1, 0.2)] * 20)).write(folder / "router.json")
    with pytest.raises(ConfigError, match=r"the router .*router\.json tells no query from another"):
        rows(folder)


def test_cases_without_dollars(folder: Path) -> None:
    write_cases(folder / "free.jsonl", [case("a", 1.0, (0.1, 0.3), free=True), case("b", 0.0, (0, 0), free=True)])
    assert "oracle, same share" in rows(folder, "--escalate", "0.5", cases="free.jsonl")
    for option in ("--point", "--budget-total"):
        with pytest.raises(ConfigError, match="the cases name none"):
            rows(folder, option, "1", cases="free.jsonl")


def test_one_goal_at_a_time(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--escalate and --point each say"):
        rows(folder, "--escalate", "0.3", "--point", "1")


@pytest.mark.parametrize("amount", ["-1", "much", "nan", "1e12"])
def test_amounts_that_are_none(folder: Path, amount: str) -> None:
    with pytest.raises(BadParameter):
        rows(folder, "--point", amount)
