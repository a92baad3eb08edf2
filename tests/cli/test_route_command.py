"""``listwise route``: a router shown, asked why, and fitted, over a tiny collection."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from listwise.cli import main
from listwise.cli.route_command import SUBCOMMANDS
from listwise.routing.cases import Case, Outcome, read_cases, write_cases
from listwise.routing.gain import GainModel
from listwise.routing.offers import Option
from listwise.spend.history import History

QUERIES, CANDIDATES = 24, 30
INPUT = ("--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec", "--local", "none")
JUDGED = (*INPUT, "--qrels", "qrels.txt", "--depths", "10,30", "--out", "router.json")
SIM = ("--llm", "sim/strong,qrels=qrels.txt")
PRICED = ("--llm", "openai/gpt-4o")

Listwise = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Queries whose candidates have grades from 0 to 3 in no order."""
    rng = Random(0)
    qids = [f"q{at}" for at in range(QUERIES)]
    pairs = [(qid, f"{qid}d{at}", at) for qid in qids for at in range(CANDIDATES)]
    (tmp_path / "queries.tsv").write_text("".join(f"{qid}\twhat is {qid}\n" for qid in qids))
    corpus = (json.dumps({"id": docid, "text": f"text of {docid}"}) for _, docid, _ in pairs)
    (tmp_path / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    scores = {qid: sorted((rng.random() for _ in range(CANDIDATES)), reverse=True) for qid in qids}
    run = (f"{qid} Q0 {docid} {at + 1} {scores[qid][at]} first\n" for qid, docid, at in pairs)
    (tmp_path / "run.trec").write_text("".join(run))
    (tmp_path / "qrels.txt").write_text("".join(f"{qid} 0 {docid} {rng.randrange(4)}\n" for qid, docid, _ in pairs))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def listwise(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Listwise:
    """Runs the command line; exit code and what was printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["listwise", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return run


def test_help_names_all_subcommands(listwise: Listwise) -> None:
    code, out, _ = listwise("route", "--help")
    assert code == 0
    for name, said in SUBCOMMANDS.items():
        assert f"  {name} " in out
        assert said.split()[0] in out
    assert listwise("route", "nothing")[0] == 2


def test_the_shipped_router_says_what_it_knows_and_how_well(listwise: Listwise) -> None:
    code, out, _ = listwise("route", "show")
    model = GainModel.read("default")
    assert code == 0
    assert out.startswith(f"router {model.name}: gains of {model.llm}\nfitted on {model.fitted_on}")
    assert f"{model.skill.queries} queries) predicted and realised gains correlate by" in out
    assert f"depth {model.options[0].depth}: gains {model.options[0].mean * 100:.1f} points in the mean" in out
    name, weight = model.leaning()[0]
    assert f"\n  {'+' if weight > 0 else '-'} {name}: " in out


def test_a_router_is_shown_as_the_file_that_it_is(listwise: Listwise, folder: Path) -> None:
    code, out, _ = listwise("route", "show", "--json")
    (folder / "copy.json").write_text(out)
    assert code == 0
    assert GainModel.read(folder / "copy.json") == GainModel.read("default")
    assert listwise("route", "show", "copy.json")[1] == listwise("route", "show")[1]


def test_what_is_no_router_is_refused(listwise: Listwise, folder: Path) -> None:
    code, out, err = listwise("route", "show", "mine")
    assert (code, out) == (2, "")
    assert "no router 'mine'" in err
    (folder / "broken.json").write_text("{}")
    code, _, err = listwise("route", "show", "broken.json")
    assert code == 2
    assert "broken.json: no fitted router: fitted_on: Field required" in err


def test_why_a_query_goes_where_it_goes(listwise: Listwise) -> None:
    code, out, _ = listwise("route", "explain", "q3", *INPUT, *PRICED, "--point", "0.01")
    assert code == 0
    first, second, *rest = out.splitlines()
    assert first == "query q3: what is q3"
    assert second.startswith("goes to the LLM: reading ")
    assert second.endswith(": worth it at $0.01 a point")
    assert any(line.startswith("  margin ") and "(usually " in line for line in rest)
    offered = [line for line in rest if line.startswith("  reading ")]
    assert [line.split()[1] for line in offered] == ["20", "30"]
    assert sum(line.endswith("  <- taken") for line in offered) == 1
    assert all(" points for $" in line for line in offered)
    stays = listwise("route", "explain", "q3", *INPUT, *PRICED, "--point", "0")[1]
    assert "goes to no LLM (first_stage): " in stays
    assert "not worth it at $0 a point" in stays
    assert "<- taken" not in stays


def test_reasons_for_programs(listwise: Listwise) -> None:
    code, out, _ = listwise("route", "explain", "q3", *INPUT, *PRICED, "--point", "0.01", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["qid"], found["route"], found["why"]) == ("q3", "llm", "gain")
    assert found["router"] == GainModel.read("default").name
    assert found["signals"]["candidates"] == CANDIDATES
    assert [offer["depth"] for offer in found["offers"]] == [20, 30]
    assert sum(offer["taken"] for offer in found["offers"]) == 1
    assert all(offer["nano_usd"] > 0 for offer in found["offers"])


def test_a_share_is_explained_among_all_queries(listwise: Listwise) -> None:
    routes = []
    for at in range(QUERIES):
        _, out, _ = listwise("route", "explain", f"q{at}", *INPUT, *PRICED, "--escalate", "0.25", "--json")
        found = json.loads(out)
        assert f"among the 6 of {QUERIES} queries where a dollar gains most" in found["reason"]
        routes.append(found["route"])
    assert routes.count("llm") == 6


def test_without_an_llm_there_is_nothing_to_expect(listwise: Listwise) -> None:
    code, out, _ = listwise("route", "explain", "q3", *INPUT)
    assert code == 0
    assert "goes to no LLM (first_stage): no LLM is configured" in out
    assert "margin" in out
    assert "expected to gain" not in out


def test_a_query_that_is_not_there_is_refused(listwise: Listwise) -> None:
    code, _, err = listwise("route", "explain", "q99", *INPUT, *PRICED)
    assert code == 2
    assert "q99" in err
    assert listwise("route", "explain", "q1", *PRICED)[0] == 2


def test_a_router_is_fitted_to_judged_queries(listwise: Listwise, folder: Path) -> None:
    code, out, err = listwise("route", "fit", *JUDGED, *SIM, "--keep-cases", "cases.jsonl", "--note", "tiny")
    assert code == 0
    assert f"simulation, {2 * QUERIES} rankings: no LLM was asked" in err
    model = GainModel.read(folder / "router.json")
    fitted_on = f"fitted on {folder.name}, by scores of the first stage\n"
    assert out.startswith(f"router {model.name}: gains of sim/strong\n{fitted_on}")
    assert out.endswith("written to router.json: use it with --router router.json\n")
    assert (model.note, model.skill.queries) == ("tiny", QUERIES)
    assert [line.option for line in model.options] == [Option("llm", 10), Option("llm", 30)]
    kept = read_cases(folder / "cases.jsonl")
    assert [case.qid for case in kept] == [f"q{at}" for at in range(QUERIES)]
    assert all(0 < case.local < outcome.ndcg <= 1 for case in kept for outcome in case.outcomes[1:])
    assert all(outcome.nano_usd > 0 for case in kept for outcome in case.outcomes)
    assert {"margin", "words", "tokens"} <= set(kept[0].signals)
    outcomes = [(case.gain(each), each.disagreement) for case in kept for each in case.outcomes]
    worth = sum(gain for gain, _ in outcomes) / sum(differs or 0 for _, differs in outcomes)
    assert model.gain_per_disagreement == pytest.approx(worth, rel=1e-4)
    own = ("--router", "router.json", "--point", "1", "--json")
    explained = listwise("route", "explain", "q3", *INPUT, *PRICED, *own)[1]
    assert json.loads(explained)["router"] == model.name
    again = listwise("route", "fit", "--cases", "cases.jsonl", "--out", "again.json")
    assert again[0] == 0
    means = [line.mean for line in GainModel.read(folder / "again.json").options]
    assert means == pytest.approx([line.mean for line in model.options], abs=1e-5)


def test_what_the_policy_aims_for_is_left_aside_while_gains_are_learnt(listwise: Listwise, folder: Path) -> None:
    books = ("--budget-day", "5", "--ledger", "ledger.db")
    for aim in (
        ("--point", "0.00001", "--explore", "0.1"),
        ("--max-loss", "0.01"),
        ("--pace",),
        ("--margin", "0.1"),
    ):
        code, _, err = listwise("route", "fit", *JUDGED, *SIM, *books, *aim)
        assert code == 0, err
        assert f"{2 * QUERIES} rankings in" in err


def test_votes_are_options_too(listwise: Listwise, folder: Path) -> None:
    assert listwise("route", "fit", *JUDGED, *SIM, "--each-votes", "1,2")[0] == 0
    options = [line.option for line in GainModel.read(folder / "router.json").options]
    assert options == [Option("llm", depth, votes) for depth in (10, 30) for votes in (1, 2)]


def test_a_run_made_elsewhere_is_taken_for_an_opinion(listwise: Listwise, folder: Path) -> None:
    """That of a perfect LLM: reading all 30 puts the best to the top."""
    grades = [line.split() for line in (folder / "qrels.txt").read_text().splitlines()]
    by_query = {qid: [(int(grade), docid) for q, _, docid, grade in grades if q == qid] for qid, *_ in grades}
    ideal = "".join(
        f"{qid} Q0 {docid} {place} {-place} best\n"
        for qid, found in by_query.items()
        for place, (_, docid) in enumerate(sorted(found, reverse=True), 1)
    )
    (folder / "best.trec").write_text(ideal)
    (folder / "same.trec").write_text((folder / "run.trec").read_text())
    ranked = ("--ranked", "perfect=best.trec", "--ranked", "same.trec", "--keep-cases", "cases.jsonl")
    code, out, _ = listwise("route", "fit", *JUDGED, *ranked)
    assert code == 0
    assert "gains of perfect, same" in out
    cases = {(case.llm, case.qid): case for case in read_cases(folder / "cases.jsonl")}
    assert len(cases) == 2 * QUERIES
    for (llm, _), case in cases.items():
        shallow, deep = case.outcomes
        if llm == "perfect":
            assert deep.ndcg == pytest.approx(1)
            assert case.local < shallow.ndcg < 1
        else:
            assert [case.gain(each) for each in case.outcomes] == pytest.approx([0, 0])
    assert GainModel.read(folder / "router.json").skill.queries == QUERIES


def test_a_router_is_fitted_to_the_log_without_judgements(listwise: Listwise, folder: Path) -> None:
    books = ("--ledger", "ledger.db", "--account", "team")
    ran = listwise("rerank", *INPUT, *SIM, "--escalate", "always", "--out", "out.trec", *books)
    assert ran[0] == 0
    fit = ("route", "fit", "--from-log", *books, "--keep-cases", "cases.jsonl")
    code, out, err = listwise(*fit, "--slope", "0.5", "--out", "router.json")
    assert code == 0, err
    assert "fitted on the log of routes" in out
    model = GainModel.read(folder / "router.json")
    assert model.fitted.gain_per_disagreement == 0.5
    assert (model.skill.queries, [line.option for line in model.options]) == (QUERIES, [Option("llm", CANDIDATES)])
    assert 0 < model.options[0].mean < 0.5
    first = read_cases(folder / "cases.jsonl")
    assert listwise(*fit, "--slope", "0.25", "--out", "half.json")[0] == 0
    halved = [case.gain(case.outcomes[0]) for case in read_cases(folder / "cases.jsonl")]
    assert halved == pytest.approx([case.gain(case.outcomes[0]) / 2 for case in first], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "router.json"), "nothing to fit to"),
        ((*INPUT, *SIM, "--out", "router.json"), "no --qrels"),
        (JUDGED, "give --llm, to be asked, or --ranked"),
        ((*JUDGED, *SIM, "--depths", "deep"), "--depths: 'deep' is no list of numbers"),
        ((*JUDGED, *SIM, "--depths", "1,20"), "--depths: 1 is less than 2"),
        ((*JUDGED, *SIM, "--each-votes", "0"), "--each-votes: 0 is less than 1"),
        ((*JUDGED, "--ranked", "run.trec", "--each-votes", "3"), "a run is one opinion"),
        ((*JUDGED, "--ranked", "x=none.trec"), "none.trec"),
        ((*JUDGED, *SIM, "--qrels", "other.txt"), "other.txt: none of the queries is judged"),
        ((*JUDGED, "--ranked", "x=other.trec"), "x ranked none of the judged queries"),
        ((*JUDGED, *SIM, "--cases", "deep.jsonl"), "query 'q0', which has depth 100, votes 1"),
        ((*JUDGED, *SIM, "--keep-cases", "router.json"), "two outputs go to the same file"),
        (("--cases", "none.jsonl", "--out", "router.json"), "none.jsonl: cannot be read"),
        (("--cases", "bad.jsonl", "--out", "router.json"), "bad.jsonl:1: not a routing case"),
        (("--from-log", "--ledger", "none.db", "--out", "router.json"), "none.db"),
        (("--from-log", "--slope", "7", "--out", "router.json"), "--slope"),
        (("--cases", "bad.jsonl"), "--out"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    listwise: Listwise, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    (folder / "bad.jsonl").write_text("{}\n")
    (folder / "other.txt").write_text("elsewhere 0 d1 1\n")
    (folder / "other.trec").write_text("elsewhere Q0 d1 1 1 other\n")
    write_cases(folder / "deep.jsonl", [Case("q0", {}, 0.5, (Outcome(Option("llm", 100), 0.75),))])
    code, _, err = listwise("route", "fit", *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not (folder / "router.json").exists()


def test_a_log_of_nobody_elses_is_read(listwise: Listwise) -> None:
    assert (
        listwise("rerank", *INPUT, *SIM, "--escalate", "always", "--out", "o.trec", "--ledger", "ledger.db")[0] == 0
    )
    log = ("route", "fit", "--from-log", "--ledger", "ledger.db", "--out", "router.json")
    code, _, err = listwise(*log, "--account", "others")
    assert code == 2
    assert "no query of account 'others' in the log was ranked by an LLM" in err
    assert listwise(*log, "--since", "2999-01-01")[0] == 2
    assert listwise(*log, "--since", "2024-01-01")[0] == 0


@pytest.mark.parametrize(
    ("place", "said"),
    [("nowhere/router.json", "there is no folder"), (".", "it is a folder"), ("locked/router.json", "may not be")],
)
def test_a_place_that_cannot_be_written_is_named_before_anything_is_asked(
    listwise: Listwise, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, said: str
) -> None:
    (folder / "locked").mkdir()
    may = os.access  # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked" and may(path, mode))
    for option in (("--out", place), ("--keep-cases", place)):
        code, _, err = listwise("route", "fit", *JUDGED, *SIM, *option)
        assert code == 2
        assert said in err
        assert "rankings" not in err


def test_what_cannot_be_asked_is_refused_before_anything_is(listwise: Listwise, folder: Path) -> None:
    asked = (*JUDGED, *SIM, "--ledger", "ledger.db", "--strategy", "pointwise")
    code, _, err = listwise("route", "fit", *asked, "--each-votes", "1,3")
    assert code == 2
    assert "votes is 3, but pointwise shows a passage alone" in err
    assert not (folder / "ledger.db").exists()
    assert listwise("route", "fit", *asked)[0] == 0
    assert (folder / "ledger.db").exists()


def test_all_depths_have_one_budget(listwise: Listwise, folder: Path) -> None:
    """Reading 10 takes a window of 10, reading 30 some of 20."""
    asked = ("route", "fit", *JUDGED, *SIM, "--ledger", "ledger.db", "--keep-cases", "cases.jsonl")
    assert listwise(*asked, "--account", "all")[0] == 0
    spent = History(folder / "ledger.db").report("account")[0].usd
    budget = spent * 3 / 4
    code, _, err = listwise(*asked, "--account", "some", "--budget-total", f"{budget:f}")
    assert code == 0, err
    by_account = {line.name: line.usd for line in History(folder / "ledger.db").report("account")}
    assert by_account["all"] == spent
    assert spent / 2 < by_account["some"] <= budget
    [kept] = re.findall(r"left out, (\d+) queries: the LLM did not rank them at every depth", err)
    assert len(read_cases(folder / "cases.jsonl")) == QUERIES - int(kept)


def test_answers_from_the_cache_cost_what_they_did(listwise: Listwise, folder: Path) -> None:
    asked = ("route", "fit", *JUDGED, *SIM, "--cache", "cache", "--keep-cases", "cases.jsonl")
    assert listwise(*asked)[0] == 0
    paid = read_cases(folder / "cases.jsonl")
    code, _, err = listwise(*asked)
    assert code == 0
    assert "$0.0000" in err
    assert read_cases(folder / "cases.jsonl") == paid


def test_what_no_llm_ranked_is_nothing_to_fit_to(listwise: Listwise, folder: Path) -> None:
    code, out, err = listwise("route", "fit", *JUDGED, *SIM, "--budget", "0")
    assert (code, out) == (2, "")
    assert f"the LLM ranked none of the {QUERIES} judged queries" in err
    assert not (folder / "router.json").exists()


def test_an_option_of_one_vote_has_those_of_the_policy(listwise: Listwise, folder: Path) -> None:
    costs = []
    for votes in ("1", "3"):
        assert listwise("route", "fit", *JUDGED, *SIM, "--votes", votes, "--keep-cases", "cases.jsonl")[0] == 0
        costs.append(read_cases(folder / "cases.jsonl")[0].outcomes[0].nano_usd)
    assert costs[1] == pytest.approx(3 * costs[0], rel=0.05)


@pytest.mark.parametrize("strategy", ["sliding", "adaptive", "widening"])
def test_no_more_is_read_than_the_policy_looks_at(listwise: Listwise, folder: Path, strategy: str) -> None:
    """The best of all come last in the first stage's order, and first in the LLM's."""
    docids = [line.split()[2] for line in (folder / "run.trec").read_text().splitlines()]
    qids = {docid: docid.partition("d")[0] for docid in docids}
    for name, order in (("last.trec", docids[::-1]), ("qrels.txt", docids)):
        lines = (f"{qids[docid]} 0 {docid} {int(docid.partition('d')[2]) // 10}" for docid in order)
        trec = (f"{qids[docid]} Q0 {docid} {at} {-at} last" for at, docid in enumerate(order, 1))
        (folder / name).write_text("\n".join(trec if name == "last.trec" else lines) + "\n")
    asked = ("--ranked", "last.trec", "--depth", "12", "--strategy", strategy, "--keep-cases", "cases.jsonl")
    code, _, err = listwise("route", "fit", *JUDGED, *asked)
    assert code == 0, err
    for case in read_cases(folder / "cases.jsonl"):
        assert case.local == 0
        assert [outcome.ndcg for outcome in case.outcomes] == [0, pytest.approx(0.2, abs=0.1)]


def test_a_query_that_a_run_lacks_makes_no_case(listwise: Listwise, folder: Path) -> None:
    lines = (folder / "run.trec").read_text().splitlines()
    (folder / "most.trec").write_text("".join(f"{line}\n" for line in lines if not line.startswith("q7 ")))
    ranked = ("--ranked", "most.trec", "--keep-cases", "cases.jsonl")
    assert listwise("route", "fit", *JUDGED, *ranked)[0] == 0
    assert {case.qid for case in read_cases(folder / "cases.jsonl")} == {f"q{at}" for at in range(QUERIES)} - {"q7"}
