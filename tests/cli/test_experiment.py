"""``listwise experiment`` as a user runs it: a file, a results folder, a real server, a budget, interrupts."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.cli import main
from listwise.errors import ConfigError
from listwise.eval.experiments.folder import Results
from listwise.eval.measures import evaluate
from listwise.formats import read_qrels, read_run
from tests.cli.conftest import CANDIDATES, QUERIES, Shell, last_first
from tests.cli.test_rerank import wait_for
from tests.cli.test_spend import billed
from tests.loopback import Asked, ScriptedServer, failure

pytest.importorskip("ir_measures", reason="needs the extra listwise[eval]")

HEAD = 'collections = ["./small"]\nfirst_stages = ["run"]\nmeasures = ["nDCG@10", "R@5"]\nbaseline = "run"\n'
SAME = ("runs", "measures.jsonl", "groups.jsonl", "per_query.jsonl", "queries", "qrels", "texts")
"""What two runs of the same file have in common, byte for byte."""


@dataclass(frozen=True, slots=True)
class Lab(Shell):
    """A shell that runs commands in this process, but for those that are to be stopped: that is faster."""

    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        self.capture.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["listwise", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.StringIO(stdin or ""))
            with pytest.raises(SystemExit) as left:
                main()
        said = self.capture.readouterr()
        return subprocess.CompletedProcess(arguments, int(str(left.value.code)), said.out, said.err)


@pytest.fixture
def lab(shell: Shell, capsys: pytest.CaptureFixture[str]) -> Lab:
    """The shell's collection in a folder of its own, with two recorded runs."""
    small = shell.folder / "small"
    small.mkdir()
    for name in ("queries.tsv", "corpus.jsonl", "run.trec", "qrels.txt"):
        (shell.folder / name).rename(small / name)
    for seed in (1, 2):
        lines = [
            f"q{at} Q0 q{at}d{doc} {rank} 1 other\n"
            for at in range(QUERIES)
            for rank, doc in enumerate([29, *range(seed), *range(seed, 29)][::-1] if at < seed else range(30), 1)
        ]
        (small / f"llm-{seed}.trec").write_text("".join(lines))
    return Lab(shell.folder, capsys)


def write(lab: Lab, text: str, head: str = HEAD) -> None:
    (lab.folder / "trial.toml").write_text(head + text)


def gpt(url: str, more: str = "", name: str = "gpt") -> str:
    return (
        f'[systems."{name}"]\nllm = "openai/gpt-4o"\nbase_url = "{url}"\nlocal = "none"\nescalate = "always"\n'
        f'price = ["openai/gpt-4o=2.5,10"]\n{more}\n'
    )


def tree(folder: Path) -> dict[str, bytes]:
    files = [path for name in SAME for path in ([folder / name] if "." in name else (folder / name).rglob("*"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


def records(lab: Lab, name: str, folder: str = "results/trial") -> list[dict[str, object]]:
    return lab.records(f"{folder}/{name}.jsonl")


def of(lab: Lab, system: str, name: str = "measures") -> dict[str, object]:
    return next(each for each in records(lab, name) if each["system"] == system)


def test_all_kinds_of_systems_into_one_folder(lab: Lab) -> None:
    write(
        lab,
        '[systems.recorded]\nrecorded = "llm-*.trec"\nmodel = "some/model"\n'
        '[systems.vote]\nvote = ["recorded", "run"]\naggregate = ["borda", "kemeny"]\n'
        '[systems.made-up]\nllm = "sim/perfect"\nescalate = "always"\nlocal = "none"\nseeds = [4, 5]\n'
        'strategy = ["sliding", "single"]\n',
    )
    done = lab.run("experiment", "run", "trial.toml")
    assert done.returncode == 0, done.stderr
    systems = records(lab, "systems")
    assert [each["system"] for each in systems] == [
        *("run", "recorded run=1", "recorded run=2", "vote borda", "vote kemeny"),
        *("made-up sliding seed=4", "made-up sliding seed=5", "made-up single seed=4", "made-up single seed=5"),
    ]
    assert [each["kind"] for each in systems] == ["first_stage", *["recorded"] * 2, *["vote"] * 2, *["llm"] * 4]
    assert [each["simulated"] for each in systems] == [False] * 5 + [True] * 4
    assert [each["group"] for each in systems][1:3] == ["recorded"] * 2
    assert [each["seed"] for each in systems][-2:] == [4, 5]
    folder = lab.folder / "results" / "trial"
    qrels = read_qrels(lab.folder / "small" / "qrels.txt")
    for each in systems:
        run = read_run(folder / str(each["run"]))
        assert of(lab, str(each["system"]))["mean"] == evaluate(run, qrels, ["nDCG@10"])[0].interval.mean
        assert all(len(candidates) == CANDIDATES for candidates in run.values())
        for kind in ("receipts", "trace"):
            assert (each[kind] is not None) == (each["kind"] == "llm")
            if each[kind] is not None:
                assert stat.S_IMODE((folder / str(each[kind])).stat().st_mode) == 0o600
    assert of(lab, "made-up sliding seed=4")["mean"] == 1.0
    assert of(lab, "made-up sliding seed=4")["ceiling"] == 1.0
    ends = [line.rpartition(" ")[2] for line in lab.lines("results/trial/runs/small/made-up-sliding-seed=4.trec")]
    assert set(ends) == {"listwise-simulated"}
    assert of(lab, "made-up sliding", "groups")["seeds"] == 2
    assert "made-up sliding (simulated), mean of 2" in done.stdout
    assert (folder / "experiment.toml").read_text() == (lab.folder / "trial.toml").read_text()
    assert not (lab.folder / "ledger.db").exists()
    environment = json.loads((folder / "environment.json").read_text())
    assert {"listwise", "python", "platform", "packages", "started", "seconds", "sha256"} <= set(environment)
    texts = {str(each["docid"]): each["text"] for each in records(lab, "texts/small")}
    assert texts["q0d0"] == "text q0d0"
    assert records(lab, "queries/small")[1] == {"qid": "q1", "text": "what is q1"}


def test_p_is_corrected_over_lines_of_the_table_and_a_group_is_one_line(lab: Lab) -> None:
    write(lab, '[systems.a]\nrecorded = "llm-*.trec"\n[systems.b]\nrecorded = "llm-2.trec"\n')
    assert lab.run("experiment", "run", "trial.toml").returncode == 0
    assert of(lab, "run")["p"] is None
    assert of(lab, "a run=1")["p"] is not None
    assert of(lab, "a run=1")["p_corrected"] is None
    single, group = of(lab, "b"), of(lab, "a", "groups")
    lower, higher = sorted((single, group), key=lambda each: float(str(each["p"])))
    assert lower["p_corrected"] == min(1.0, 2 * float(str(lower["p"])))
    assert float(str(higher["p_corrected"])) >= float(str(higher["p"]))
    ndcg = [each for each in records(lab, "per_query") if each["measure"] == "nDCG@10"]
    means = [
        sum(float(str(each["value"])) for each in ndcg if str(each["system"]).startswith("a run=")) / 2 / QUERIES
    ]
    assert group["mean"] == pytest.approx(means[0])


def test_again_from_the_cache_gives_the_same_bytes_and_costs_nothing(lab: Lab) -> None:
    with ScriptedServer(last_first) as server:
        write(lab, gpt(server.base_url, 'strategy = ["sliding", "topdown"]'))
        first = lab.run("experiment", "run", "trial.toml", "--yes")
        assert first.returncode == 0, first.stderr
        asked = len(server.asked)
        assert asked > 0
        again = lab.run("experiment", "run", "trial.toml", "--out", "again")  # nothing to pay: no --yes
        assert again.returncode == 0, again.stderr
        assert len(server.asked) == asked
    one, other = tree(lab.folder / "results" / "trial"), tree(lab.folder / "again")
    assert one == other
    assert any(name.startswith("runs/") for name in one)
    paid, free = (
        of(lab, "gpt sliding", "totals"),
        next(each for each in records(lab, "totals", "again") if each["system"] == "gpt sliding"),
    )
    assert Decimal(str(paid["usd"])) == Decimal(str(paid["bill_usd"])) > 0
    assert (free["usd"], free["bill_usd"]) == ("0", paid["bill_usd"])
    assert free["input_tokens"] == paid["input_tokens"]
    total = sum(Decimal(str(each["usd"])) for each in records(lab, "totals"))
    assert total == billed(server)


def test_what_is_done_is_not_done_again_but_what_changed_is(lab: Lab) -> None:
    with ScriptedServer(last_first) as server:
        write(lab, gpt(server.base_url) + gpt(server.base_url, "depth = 10", "shallow"))
        assert lab.run("experiment", "run", "trial.toml", "--yes").returncode == 0
        kept = lab.folder / "results/trial/receipts/small"
        stamp = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
        write(lab, gpt(server.base_url) + gpt(server.base_url, "depth = 12", "shallow"))
        assert lab.run("experiment", "run", "trial.toml", "--yes").returncode == 0
        changed = {path.name for path in kept.iterdir() if path.stat().st_mtime_ns != stamp[path.name]}
        assert changed == {"shallow.jsonl"}
        write(lab, gpt(server.base_url))
        assert lab.run("experiment", "run", "trial.toml").returncode == 0
    assert [path.name for path in kept.iterdir()] == ["gpt.jsonl"]
    assert [each["system"] for each in records(lab, "systems")] == ["run", "gpt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_it_goes_on_with_what_is_missing(lab: Lab, number: int) -> None:
    with ScriptedServer(last_first, delay_s=0.1) as server:
        write(lab, gpt(server.base_url, "concurrency = 1"))
        process = lab.start("experiment", "run", "trial.toml", "--yes")
        partial = lab.folder / "results/trial/partial/small/gpt.jsonl"
        wait_for(lambda: partial.is_file() and len(partial.read_text().splitlines()) >= 3)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        if number == signal.SIGINT:
            assert "1 of 2 systems are done" in err
        assert not (lab.folder / "results/trial/measures.jsonl").exists()
        time.sleep(0.3)
        done = lab.run("experiment", "run", "trial.toml", "--yes")
        assert done.returncode == 0, done.stderr
        prompts = [asked.prompt for asked in server.asked]
        assert len(prompts) - len(set(prompts)) <= 1  # only the call in flight
        receipts = records(lab, "receipts/small/gpt")
        assert [each["qid"] for each in receipts] == [f"q{at}" for at in range(QUERIES)]
        assert sum(int(str(each["attempts"])) for each in receipts) <= len(prompts)
        assert not partial.parent.parent.exists()
        assert lab.run("experiment", "run", "trial.toml", "--out", "again").returncode == 0
    assert tree(lab.folder / "results" / "trial") == tree(lab.folder / "again")


def test_one_budget_holds_over_all_systems_and_reruns(lab: Lab) -> None:
    head = 'budget_total_usd = "0.006"\n' + HEAD
    with ScriptedServer(last_first) as server:
        systems = gpt(server.base_url, "seeds = [1, 2, 3]")
        write(lab, systems, head)
        planned = json.loads(lab.run("experiment", "plan", "trial.toml", "--json").stdout)
        assert planned["usd"]["high"] <= 0.006 < sum(each["usd"]["expected"] for each in planned["systems"])
        done = lab.run("experiment", "run", "trial.toml", "--yes")
        assert done.returncode == 1
        assert "lack an answer" in done.stderr
        assert Decimal(0) < billed(server) <= Decimal("0.006")
        spent = json.loads((lab.folder / "results/trial/environment.json").read_text())["spent_usd"]
        assert billed(server) <= Decimal(spent) <= Decimal("0.006")
        assert any("incomplete" in str(each["note"]) for each in records(lab, "systems"))
        again = lab.run("experiment", "run", "trial.toml", "--yes")
        assert again.returncode == 1
        assert billed(server) <= Decimal("0.006")
        write(lab, systems, 'budget_total_usd = "1"\n' + HEAD)
        more = lab.run("experiment", "run", "trial.toml", "--yes")
        assert more.returncode == 0, more.stderr
        prompts = [(asked.prompt, asked.body["seed"]) for asked in server.asked]
        assert len(prompts) == len(set(prompts))
    assert all(str(each["note"]) == "" for each in records(lab, "systems")[1:])
    assert sum(Decimal(str(each["bill_usd"])) for each in records(lab, "totals")[1:]) == billed(server)


def test_a_failure_is_made_up_for_by_the_next_run(lab: Lab) -> None:
    def broken(asked: Asked) -> object:
        return failure(400, "no") if "q2" in asked.prompt and server_breaks else last_first(asked)

    server_breaks = True
    with ScriptedServer(broken) as server:  # type: ignore[arg-type]
        write(lab, gpt(server.base_url))
        assert lab.run("experiment", "run", "trial.toml", "--yes").returncode == 1
        assert "incomplete: 1 queries" in str(of(lab, "gpt", "systems")["note"])
        asked, server_breaks = len(server.asked), False
        assert lab.run("experiment", "run", "trial.toml", "--yes").returncode == 0
        assert all("q2" in each.prompt for each in server.asked[asked:])
    assert of(lab, "gpt", "systems")["note"] == ""


def test_a_missing_key_or_price_is_said_before_anything_is_asked(lab: Lab) -> None:
    other = '[systems.other]\nllm = "anthropic/claude-haiku-4-5"\nlocal = "none"\nescalate = "always"\n'
    with ScriptedServer(last_first) as server:
        write(lab, gpt(server.base_url) + other)
        assert lab.run("experiment", "plan", "trial.toml").returncode == 0
        done = lab.run("experiment", "run", "trial.toml", "--yes")
        assert done.returncode == 2
        assert "small/other" in done.stderr
        assert "ANTHROPIC_API_KEY" in done.stderr
        unpriced = gpt(server.base_url, name="cheap").replace("price", "# price")
        write(
            lab,
            gpt(server.base_url) + unpriced + gpt(server.base_url, name="last"),
            "budget_total_usd = 1\n" + HEAD,
        )
        done = lab.run("experiment", "run", "trial.toml", "--yes")
        assert done.returncode == 2
        assert "no price is known for openai/gpt-4o" in done.stderr
        assert server.asked == []


def test_the_books_know_the_run(lab: Lab) -> None:
    with ScriptedServer(last_first) as server:
        write(lab, gpt(server.base_url), "budget_total_usd = 1\n" + HEAD)
        assert lab.run("experiment", "run", "trial.toml", "--yes").returncode == 0
        run = json.loads((lab.folder / "results/trial/environment.json").read_text())["run_id"]
        shown = lab.run("spend", "--run", run)
        assert shown.returncode == 0, shown.stderr
        assert "openai/gpt-4o" in shown.stdout


def test_without_a_terminal_it_does_not_spend_unless_told_to(lab: Lab) -> None:
    with ScriptedServer(last_first) as server:
        write(lab, gpt(server.base_url))
        done = lab.run("experiment", "run", "trial.toml", stdin="y\n")
        assert done.returncode == 2
        assert "--yes" in done.stderr
        dry = lab.run("experiment", "run", "trial.toml", "--dry-run")
        assert dry.returncode == 0
        assert "gpt" in dry.stdout
        assert "expected, at most $" in dry.stdout
        assert server.asked == []
    assert not (lab.folder / "results").exists()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


@pytest.mark.parametrize("answer", ["n", "y"])
def test_at_a_terminal_it_asks(lab: Lab, terminal: tuple[int, int], answer: str) -> None:
    ours, theirs = terminal
    with ScriptedServer(last_first) as server:
        write(lab, gpt(server.base_url))
        process = subprocess.Popen(
            [sys.executable, "-m", "listwise", "experiment", "run", "trial.toml"],
            cwd=lab.folder,
            env=lab.environment(),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        said = b""
        while b"Spend up to $" not in said:
            said += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        try:
            while os.read(ours, 4096):
                pass
        except OSError:  # its end of the terminal is closed
            pass
        assert process.wait(timeout=60) == (0 if answer == "y" else 130)
        assert bool(server.asked) == (answer == "y")


def test_two_processes_do_not_share_a_folder_and_strangers_are_left_alone(lab: Lab) -> None:
    write(lab, "")
    with Results(lab.folder / "results/trial", "trial", "now").held():
        second = lab.run("experiment", "run", "trial.toml")
        assert second.returncode == 2
        assert "another process" in second.stderr
    late = Results(lab.folder / "results/trial", "trial", "now")
    assert lab.run("experiment", "run", "trial.toml").returncode == 0
    with pytest.raises(ConfigError, match="meanwhile"), late.held():
        pass
    stranger = lab.run("experiment", "run", "trial.toml", "--out", "small")
    assert stranger.returncode == 2
    assert "something else" in stranger.stderr
    write(lab, "", 'name = "other"\n' + HEAD)
    other = lab.run("experiment", "run", "trial.toml", "--out", "results/trial")
    assert other.returncode == 2
    assert "'trial'" in other.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[systems.x]\nlocal = "none"\nstrategi = "topdown"\n',
            "systems.x.strategi: no such setting; did you mean",
        ),
        ('[systems.x]\nrecorded = "a"\nbay = "rank"\n', "systems.x.bay: no such key; did you mean 'by'?"),
        ('[systems.x]\nrecorded = "nothing-*"\n', "systems.x.recorded: no file is called nothing-*"),
        ('[systems.x]\nnote = "?"\n', "systems.x: it needs one of recorded, vote, local, llm, policy"),
        ('[systems.x]\nllm = "sim/strong"\nwindow = 1\n', "systems.x: window"),
        ('[systems.x]\nllm = "sim/strong"\nstrategy = []\n', "systems.x.strategy: an empty list"),
        ('[systems.x]\nllm = "sim/strong"\nfirst_stage = "bm25"\n', "systems.x.first_stage: no 'bm25'"),
        ('[systems.x]\nllm = "sim/strong"\nbudget_total_usd = 1\n', "systems.x.budget_total_usd: it is the whole"),
        ('[systems.x]\nvote = ["run", "y"]\n', "systems.x.vote: no system 'y'"),
        ('[systems.x]\nvote = "run"\n', "systems.x.vote: 1 run(s)"),
        ('[systems.x]\nrecorded = "llm-1.trec"\ncollections = ["dl19"]\n', "systems.x.collections: no 'dl19'"),
        ('[systems.run]\nlocal = "none"\n', "systems.run: a first stage has this name"),
        ('[systems."a b"]\nrecorded = "llm-1.trec"\n[systems."a-b"]\nrecorded = "llm-1.trec"\n', "to one file"),
        ('[systems."../x"]\nrecorded = "llm-1.trec"\n', "a name has up to 100 characters, no slash"),
        ("[defaults]\nvotez = 3\n", "defaults.votez: no such setting; did you mean 'votes'?"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(lab: Lab, text: str, said: str) -> None:
    write(lab, text)
    done = lab.run("experiment", "run", "trial.toml", "--yes")
    assert done.returncode == 2
    assert f"trial.toml: {said}" in done.stderr or said in done.stderr
    assert "trial.toml" in done.stderr
    assert not (lab.folder / "results").exists()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (HEAD.replace("nDCG@10", "nCDG@10"), "no measure 'nCDG@10'"),
        (HEAD.replace('baseline = "run"', 'baseline = "ran"'), "baseline: no system 'ran'; did you mean 'run'?"),
        (HEAD.replace('["run"]', '["ran"]').replace('"run"', '"ran"'), "no run 'ran'; did you mean 'run'?"),
        (HEAD.replace("./small", "./big"), "collections: there is no folder"),
        (HEAD + "budget_total_usd = -1\n", "budget_total_usd"),
        (HEAD.replace("first_stages", "first_stage"), "first_stage: no such key; did you mean 'first_stages'?"),
        ("collections = [", "not a TOML file"),
        ("", "collections: missing; first_stages: missing"),
    ],
)
def test_what_is_wrong_at_the_top_is_said(lab: Lab, head: str, said: str) -> None:
    write(lab, "", head)
    done = lab.run("experiment", "plan", "trial.toml")
    assert done.returncode == 2
    assert said in done.stderr


def test_real_and_simulated_are_not_put_together(lab: Lab) -> None:
    write(lab, '[systems.a]\nrecorded = "llm-1.trec"\n[systems.v]\nvote = ["a", "run"]\n')
    run = lab.folder / "small" / "llm-1.trec"
    run.write_text(run.read_text().replace(" other\n", " listwise-simulated\n"))
    done = lab.run("experiment", "run", "trial.toml")
    assert done.returncode == 2
    assert "real and simulated rankings cannot be put together" in done.stderr
    write(lab, '[systems.a]\nrecorded = "llm-1.trec"\n')
    assert lab.run("experiment", "run", "trial.toml").returncode == 0
    assert of(lab, "a", "systems")["simulated"] is True
