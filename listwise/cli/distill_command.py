"""``listwise distill``."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import click

from listwise.cli.inputs import input_options, requests_given
from listwise.distill.lessons import LOSS_NAMES, LossName
from listwise.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from listwise.distill.opinions import Opinions, Source
    from listwise.distill.records import Record
    from listwise.types import Request

EXAMPLES = """Train a local cross-encoder from judgements, an LLM's orders and scores.

\b
Examples:
  listwise distill --start MiniLM --out ours --requests requests.jsonl --trace trace.jsonl
  listwise distill --start MiniLM --out ours --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec \\
      --permutations gpt-4o.trec --qrels qrels.txt
  listwise distill --start ours --out ours2 --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec \\
      --teacher splade.trec --loss teacher=listmle --epochs 2 --held-out 0.1 --seed 7
  listwise rerank --requests requests.jsonl --local ours --out local.trec

Teachers are files, any mix of them, each option as often as wanted. Some of the queries are held out; training
stops when nDCG@10 on them rises no more, and the best weights are kept. What was gained is on OUT/CARD.md.

Interrupted work keeps its last checkpoint; run the same command again to go on. Needs the extra listwise[train].
"""

LIBRARIES = ("torch", "transformers", "onnx", "safetensors")
SOURCES: tuple[Source, ...] = ("qrels", "trace", "permutations", "teacher")


@click.command("distill", help=EXAMPLES, short_help="Train a local cross-encoder.")
@input_options
@click.option(
    "--start", required=True, metavar="DIR", help="A BERT to start from, or a hub name in the local cache."
)
@click.option("--out", required=True, metavar="DIR", help="Where the model goes; checkpoints meanwhile.")
@click.option("--qrels", multiple=True, metavar="FILE", help="Judgements, TREC's or BEIR's.")
@click.option(
    "--trace", multiple=True, metavar="FILE.jsonl", help="An LLM's windows, of `listwise rerank --trace`."
)
@click.option(
    "--permutations", multiple=True, metavar="RUN", help="An LLM's rankings, by rank: TREC, or rank_llm's JSONL."
)
@click.option("--teacher", multiple=True, metavar="RUN", help="A better ranker's TREC run, by its scores.")
@click.option(
    "--loss",
    "losses",
    multiple=True,
    metavar="[SOURCE=]LOSS",
    help=f"{', '.join(LOSS_NAMES)}; for all, or e.g. trace=lambda. "
    "[qrels=cross-entropy trace=ranknet permutations=ranknet teacher=margin-mse]",
)
@click.option(
    "--held-out", type=click.FloatRange(0, 0.9), default=0.2, help="Share of the queries, 100 at most. [0.2]"
)
@click.option("--measure-with", metavar="FILE", help="Judgements to measure by, not learnt from. [the teachers]")
@click.option("--epochs", type=click.IntRange(1), default=3, help="Times that a lesson is seen at most. [3]")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=3e-5, help="Peak learning rate. [3e-5]")
@click.option("--lessons", type=click.IntRange(1), default=4, metavar="N", help="Lists in a step. [4]")
@click.option("--draw", type=click.IntRange(2), default=16, metavar="N", help="Passages of a list in a step. [16]")
@click.option("--max-tokens", type=click.IntRange(16), default=256, metavar="N", help="Longest input. [256]")
@click.option(
    "--check-every", type=click.IntRange(1), default=50, metavar="STEPS", help="Check and checkpoint. [50]"
)
@click.option("--patience", type=click.IntRange(1), default=3, metavar="N", help="Checks without a new best. [3]")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N", help="Same seed, same weights. [0]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="[auto]")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Of the processor. [all]")
def command(**options: Any) -> int:
    """See ``EXAMPLES``."""
    files = {source: options.pop(source) for source in SOURCES}
    losses = losses_given(options.pop("losses"))
    if not any(files.values()):
        raise ConfigError("nothing to learn from: give --qrels, --trace, --permutations or --teacher")
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        raise MissingExtra(f"training, without {missing[0]},", "train")
    corpus = options["corpus"]
    return distill_all(requests_given(options), corpus, files, losses, options)


def losses_given(named: tuple[str, ...]) -> dict[Source, LossName]:
    """The loss of each source: the defaults, but for those named.

    Raises:
        ConfigError: there is no such loss or source.
    """
    from listwise.distill.opinions import DEFAULT_LOSS, Source

    chosen = dict(DEFAULT_LOSS)
    for each in named:
        source, equals, loss = each.rpartition("=")
        if loss not in LOSS_NAMES or (equals and source not in get_args(Source)):
            raise ConfigError(
                f"--loss {each}: expected one of {', '.join(LOSS_NAMES)}, or SOURCE=LOSS with a source of "
                f"{', '.join(get_args(Source))}"
            )
        for name in [cast("Source", source)] if equals else list(chosen):
            chosen[name] = loss
    return chosen


def distill_all(
    requests: list[Request],
    corpus: str | None,
    files: dict[Source, tuple[str, ...]],
    losses: dict[Source, LossName],
    options: dict[str, Any],
) -> int:
    """Read the teachers, train, and say what came of it; returns the exit code."""
    from listwise.cli.training_screen import following_training
    from listwise.distill.opinions import read_opinions
    from listwise.formats import read_qrels
    from listwise.models.local import directory_of

    opinions = [read_opinions(source, path) for source, paths in files.items() for path in paths]
    judgements = read_qrels(options["measure_with"]) if options["measure_with"] else None
    start, texts = directory_of(options["start"]), _other_texts(requests, opinions, corpus)
    _ready(options["threads"])
    from listwise.distill.distillation import distil, make_task
    from listwise.distill.fitting import Interrupted, Recipe

    task = make_task(
        requests,
        opinions,
        texts=texts,
        losses=losses,
        share=options["held_out"],
        seed=options["seed"],
        judgements=judgements,
    )
    recipe = Recipe(
        lessons_a_step=options["lessons"],
        passages_a_lesson=options["draw"],
        **{name: options[name] for name in ("epochs", "rate", "check_every", "patience", "seed")},
    )
    click.echo(
        f"listwise: {len(task.lessons)} lists to learn from, {len(task.exams)} queries held out, "
        f"{recipe.steps(len(task.lessons))} steps at most",
        err=True,
    )
    stopped = _Stop()
    out = Path(options["out"])
    try:
        with stopped, following_training() as report:
            record = distil(
                task,
                start,
                out,
                recipe,
                max_tokens=options["max_tokens"],
                device=options["device"],
                report=report,
                stop=lambda: stopped.number is not None,
            )
    except Interrupted as interrupted:
        click.echo(f"listwise: {interrupted}; run the same command again to go on", err=True)
        return 128 + (stopped.number or signal.SIGINT)
    except FloatingPointError as error:
        click.echo(f"listwise: {error}; the last checkpoint is kept", err=True)
        return 1
    _show(record, out)
    return 0


class _Stop:
    """While entered, takes the first SIGINT or SIGTERM as a wish to stop after the step; the next one is obeyed."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: object) -> None:
        self.number = number
        for taken, handler in self._before.items():
            signal.signal(taken, handler)


def _ready(threads: int | None) -> None:
    """Load torch, with threads that sleep while they wait: beside other work, spinning ones take three times as
    long."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_flush_denormal(True)
    if threads:
        torch.set_num_threads(threads)


def _other_texts(requests: list[Request], opinions: list[Opinions], corpus: str | None) -> dict[str, str]:
    """Texts of passages that somebody judged or ranked, but the first stage did not find."""
    from listwise.formats import fetch_passages

    if corpus is None:
        return {}
    qids = {request.query.qid for request in requests}
    said = {
        docid
        for each in opinions
        for qid, lists in each.by_query.items()
        if qid in qids
        for utilities in lists
        for docid in utilities
    }
    known = {candidate.docid for request in requests for candidate in request.candidates}
    found = fetch_passages(corpus, said - known)
    return {docid: f"{one.title} {one.text}" if one.title else one.text for docid, one in found.items()}


def _show(record: Record, out: Path) -> None:
    from listwise.cli.screen import console

    screen = console()
    for name, each in record.measures.items():
        interval = each.interval
        screen.print(f"nDCG@10 {interval.mean:.4f} ({interval.low:.3f} to {interval.high:.3f})  {name}")
    if record.gain is not None:
        base, found = record.gain
        low, high = found.difference.low, found.difference.high
        screen.print(f"int8 against the {base}: {found.difference.mean:+.4f} ({low:+.4f} to {high:+.4f})")
    screen.print(f"written: {out}; what it is made of is on {out / 'CARD.md'}; use it with --local {out}")
