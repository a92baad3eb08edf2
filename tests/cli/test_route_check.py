"""``listwise route check``, over a ledger that holds a log."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from listwise.cli.route_check import check
from listwise.errors import ConfigError
from listwise.routing.gain import Signal
from listwise.spend.ledger import Entry
from listwise.spend.sqlite import SqliteLedger
from tests.routing.gains import gain_model, line
from tests.routing.test_drift import fitted, log_of

WHEN = 1_700_000_000.0
"""2023-11-14."""


KNOWN = fitted(1)
ROUTER = gain_model(
    line(20, 0.1),
    signals={name: Signal(mean=0, spread=1, reference=each) for name, each in KNOWN.references.items()},
    gain_error=KNOWN.gain_error,
    gain_per_disagreement=KNOWN.gain_per_disagreement,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def router(tmp_path: Path) -> Path:
    path = tmp_path / "router.json"
    ROUTER.write(path)
    return path


def fill(path: Path, count: int, *, moved_by: float = 0.0, account: str = "a", router: str = ROUTER.name) -> None:
    with closing(SqliteLedger(path, clock=lambda: WHEN)) as ledger:
        for each in log_of(count, 1, moved_by):
            ledger.routed(Entry(run="r", account=account, qid=each.qid), replace(each.note, router=router))


def run(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and what was printed."""
    done = CliRunner().invoke(check, list(map(str, arguments)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.stdout


def test_nothing_has_changed(router: Path, path: Path) -> None:
    fill(path, 2000)
    code, said = run("--router", router, "--ledger", path)
    first, *rest = said.splitlines()
    assert (code, first) == (0, "nothing has changed")
    assert any(line.startswith("  margin: within chance (median ") for line in rest)
    gain, cost, tried = rest[-3:]
    assert "676 of 2000 queries have a label; of those escalated +0.00" in gain
    assert cost.startswith("realised cost: 1.00 times the predicted (0.99 to 1.00), ")
    assert tried == "exploration: 25 of 2000 queries, $0.0261; expected $0.000013 a query"


def test_a_refit_is_called_for_with_exit_code_1(router: Path, path: Path) -> None:
    fill(path, 200, moved_by=1.0)
    code, said = run("--router", router, "--ledger", path)
    assert code == 1
    assert said.startswith("refit: margin has moved: higher (median ")
    assert "too few queries to judge gains and costs (200, need about 2000)" in said


def test_too_few_queries_are_said_to_be(router: Path, path: Path) -> None:
    fill(path, 60, moved_by=5.0)
    assert run("--router", router, "--ledger", path)[1].startswith("too few queries to tell (60, need about 200)")
    code, said = run("--router", router, "--ledger", path, "--window", "60")
    assert (code, said.partition(":")[0]) == (1, "refit")


def test_only_what_was_asked_for_counts(router: Path, path: Path) -> None:
    fill(path, 200)
    fill(path, 200, moved_by=3.0, account="b")
    fill(path, 200, moved_by=3.0, router="v0")
    assert run("--router", router, "--ledger", path, "--account", "a")[0] == 0
    assert run("--router", router, "--ledger", path, "--account", "b")[0] == 1
    assert run("--router", router, "--ledger", path, "--run", "other")[1].startswith("too few queries to tell (0,")
    for span, queries in (
        (("--since", "2023-11-14", "--until", "2023-11-14"), 400),
        (("--since", "2023-11-15"), 0),
        (("--until", "2023-11-13"), 0),
        (("--until", "9999-12-31"), 400),
    ):
        assert json.loads(run("--router", router, "--ledger", path, "--json", *span)[1])["queries"] == queries


def test_all_figures_for_programs(router: Path, path: Path) -> None:
    fill(path, 200, moved_by=1.0)
    code, said = run("--router", router, "--ledger", path, "--json")
    data = json.loads(said)
    assert (code, data["status"], data["moved"]) == (1, "refit", ["margin"])
    assert data["exploration"]["queries"] == 200


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"drift": {}}', '{"drift": {"references": {"a": 1}}}'])
def test_what_is_no_router_is_refused(tmp_path: Path, path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"x\.json: no fitted router: "):
        run("--router", file, "--ledger", path)
    with pytest.raises(ConfigError, match=r"no router '.*none\.json': neither a file nor one of default"):
        run("--router", tmp_path / "none.json", "--ledger", path)
