"""Replays recorded answers of RankVicuna through `listwise rerank`: the order must be the recorded one.

    python -m eval.benchmarks.golden_replay [--data DIR] [--log TEXT]

A loopback server knows DL19's recorded windows and what the model said to them. It finds a window by what the
prompt shows, the query and the passages in order, folded to letters and digits; a prompt that shows anything else
is answered with 404. Our command line re-ranks through it, and through the real openai SDK, one log after the other
(the log is the model's name), and every order is compared with the run that was recorded with the log. It must be
the same wherever no answer needed repair, and wherever our repair and RankGPT's agree. Elsewhere it may differ:
that is counted.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from eval.benchmarks.children import CHECKOUT, LISTWISE, run
from eval.benchmarks.loopback import Loopback, Said
from listwise.permutation import complete, parse

WINDOW, STRIDE = 20, 10
FOLDED_CHARACTERS = 80
"""A passage is known by so many of its first letters and digits; a prompt may shorten it to no fewer."""
QUERY_LINE = re.compile(r"Rank the passages based on their relevance to the search query: (.*)\.$", re.M)
PASSAGE_LINE = re.compile(r"^\[\d+\] (.*)$", re.M)
NO_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]+")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """One recorded window."""

    docids: tuple[str, ...]
    """In the order shown."""
    answer: str

    @property
    def clean(self) -> bool:
        """Whether the answer needs no repair."""
        parsed = parse(self.answer, len(self.docids))
        return parsed.failure is None and not parsed.repairs and len(parsed.identifiers) == len(self.docids)

    @property
    def agreed(self) -> bool:
        """Whether our repair and RankGPT's come to the same order."""
        n = len(self.docids)
        return complete(parse(self.answer, n), range(n)) == read_every_number(self.answer, n)


@dataclass(frozen=True, slots=True)
class Log:
    """One recorded pass over a whole first-stage run."""

    name: str
    model: str
    """How the command line calls it."""
    first_stage_run: Path
    windows: Mapping[str, Sequence[Window]]
    """By qid, in the order asked."""
    recorded_run: Path
    """The ranking that came of it then."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What the windows were made of."""

    folder: Path
    queries: Mapping[str, str]
    passages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the queries of a log came out; every set holds qids."""

    log: str
    queries: frozenset[str]
    clean: frozenset[str]
    """No answer needed repair."""
    agreed: frozenset[str]
    """Some did, and our repairs come to the same as RankGPT's."""
    equal: frozenset[str]
    """The order is the recorded one."""
    unrecorded: int
    """Windows asked that were not recorded: behind a repair that differs, others come up."""

    @property
    def mismatched(self) -> frozenset[str]:
        """Orders that differ where they must not."""
        return (self.clean | self.agreed) - self.equal


@dataclass(frozen=True, slots=True)
class Recorded:
    """Says what the model said when it was shown the same passages for the same query."""

    answers: Mapping[str, str]
    """By `fingerprint`."""

    def __call__(self, body: bytes) -> Said:
        """Find the window that the prompt of a chat request shows."""
        request = json.loads(body)
        prompt = request["messages"][-1]["content"]
        query = QUERY_LINE.search(prompt)
        if query is None:
            return Said("this is no RankZephyr prompt", 404)
        answer = self.answers.get(fingerprint(request["model"], query[1], PASSAGE_LINE.findall(prompt)))
        return Said("this window was not recorded", 404) if answer is None else Said(answer)


def read_every_number(answer: str, n: int) -> tuple[int, ...]:
    """RankGPT's reading: every number is an identifier, the first mention counts, missing ones follow in order.

    Source: sunnweiwei/RankGPT, `clean_response` and `receive_permutation`.
    """
    said = (int(number) - 1 for number in re.findall(r"[0-9]+", answer))
    return tuple(dict.fromkeys(position for position in chain(said, range(n)) if 0 <= position < n))


def fingerprint(model: str, query: str, passages: Iterable[str]) -> str:
    """What a window is known by. Folding leaves what neutralising, trimming and joining of words leave alone."""
    shown = [model, *(NO_LETTER_OR_DIGIT.sub("", text.lower())[:FOLDED_CHARACTERS] for text in (query, *passages))]
    return hashlib.sha256("\n".join(shown).encode()).hexdigest()


def read_collection(folder: Path) -> Collection:
    """DL19's queries and passages."""
    with (folder / "queries.tsv").open(encoding="utf-8") as lines:
        queries = dict(line.rstrip("\n").split("\t", 1) for line in lines)
    passages = {each["id"]: each["text"] for each in _json_lines(folder / "corpus.jsonl.gz")}
    return Collection(folder, queries, passages)


def read_logs(data: Path) -> list[Log]:
    """The logs of DL19 with whose answers a run was recorded."""
    seen: defaultdict[tuple[str, str], defaultdict[str, list[dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for each in _json_lines(data / "responses" / "dl19.jsonl.gz"):
        if each["collection"] == "dl19" and each["depth"] == 100:
            seen[each["log"], each["first_stage"]][each["qid"]].append(each)
    logs: list[Log] = []
    for (name, first_stage), by_qid in seen.items():
        recorded_run = _run_recorded_with(name, first_stage, data / "dl19" / "llm_runs")
        if recorded_run is not None:
            first_stage_run = data / "dl19" / f"{first_stage}.trec.gz"
            retrieved, recorded = read_order(first_stage_run), read_order(recorded_run)
            windows = {qid: restored(retrieved[qid], recorded[qid], lines) for qid, lines in by_qid.items()}
            logs.append(Log(name, f"recorded-{len(logs)}", first_stage_run, windows, recorded_run))
    return logs


def restored(retrieved: Sequence[str], recorded: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> list[Window]:
    """A query's windows with the docids that were shown, found by playing its log again under RankGPT's rules.

    Logs have lost some docids, and now and then mistake one passage for its near-duplicate.

    Args:
        retrieved: the first stage's order.
        recorded: the order that came of the log.
        lines: the query's lines of the log.

    Raises:
        ValueError: playing the log does not lead to the recorded order.
    """
    order = list(retrieved)
    windows = []
    starts = range(len(order) - WINDOW, -1, -STRIDE)
    for start, line in zip(starts, sorted(lines, key=lambda line: int(line["call"])), strict=True):
        window = Window(tuple(order[start : start + WINDOW]), line["response"])
        windows.append(window)
        order[start : start + WINDOW] = [window.docids[at] for at in read_every_number(window.answer, WINDOW)]
    if order != list(recorded):
        raise ValueError("the log does not lead to the recorded order")
    return windows


def _run_recorded_with(log: str, first_stage: str, folder: Path) -> Path | None:
    """A run and its log bear the same first stage and the same second."""
    time = TIME.search(log)
    if time is None:
        return None
    date, *clock = time.groups()
    runs = list(folder.glob(f"*__{first_stage}__top100__{date}T{''.join(clock)}.trec.gz"))
    return runs[0] if runs else None


def answers_of(log: Log, collection: Collection) -> dict[str, str]:
    """A log's answers by fingerprint.

    Raises:
        ValueError: two windows with different answers look the same.
    """
    answers: dict[str, str] = {}
    for qid, windows in log.windows.items():
        for window in windows:
            shown = [collection.passages[docid] for docid in window.docids]
            key = fingerprint(log.model, collection.queries[qid], shown)
            if answers.setdefault(key, window.answer) != window.answer:
                raise ValueError(f"{log.name}: two windows of query {qid} look the same")
    return answers


def replay(logs: Sequence[Log], collection: Collection) -> Iterator[Verdict]:
    """Re-rank with each log's answers, and compare.

    Raises:
        CommandFailed: our command line failed.
    """
    answers = {key: answer for log in logs for key, answer in answers_of(log, collection).items()}
    with tempfile.TemporaryDirectory() as folder, Loopback(Recorded(answers)) as server:
        for log in logs:
            out = Path(folder) / f"{log.model}.trec"
            run(rerank_command(log, collection, server.url, out))
            yield judge(log, read_order(out), read_order(log.recorded_run), server.take().rejected)


def rerank_command(log: Log, collection: Collection, base_url: str, out: Path) -> list[str]:
    """Our command line, as anyone would call it."""
    options = {
        "--queries": collection.folder / "queries.tsv",
        "--corpus": collection.folder / "corpus.jsonl.gz",
        "--run": log.first_stage_run,
        "--out": out,
        "--llm": f"openai/{log.model}",
        "--base-url": base_url,
        "--local": "none",
        "--escalate": "always",
        "--strategy": "sliding",
        "--depth": 100,
        "--window": WINDOW,
        "--stride": STRIDE,
        "--prompt": "rankzephyr",
        "--cache": "off",
    }
    given = [*options.items(), *(("--qid", qid) for qid in log.windows)]
    return [*LISTWISE, "rerank", *(str(part) for option in given for part in option)]


def judge(
    log: Log, orders: Mapping[str, Sequence[str]], recorded: Mapping[str, Sequence[str]], unrecorded: int
) -> Verdict:
    """Compare the orders that came of a log with those recorded."""
    clean = {qid for qid, windows in log.windows.items() if all(window.clean for window in windows)}
    agreed = {qid for qid, windows in log.windows.items() if all(window.agreed for window in windows)}
    equal = {qid for qid in log.windows if orders.get(qid) == recorded[qid]}
    return Verdict(
        log.name, frozenset(log.windows), frozenset(clean), frozenset(agreed - clean), frozenset(equal), unrecorded
    )


def read_order(run_file: Path) -> dict[str, list[str]]:
    """The docids of every query of a TREC run, by the rank column: recorded scores are the first stage's."""
    ranked: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for line in _lines(run_file):
        qid, _, docid, rank, *_ = line.split()
        ranked[qid].append((int(rank), docid))
    return {qid: [docid for _, docid in sorted(places)] for qid, places in ranked.items()}


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from lines


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in _lines(path))


def show(verdict: Verdict) -> None:
    """A log's counts."""
    differing = verdict.queries - verdict.clean - verdict.agreed
    print(verdict.log)
    for name, qids in (
        ("no answer needed repair", verdict.clean),
        ("our repair and RankGPT's agree", verdict.agreed),
        ("they differ", differing),
    ):
        print(f"  {name:32} {len(qids):3} queries, {len(qids & verdict.equal):3} in the recorded order")
    print(f"  {'windows that were not recorded':32} {verdict.unrecorded:3}")
    for qid in sorted(verdict.mismatched):
        print(f"  MISMATCH: query {qid}")


def main() -> int:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.environ.get("LISTWISE_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(here), help="folder with dl19/ and responses/")
    parser.add_argument("--log", default="", help="only logs whose name contains this")
    options = parser.parse_args()
    if not (options.data / "responses").is_dir():
        print(f"no folder {options.data / 'responses'}: set LISTWISE_DATA or --data", file=sys.stderr)
        return 2
    logs = [log for log in read_logs(options.data) if options.log in log.name]
    verdicts = []
    for verdict in replay(logs, read_collection(options.data / "dl19")):
        show(verdict)
        verdicts.append(verdict)
    binding = sum(len(each.clean | each.agreed) for each in verdicts)
    mismatched = sum(len(each.mismatched) for each in verdicts)
    print(f"{len(verdicts)} logs, {binding} orders that must be the recorded ones, {mismatched} mismatches")
    return int(mismatched > 0 or binding == 0)


if __name__ == "__main__":
    sys.exit(main())
