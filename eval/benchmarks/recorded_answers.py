"""Read recorded answers of real models: is every one a valid permutation, what was mended, and does it matter?

    python eval/benchmarks/recorded_answers.py --data ../shared/data [--examples 3]

Prints
(a) for both sets of recorded answers, repairs by kind and model, and how many answers hold no ranking;
(b) beside it a reader in the manner of RankGPT (every number is an identifier): how many orders differ, by model,
    and for the answers whose passages are known, nDCG@10 of the windows the two order differently;
(c) whole runs replayed, each window answered by what its log recorded for these passages in this order.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import ir_measures
from ir_measures import nDCG

from listwise.permutation import complete, parse
from listwise.strategies.base import play
from listwise.strategies.sliding import sliding

Reader = Callable[[str, int], Sequence[int]]
Run = dict[str, list[str]]
"""The ranking of each query: qid to docids, best first."""
Qrels = Mapping[str, Mapping[str, int]]
"""The judgements of each query: qid to docid to grade."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer; ``docids`` are those of the window in the order shown, None where not recorded."""

    model: str
    text: str
    n: int
    log: str | None = None
    first_stage: str = ""
    depth: int = 0
    qid: str = ""
    docids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """One log replayed with one reader."""

    orders: Run
    """Every query, down to its last recorded window; from there on windows keep their order."""
    whole: frozenset[str]
    """The queries all of whose windows are recorded."""


def read_answers(path: Path) -> list[Answer]:
    """The recorded answers in ``path``, one JSON object a line, gzipped."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [_answer(json.loads(line)) for line in lines]


def _answer(record: dict[str, object]) -> Answer:
    docids = record.get("docids")
    return Answer(
        model=str(record["model"]),
        text=str(record["response"]),
        n=int(str(record["num_passages"])),
        log=str(record["log"]) if "log" in record else None,
        first_stage=str(record.get("first_stage", "")),
        depth=int(str(record.get("depth", 0))),
        qid=str(record.get("qid", "")),
        docids=tuple(map(str, docids)) if isinstance(docids, list) else None,
    )


def read_run(path: Path) -> Run:
    """A TREC run, gzipped, in the order of its file."""
    run: Run = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            qid, _, docid, *_ = line.split()
            run[qid].append(docid)
    return dict(run)


def read_qrels(path: Path) -> Qrels:
    """TREC judgements."""
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        qid, _, docid, grade = line.split()
        qrels[qid][docid] = int(grade)
    return dict(qrels)


def ours(text: str, n: int) -> Sequence[int]:
    """Positions from 0 by this library."""
    return complete(parse(text, n))


def every_number(text: str, n: int) -> Sequence[int]:
    """Positions from 0 as RankGPT's ``receive_permutation`` reads them: what is not a digit becomes a space."""
    numbers = [int(number) - 1 for number in re.sub(r"[^0-9]", " ", text).split()]
    named = [position for position in dict.fromkeys(numbers) if 0 <= position < n]
    return [*named, *(position for position in range(n) if position not in named)]


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Plain columns, the first one left-aligned."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(line))
        for line in ([*zip(row, widths, strict=True)] for row in cells)
    )


def report_repairs(answers: Sequence[Answer]) -> str:
    """(a) Answers by model: how many needed each kind of repair, and how many hold no ranking.

    Raises:
        AssertionError: an answer did not become a permutation.
    """
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    started = time.perf_counter()
    for answer in answers:
        parsed = parse(answer.text, answer.n)
        assert sorted(complete(parsed)) == list(range(answer.n)), answer
        counted = kinds[answer.model]
        counted["answers"] += 1
        counted["as asked"] += not parsed.repairs and parsed.failure is None
        counted.update(parsed.repairs.keys())
        if parsed.failure is not None:
            counted[f"failed: {parsed.failure}"] += 1
    seconds = time.perf_counter() - started
    models = list(kinds)
    found = sorted(
        {kind for counted in kinds.values() for kind in counted} - {"answers", "as asked"}, key=_failures_last
    )
    rows = [(kind, *(kinds[model][kind] for model in models)) for kind in ("answers", "as asked", *found)]
    return (
        f"{len(answers)} answers, every one a valid permutation ({1e6 * seconds / len(answers):.0f} us each)\n"
        + table(rows, ("answers with", *models))
    )


def _failures_last(kind: str) -> tuple[bool, str]:
    return kind.startswith("failed"), kind


def differing(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Those that the two readers order differently."""
    return (a for a in answers if list(ours(a.text, a.n)) != list(every_number(a.text, a.n)))


def report_differences(answers: Sequence[Answer], examples: int, qrels: Qrels) -> str:
    """(b) Orders that differ between the readers, by model, with some answers, each shape of answer once."""
    total = Counter(answer.model for answer in answers)
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in differing(answers):
        found[answer.model].append(answer)
    rows = [(model, count, len(found[model]), *_window_ndcg(found[model], qrels)) for model, count in total.items()]
    rows.append(("all", total.total(), sum(map(len, found.values())), "", ""))
    lines = [table(rows, ("model", "answers", "orders differ", "nDCG@10 there, ours", "every number"))]
    for model, differ in found.items():
        shapes = {re.sub(r"\d+", "9", answer.text)[:60]: answer for answer in differ}
        for answer in [*shapes.values()][:examples]:
            text = answer.text if len(answer.text) <= 300 else f"{answer.text[:200]} ... {answer.text[-100:]}"
            lines.append(f"\n{model}: {text!r}")
            lines += [
                f"  {name:13}" + " ".join(str(position + 1) for position in reader(answer.text, answer.n))
                for name, reader in (("ours", ours), ("every number", every_number))
            ]
    return "\n".join(lines)


def _window_ndcg(answers: Sequence[Answer], qrels: Qrels) -> tuple[str, str]:
    """Mean nDCG@10 of the windows alone, each against the judgements of its own passages, by either reader."""
    known = [answer for answer in answers if answer.docids is not None]
    if not known:
        return "", ""
    judged: list[ir_measures.Qrel] = []
    runs: tuple[Run, Run] = ({}, {})
    for i, answer in enumerate(known):
        docids = answer.docids or ()
        grades = qrels[answer.qid]
        judged += [ir_measures.Qrel(str(i), docid, grades.get(docid, 0)) for docid in docids]
        for run, reader in zip(runs, (ours, every_number), strict=True):
            run[str(i)] = [docids[position] for position in reader(answer.text, answer.n)]
    one, other = (fmean(ndcg(run, judged).values()) for run in runs)
    return f"{one:.4f}", f"{other:.4f}"


def ndcg(run: Run, qrels: Iterable[ir_measures.Qrel]) -> dict[str, float]:
    """nDCG@10 by query."""
    scored = [
        ir_measures.ScoredDoc(qid, docid, float(-rank))
        for qid, docids in run.items()
        for rank, docid in enumerate(docids)
    ]
    return {metric.query_id: metric.value for metric in ir_measures.iter_calc([nDCG @ 10], list(qrels), scored)}


def replay(
    first_stage: Run, recorded: Mapping[tuple[str, tuple[str, ...]], str], depth: int, reader: Reader
) -> Replay:
    """Replay one log: sliding windows of 20 by 10 over the first stage, each answered from the recording."""
    orders: Run = {}
    whole: set[str] = set()
    for qid, listed in first_stage.items():
        docids = listed[:depth]
        missing = 0

        def rank(window: tuple[int, ...], qid: str = qid, docids: list[str] = docids) -> Sequence[int] | None:
            nonlocal missing
            text = recorded.get((qid, tuple(docids[index] for index in window)))
            missing += text is None
            return None if text is None else reader(text, len(window))

        final = play(sliding(window=20, stride=10, depth=depth), len(docids), rank)[-1].best
        orders[qid] = [docids[index] for index in final]
        if not missing:
            whole.add(qid)
    return Replay(orders, frozenset(whole))


def report_replays(answers: Sequence[Answer], data: Path, qrels: Qrels) -> str:
    """(c) nDCG@10 of whole runs with either reader, log by log."""
    logs: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        logs[answer.log or ""].append(answer)
    judged = [ir_measures.Qrel(qid, docid, grade) for qid, docs in qrels.items() for docid, grade in docs.items()]
    published = _published(data)
    rows: list[Sequence[object]] = []
    totals: Counter[str] = Counter()
    same = Counter[str]()
    for log, windows in logs.items():
        first = windows[0]
        stage = read_run(data / "dl19" / f"{first.first_stage}.trec.gz")
        recorded = {(w.qid, w.docids): w.text for w in windows if w.docids is not None}
        queries = {w.qid for w in windows}
        stage = {qid: docids for qid, docids in stage.items() if qid in queries}
        mine, theirs = (replay(stage, recorded, first.depth, reader) for reader in (ours, every_number))
        both = mine.whole & theirs.whole
        totals.update(queries=len(stage), ours=len(mine.whole), every=len(theirs.whole), both=len(both))
        rows.append(
            (
                f"{first.model}, {first.first_stage}, {first.depth}, {_when(log)}",
                len(stage),
                len(theirs.whole),
                len(mine.whole),
                *_means((mine, theirs), both, judged),
                *_means((mine, theirs), frozenset(stage), judged),
            )
        )
        if (run := published.get((first.first_stage, first.depth, re.sub(r"\D", "", _when(log))))) is not None:
            same.update(runs=1, queries=len(stage), whole=len(theirs.whole))
            same["every"] += sum(theirs.orders[qid] == run[qid] for qid in theirs.whole)
            same["ours"] += sum(mine.orders[qid] == run[qid] for qid in mine.whole)
    header = (
        "log (model, first stage, depth, when)", "queries", "whole: every", "ours",
        "nDCG@10, both whole: ours", "every", "nDCG@10, all, rest kept: ours", "every",
    )  # fmt: skip
    return f"{table(rows, header)}\n\n{_in_words(totals, same)}"


def _in_words(totals: Mapping[str, int], same: Mapping[str, int]) -> str:
    return f"""\
{totals["queries"]} query runs. All windows are recorded for {totals["every"]} of them if every number counts, as it
did when they were recorded; for {totals["ours"]} with our reader; for {totals["both"]} with both. Where our reader
orders a window differently, the next window holds other passages than the one recorded, and has no answer. Such a
run is not whole; in the last two columns its other windows keep their order.
Of {same["runs"]} logs the resulting TREC run is known, {same["queries"]} queries. Replayed whole: {same["whole"]};
identical to the TREC run: {same["every"]} (every number), {same["ours"]} (ours)."""


def _means(replays: Iterable[Replay], qids: frozenset[str], qrels: Iterable[ir_measures.Qrel]) -> tuple[str, ...]:
    """Mean nDCG@10 over ``qids`` for each replay; a dash where there are none."""
    if not qids:
        return ("-", "-")
    judged = list(qrels)
    by_query = (ndcg({qid: one.orders[qid] for qid in qids}, judged) for one in replays)
    return tuple(f"{fmean(values.get(qid, 0.0) for qid in qids):.4f}" for values in by_query)


def _when(log: str) -> str:
    return log.rpartition("_")[2].partition(".")[0]


def _published(data: Path) -> dict[tuple[str, int, str], Run]:
    """The recorded RankVicuna runs by first stage, depth and the digits of their time."""
    runs: dict[tuple[str, int, str], Run] = {}
    for path in (data / "dl19" / "llm_runs").glob("rank_vicuna_7b__*.trec.gz"):
        _, stage, depth, when = path.name.removesuffix(".trec.gz").split("__")
        runs[stage, int(depth.removeprefix("top")), re.sub(r"\D", "", when)] = read_run(path)
    return runs


def main() -> None:
    """Print all three parts."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the research data")
    options.add_argument("--examples", type=int, default=0, metavar="N", help="answers to print for each model")
    arguments = options.parse_args()
    data: Path = arguments.data
    qrels = read_qrels(data / "dl19" / "qrels.txt")
    windows = read_answers(data / "responses" / "dl19.jsonl.gz")
    reasoning = read_answers(data / "responses" / "gpt35_reasoning.jsonl.gz")
    for name, answers in (("windows of DL19", windows), ("reasoning, then a ranking", reasoning)):
        print(f"(a) {name}: {report_repairs(answers)}\n")
        print(f"(b) {report_differences(answers, arguments.examples, qrels)}\n")
    print(f"(c) {report_replays(windows, data, qrels)}")


if __name__ == "__main__":
    main()
