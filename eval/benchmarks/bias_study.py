"""Studies of positional bias: of a planted one, of recorded answers, of a small real model, and how fast they are.

    python -m eval.benchmarks.bias_study simulated --data DIR [--seeds 20] [--alarms 400]
    python -m eval.benchmarks.bias_study recorded --data DIR [--figures FOLDER]
    python -m eval.benchmarks.bias_study real --data DIR [--queries 6]
    python -m eval.benchmarks.bias_study speed

simulated  Rankers with each kind of bias, over the first 20 of BM25 on DL19 in 10 random orders: how the estimates
           compare with what was planted (`listwise.eval.bias.planted`), how often the planted curve lies within its
           band and its points within their intervals, and how often something is found: for no bias, a false alarm.
recorded   RankVicuna and Vicuna on DL19, a study for each model.
real       SmolLM2-135M by llama.cpp's server, through ``listwise bias`` itself.
speed      100 made-up queries with 100 candidates, each in 10 random orders: the study again from the cache, and
           from its trace.

**What is simulated says nothing about a real model.**
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from itertools import groupby
from pathlib import Path
from statistics import fmean

import numpy as np

from listwise.cli.bias_command import command
from listwise.eval.bias.effects import contrasts
from listwise.eval.bias.observations import Floats, Observation
from listwise.eval.bias.orders import shuffles
from listwise.eval.bias.planted import expected_curve
from listwise.eval.bias.plots import PICTURES
from listwise.eval.bias.positions import Positions, reordered_positions
from listwise.eval.bias.recorded import read_answers
from listwise.eval.bias.study import study_of
from listwise.eval.bias.words import chance, percent, spread, verdict
from listwise.eval.simulate import SimulatedRanker, Traits
from listwise.formats import read_qrels, read_run

PLANTED: Mapping[str, Traits] = {
    "none": Traits(),
    "head": Traits(bias="head", strength=1.0),
    "tail": Traits(bias="tail", strength=1.0),
    "ends": Traits(bias="ends", strength=1.0),
    "middle": Traits(bias="middle", strength=1.0),
    "a weak head": Traits(bias="head", strength=0.1),
    "echo in 10 %": Traits(echo=0.1),
    "ends, echo in 10 %": Traits(bias="ends", strength=1.0, echo=0.1),
}
SHAPES = ("slope", "bend", "first", "last")
WINDOW, ORDERS = 20, 10


@dataclass(frozen=True, slots=True)
class Head:
    """The first candidates of a query."""

    qid: str
    docids: tuple[str, ...]


def simulated(data: Path, seeds: int, alarms: int) -> Iterator[str]:
    """Planted against found, in means over rankers that differ in their seed."""
    grades = {qid: {docid: float(grade) for docid, grade in of.items()} for qid, of in _qrels(data).items()}
    heads = _heads(data, WINDOW)
    yield (
        f"SIMULATION: {seeds} rankers of each kind; DL19, {len(heads)} queries, BM25's first {WINDOW} in {ORDERS} "
        "random orders. Planted / found, in ranks\n"
    )
    yield f"| planted | {' | '.join(SHAPES)} | curve in band | points in intervals | p < .05: any | slope | top |"
    yield "|---" * 8 + "|"
    for name, traits in PLANTED.items():
        found = [_trial(heads, grades, replace(traits, seed=seed), seed) for seed in range(seeds)]
        shapes = (
            f"{_mean(found, 'planted', shape):+.2f} / {_mean(found, 'found', shape):+.2f}" for shape in SHAPES
        )
        shares = (fmean(getattr(each, what) for each in found) for what in ("whole", "points", *_TESTS))
        yield f"| {name} | {' | '.join(shapes)} | {' | '.join(f'{share:.0%}' for share in shares)} |"
    small = [Head(each.qid, each.docids[:10]) for each in heads]
    found = [_trial(small, grades, Traits(seed=1000 + seed), seed, 5) for seed in range(alarms)]
    rates = {what: fmean(getattr(each, what) for each in found) for what in _TESTS}
    yield f"\nFalse alarms at .05, no bias, {alarms} rankers, windows of 10 in 5 orders (two standard errors: "
    yield f"{2 * (0.05 * 0.95 / alarms) ** 0.5:.1%}): " + ", ".join(
        f"{what} {rate:.1%}" for what, rate in rates.items()
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """One study of one simulated ranker."""

    planted: Mapping[str, float]
    found: Mapping[str, float]
    whole: bool
    """Whether the planted curve lies within the band,"""
    points: float
    """and which share of its points within their own intervals."""
    any_effect: bool
    slope: bool
    top: bool


_TESTS = ("any_effect", "slope", "top")


def _trial(
    heads: Sequence[Head],
    grades: Mapping[str, Mapping[str, float]],
    traits: Traits,
    seed: int,
    orders: int = ORDERS,
) -> Trial:
    ranker = SimulatedRanker(traits, grades)
    observations = [
        Observation("sim", head.qid, each.docids, ranker.rank(head.qid, each.docids), {}, "shuffled", each.sample)
        for head in heads
        for each in shuffles(head.docids, orders, f"{seed} {head.qid}")
    ]
    size = len(heads[0].docids)
    positions = reordered_positions(observations, size, seed)
    assert positions is not None
    effects = positions.effects
    assert effects is not None
    curve: Floats = expected_curve(ranker, [(head.qid, head.docids) for head in heads])
    inside = [each.low <= at <= each.high for each, at in zip(effects.curve, curve, strict=True)]
    return Trial(
        planted={shape: float(curve @ weight) for shape, weight in contrasts(size).items()},
        found={shape: getattr(effects, shape).value for shape in SHAPES},
        whole=all(low <= at <= high for (low, high), at in zip(effects.band, curve, strict=True)),
        points=float(np.mean(inside)),
        any_effect=effects.p < 0.05,
        slope=(effects.slope.p or 0) < 0.05,
        top=(positions.top.p or 0) < 0.05,
    )


def _mean(found: Sequence[Trial], of: str, shape: str) -> float:
    return fmean(getattr(each, of)[shape] for each in found)


def recorded(data: Path, figures: Path | None) -> Iterator[str]:
    """A line for each model, and its verdict."""
    grades = {(qid, docid): float(grade) for qid, of in _qrels(data).items() for docid, grade in of.items()}
    answers = sorted(read_answers(data / "responses" / "dl19.jsonl.gz"), key=lambda each: each.model)
    studies = [study_of(list(of), grades=grades) for _, of in groupby(answers, key=lambda each: each.model)]
    yield (
        "| model | answers | unreadable | mended | echoed | windows for position | slope | first | last "
        "| ends - middle | any effect | on top: shown first |\n" + "|---" * 12 + "|"
    )
    for study in studies:
        habits, main = study.habits, study.positions[0] if study.positions else None
        shares = (f"{each.value:.1%}" for each in (habits.unreadable, habits.mended, habits.echoed))
        yield f"| {study.model} | {study.windows} | {' | '.join(shares)} | {_row(main)} |"
    for study in studies:
        yield f"\n{study.model}\n"
        yield from (f"- {said}" for said in verdict(study))
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
        PICTURES["curve"](studies, figures / "bias-recorded.svg")


def _row(main: Positions | None) -> str:
    if main is None or main.effects is None:
        return "too few" + " | -" * 6
    effects = main.effects
    assert effects.bend is not None
    moved = (spread(each, 1, sign=True) for each in (effects.first, effects.last, effects.bend))
    top = f"{percent(main.top.share[0])}, {main.top.expected[0]:.1%} by chance"
    return f"{main.windows} | {spread(effects.slope, 2)} | {' | '.join(moved)} | {chance(effects.p)} | {top}"


def real(data: Path, queries: int) -> Iterator[str]:
    """SmolLM2 over windows of four; its answers go into the usual cache, so that an interrupted study goes on."""
    from listwise.models.llamacpp import MODEL, smollm_server

    folder = data / "dl19"
    with smollm_server() as url:
        qids = (part for head in _heads(data, WINDOW)[:queries] for part in ("--qid", head.qid))
        started = time.process_time()
        shown = _bias(
            *("--llm", f"openai/{MODEL}", "--base-url", url, "--prompt", "structured", "--max-output-tokens", "40"),
            *("--queries", folder / "queries.tsv", "--corpus", folder / "corpus.jsonl.gz"),
            *("--run", folder / "bm25.trec.gz", *qids),
            *("--window", "4", "--shuffles", "4", "--ledger", "off", "--timeout", "300"),
        )
    yield shown
    yield f"{time.process_time() - started:.0f} s of CPU"


def speed() -> Iterator[str]:
    """The same study, asked, from the cache, and from its trace."""
    draw = random.Random(0)
    words = [f"word{at}" for at in range(500)]
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own)
        docids = {f"q{query}": [f"d{query}-{at}" for at in range(100)] for query in range(100)}
        (folder / "queries.tsv").write_text("".join(f"{qid}\tabout {qid}\n" for qid in docids))
        texts = (
            json.dumps({"id": docid, "text": " ".join(draw.choices(words, k=60))})
            for of in docids.values()
            for docid in of
        )
        (folder / "corpus.jsonl").write_text("\n".join(texts) + "\n")
        run = (
            f"{qid} Q0 {each} {at} {200 - at} run\n" for qid, of in docids.items() for at, each in enumerate(of, 1)
        )
        (folder / "run.trec").write_text("".join(run))
        grades = (
            f"{qid} 0 {each} {draw.choices([0, 1, 2, 3], [6, 2, 1, 1])[0]}\n"
            for qid, of in docids.items()
            for each in of
        )
        (folder / "qrels.txt").write_text("".join(grades))
        qrels = ("--qrels", folder / "qrels.txt")
        live = (
            *("--llm", f"sim/biased,qrels={folder / 'qrels.txt'}", "--queries", folder / "queries.tsv"),
            *("--corpus", folder / "corpus.jsonl", "--run", folder / "run.trec", *qrels, "--depth", "100"),
            *("--shuffles", "10", "--cache", folder / "cache", "--cache-size", "2GiB"),
        )
        first = {"asked": (*live, "--out", folder / "out"), "from the cache": live}
        for name, arguments in {
            **first,
            "from its trace": ("--trace", folder / "out" / "trace.jsonl", *qrels),
        }.items():
            wall, cpu = time.perf_counter(), time.process_time()
            shown = _bias(*arguments)
            took = f"{time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} s of CPU"
            yield f"{name}: {took}; {shown.splitlines()[0]}"


def _bias(*arguments: object) -> str:
    """What ``listwise bias`` prints."""
    shown = StringIO()
    with redirect_stdout(shown):
        command.main([*map(str, arguments)], standalone_mode=False)
    return shown.getvalue()


def _qrels(data: Path) -> Mapping[str, Mapping[str, int]]:
    return read_qrels(data / "dl19" / "qrels.txt")


def _heads(data: Path, size: int) -> list[Head]:
    """Of judged queries."""
    judged = _qrels(data)
    run = read_run(data / "dl19" / "bm25.trec.gz")
    return [Head(qid, tuple(each.docid for each in of[:size])) for qid, of in run.items() if qid in judged]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["simulated", "recorded", "real", "speed"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the research data")
    parser.add_argument("--seeds", type=int, default=20, help="simulated rankers of each kind [20]")
    parser.add_argument("--alarms", type=int, default=400, help="simulated rankers without bias [400]")
    parser.add_argument("--queries", type=int, default=6, help="for the real model [6]")
    parser.add_argument("--figures", type=Path, help="folder for the pictures of the recorded models")
    chosen = parser.parse_args()
    parts = {
        "simulated": lambda: simulated(chosen.data, chosen.seeds, chosen.alarms),
        "recorded": lambda: recorded(chosen.data, chosen.figures),
        "real": lambda: real(chosen.data, chosen.queries),
        "speed": speed,
    }
    for line in parts[chosen.part]():
        print(line, flush=True)


if __name__ == "__main__":
    main()
