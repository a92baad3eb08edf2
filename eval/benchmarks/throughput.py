"""How much of a fast model's speed is left: `listwise rerank` over a loopback server that answers after 50 ms.

    python -m eval.benchmarks.throughput [--peer-python PYTHON] [--check]

Re-ranks DL19's BM25 top 100 in sliding windows of 20 by 10, 16 requests at a time. The time that counts runs from
the first request's arrival at the server to the last answer's departure. The ideal is what the latency alone costs:
windows of one query wait for one another, queries do not. CPU per call is that of the whole process less a start-up
run with nothing to rank. With ``--peer-python``, an environment made from ``rank_llm-requirements.txt``, rank_llm
does the same work on the same server, in turns with ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.benchmarks.children import CHECKOUT, LISTWISE, Spent, run
from eval.benchmarks.loopback import Descending, Figures, Loopback
from listwise import formats
from listwise.strategies.base import play, windows_of
from listwise.strategies.sliding import sliding
from listwise.types import Request

DEPTH, WINDOW, STRIDE = 100, 20, 10
WALL_LIMIT = 1.15
"""Our wall time, in ideals."""
CPU_LIMIT_MS = 3.0
PEER_LIMIT = 0.5
"""Our wall time and CPU, in the peer's."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Files of a collection, and what a start-up run reads instead."""

    queries: Path
    corpus: Path
    run: Path
    requests: Path
    """What those three say, as rank_llm reads it."""
    idle_queries: Path
    """One query, for which the run has no candidates: there is nothing to ask."""
    idle_requests: Path
    """Empty."""


@dataclass(frozen=True, slots=True)
class Ideal:
    """The time that a latency costs, if nothing else takes any."""

    calls: int
    waves_s: float
    """Queries in waves of as many as there may be requests at a time, each as long as its windows take."""
    packed_s: float
    """No place is ever idle while a query could use it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of one program."""

    started: Spent
    """With nothing to rank."""
    spent: Spent
    seen: Figures

    @property
    def wall_s(self) -> float:
        """The re-ranking alone."""
        return self.seen.span_s

    @property
    def cpu_s(self) -> float:
        """Without start-up."""
        return self.spent.cpu_s - self.started.cpu_s

    @property
    def cpu_ms_a_call(self) -> float:
        return 1000 * self.cpu_s / self.seen.requests


Program = Callable[[str, bool], Sequence[str]]
"""The command for a server's base URL; with nothing to rank if the second argument says so."""


def ideal(requests: Sequence[Request], latency_s: float, concurrency: int) -> Ideal:
    """What the schedule allows, from the windows that our own strategy asks for."""
    strategy = sliding(WINDOW, STRIDE, DEPTH)
    steps = [len(windows_of(play(strategy, len(each.candidates), lambda window: None))) for each in requests]
    waves = [max(steps[at : at + concurrency]) for at in range(0, len(steps), concurrency)]
    packed = max(*steps, -(-sum(steps) // concurrency))
    return Ideal(sum(steps), sum(waves) * latency_s, packed * latency_s)


def listwise_program(inputs: Inputs, concurrency: int) -> Program:
    """Our command line, as anyone would call it."""

    def command(base_url: str, empty: bool) -> Sequence[str]:
        queries = inputs.idle_queries if empty else inputs.queries
        files = f"--queries {queries} --corpus {inputs.corpus} --run {inputs.run} --out {os.devnull}"
        llm = f"--local none --llm openai/gpt-4o --base-url {base_url} --escalate always --prompt rankgpt"
        reading = f"--strategy sliding --depth {DEPTH} --window {WINDOW} --stride {STRIDE}"
        return (*LISTWISE, "rerank", *f"{files} {llm} {reading} --concurrency {concurrency} --cache off".split())

    return command


def peer_program(python: str, inputs: Inputs, concurrency: int) -> Program:
    """rank_llm, in its own environment."""
    script = Path(__file__).with_name("rank_llm_peer.py")

    def command(base_url: str, empty: bool) -> Sequence[str]:
        requests = inputs.idle_requests if empty else inputs.requests
        return (python, str(script), str(requests), base_url, str(concurrency))

    return command


def trial(program: Program, server: Loopback) -> Trial:
    """Start-up first, then the real thing.

    Raises:
        CommandFailed: the program failed.
    """
    started = run(program(server.url, True))
    server.take()
    spent = run(program(server.url, False))
    return Trial(started, spent, server.take())


def middle(trials: Sequence[Trial], of: Callable[[Trial], float]) -> float:
    """The median of a figure."""
    return statistics.median(of(each) for each in trials)


def write_inputs(data: Path, folder: Path) -> tuple[Inputs, list[Request]]:
    """DL19's files, and what the programs need besides."""
    found = data / "dl19"
    queries, corpus, run_file = found / "queries.tsv", found / "corpus.jsonl.gz", found / "bm25.trec.gz"
    requests = formats.requests_from(queries, corpus, run_file)
    idle = folder / "idle.tsv", folder / "idle.jsonl"
    inputs = Inputs(queries, corpus, run_file, folder / "requests.jsonl", *idle)
    inputs.idle_queries.write_text("idle\tno run has candidates for this query\n")
    inputs.idle_requests.touch()
    inputs.requests.write_text("".join(json.dumps(_for_rank_llm(each)) + "\n" for each in requests))
    return inputs, requests


def _for_rank_llm(request: Request) -> dict[str, object]:
    return {
        "query": {"qid": request.query.qid, "text": request.query.text},
        "candidates": [
            {"docid": each.docid, "score": each.score, "doc": {"text": each.text}} for each in request.candidates
        ],
    }


def show(trials: dict[str, list[Trial]], best: Ideal) -> None:
    """The table: medians, and the fastest in brackets."""
    rows: list[tuple[str, Callable[[Trial], float], str]] = [
        ("requests", lambda each: each.seen.requests, ".0f"),
        ("requests at a time, at most", lambda each: each.seen.max_in_flight, ".0f"),
        ("wall, re-ranking (s)", lambda each: each.wall_s, ".3f"),
        ("  in ideals, by waves", lambda each: each.wall_s / best.waves_s, ".3f"),
        ("  in ideals, packed", lambda each: each.wall_s / best.packed_s, ".3f"),
        ("wall, whole process (s)", lambda each: each.spent.wall_s, ".3f"),
        ("CPU, start-up (s)", lambda each: each.started.cpu_s, ".3f"),
        ("CPU, whole process (s)", lambda each: each.spent.cpu_s, ".3f"),
        ("CPU a call (ms)", lambda each: each.cpu_ms_a_call, ".2f"),
        ("CPU of the server a call (ms)", lambda each: 1000 * each.seen.cpu_s / each.seen.requests, ".2f"),
    ]
    width = max(len(name) for name, _, _ in rows)
    print(" " * width, *(f"{name:>18}" for name in trials))
    for name, of, form in rows:
        cells = (f"{middle(each, of):{form}} ({min(map(of, each)):{form}})" for each in trials.values())
        print(f"{name:{width}}", *(f"{cell:>18}" for cell in cells))


def verdicts(trials: dict[str, list[Trial]], best: Ideal) -> list[tuple[str, float, float]]:
    """What was promised: name, value, limit."""
    ours = trials["listwise"]
    wall_s, cpu_ms = middle(ours, lambda each: each.wall_s), middle(ours, lambda each: each.cpu_ms_a_call)
    found = [("wall in ideals", wall_s / best.waves_s, WALL_LIMIT), ("CPU ms a call", cpu_ms, CPU_LIMIT_MS)]
    if peers := trials.get("rank_llm"):
        found += [
            ("wall against rank_llm", wall_s / middle(peers, lambda each: each.wall_s), PEER_LIMIT),
            ("CPU against rank_llm", cpu_ms / middle(peers, lambda each: each.cpu_ms_a_call), PEER_LIMIT),
        ]
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.environ.get("LISTWISE_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(here), help="folder with dl19/ [LISTWISE_DATA]")
    parser.add_argument("--peer-python", help="the Python of an environment with rank_llm")
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each program; medians count [3]")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    options = arguments()
    if not (options.data / "dl19").is_dir():
        print(f"no folder {options.data / 'dl19'}: set LISTWISE_DATA or --data", file=sys.stderr)
        return 2
    latency_s = options.latency_ms / 1000
    with tempfile.TemporaryDirectory() as folder, Loopback(Descending(WINDOW), latency_s=latency_s) as server:
        inputs, requests = write_inputs(options.data, Path(folder))
        best = ideal(requests, latency_s, options.concurrency)
        programs = {"listwise": listwise_program(inputs, options.concurrency)}
        if options.peer_python:
            programs["rank_llm"] = peer_program(options.peer_python, inputs, options.concurrency)
        else:
            print("no --peer-python: rank_llm is left out (see eval/benchmarks/rank_llm-requirements.txt)\n")
        trials: dict[str, list[Trial]] = {name: [] for name in programs}
        for _ in range(options.repeats):
            for name, program in programs.items():
                trials[name].append(trial(program, server))
    load = f"{best.calls} windows of {options.latency_ms:g} ms, {options.concurrency} at a time"
    print(f"{len(requests)} queries, {load}")
    print(f"ideal: {best.waves_s:.3f} s by waves of queries, {best.packed_s:.3f} s packed without a gap")
    print(f"medians of {options.repeats} runs, the least in brackets\n")
    show(trials, best)
    print()
    found = verdicts(trials, best)
    for name, value, limit in found:
        print(f"{'met   ' if value <= limit else 'MISSED'} {name}: {value:.3f}, at most {limit:g}")
    return int(options.check and any(value > limit for _, value, limit in found))


if __name__ == "__main__":
    sys.exit(main())
