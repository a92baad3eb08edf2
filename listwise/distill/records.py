"""What is kept of a training: ``training.json`` for programs, and ``CARD.md`` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from listwise import __version__
from listwise.distill.checkpoints import write_beside
from listwise.distill.fitting import Check
from listwise.eval.measures import Comparison, Interval, Measured, compare

RECORD, CARD = "training.json", "CARD.md"
LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class Record:
    """A training that is done."""

    settings: Mapping[str, Any]
    """That would have to be the same to go on with it: the recipe, the start, a digest of the lessons."""
    data: Sequence[Mapping[str, Any]]
    """A row a file of opinions: its name, source and loss, with the queries, lists and pairs learnt from."""
    truth: str
    """What the held-out queries are measured by."""
    checks: Sequence[Check]
    best: Check
    seconds: float
    precision: str
    """Of the matrix products in training."""
    device: str
    measures: Mapping[str, Measured]
    """nDCG@10 on the held-out queries: of the first stage, the start where it is a cross-encoder, and what was
    trained. Empty where no queries were held out."""

    @property
    def gain(self) -> tuple[str, Comparison] | None:
        """What the int8 model is held against, and how it compares, query by query."""
        if not self.measures:
            return None
        base = "start" if "start" in self.measures else "first stage"
        return base, compare(self.measures["trained, int8"], self.measures[base])


def write_record(record: Record, out: Path) -> None:
    """Write both files, the one for programs last: a directory that has it is complete."""
    write_beside(out / CARD, card(record).encode())
    write_beside(out / RECORD, (json.dumps(asdict(record), indent=2) + "\n").encode())


def read_record(out: Path) -> Record | None:
    """The record of a training that is done; None where there is none."""
    path = out / RECORD
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    measures = {
        name: Measured(each["measure"], each["by_query"], Interval(**each["interval"]))
        for name, each in kept.pop("measures").items()
    }
    checks, best = [Check(**each) for each in kept.pop("checks")], Check(**kept.pop("best"))
    return Record(**kept, checks=checks, best=best, measures=measures)


def card(record: Record) -> str:
    """The card, in Markdown."""
    settings = record.settings
    parts = [
        "# A cross-encoder distilled by `listwise distill`",
        f"Reads query and passage together, at most {settings['max_tokens']} tokens. `model.onnx` is int8 with "
        "fixed scales, so that a score does not depend on what is scored beside it; `model.fp32.onnx` and "
        "`model.safetensors` are the same weights in float32. Scores are logits: higher is better, comparable "
        "within a query.",
        "## Data",
        _table(
            ("file", "source", "loss", "queries", "lists", "pairs"),
            [
                [str(row[key]) for key in ("file", "source", "loss", "queries", "lists", "pairs")]
                for row in record.data
            ],
        ),
        "Counts are of what was learnt from; held-out queries are not in them. A list is a query's judgements or "
        "scores, or one permutation.",
        "## Recipe",
        _table(("setting", "value"), [[name, str(value)] for name, value in settings.items()]),
        f"{record.checks[-1].step} steps in {record.seconds:.0f} s on {record.device}, matrix products in "
        f"{record.precision}. {_best(record)}",
        "## Measures",
        *_measures(record),
        "## Checks",
        _table(
            ("step", "loss since the last", "nDCG@10"),
            [[str(each.step), _figure(each.loss), _figure(each.ndcg)] for each in record.checks],
        ),
        "## Versions",
        ", ".join([f"listwise {__version__}", *(f"{name} {version(name)}" for name in LIBRARIES)]),
    ]
    return "\n\n".join(parts) + "\n"


def _measures(record: Record) -> list[str]:
    gain = record.gain
    if gain is None:
        return ["None: no queries were held out."]
    rows = [
        [name, f"{each.interval.mean:.4f}", f"{each.interval.low:.4f} to {each.interval.high:.4f}"]
        for name, each in record.measures.items()
    ]
    base, found = gain
    difference = found.difference
    queries = len(next(iter(record.measures.values())).by_query)
    return [
        f"nDCG@10 over {queries} held-out queries, by {record.truth}, with 95 % bootstrap intervals over queries. "
        "The checkpoint was chosen on the same queries, so what was trained looks better here than on others.",
        _table(("ranked by", "nDCG@10", "95 %"), rows),
        f"int8 against the {base}: {difference.mean:+.4f} ({difference.low:+.4f} to {difference.high:+.4f}), "
        f"p = {found.p_value:.3f} (paired randomisation), better on {found.wins} queries, worse on {found.losses}."
        + ("" if difference.low > 0 else " **The interval does not exclude that nothing was gained.**"),
    ]


def _best(record: Record) -> str:
    if record.best.ndcg is None:
        return "The last weights were kept."
    if record.best.step == 0:
        return "**No check was better than the start: the weights are those of the start.**"
    return f"The weights after step {record.best.step}, the best check, were kept."


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
