"""Runs side by side: their measures, ceilings, differences to a baseline, and what these cost. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from listwise.eval.ceilings import Ceiling, FirstStage, first_stage, strangers
from listwise.eval.costs import Bill, Receipts, bill, gain_per_usd
from listwise.eval.measures import Measured, compare, evaluate
from listwise.eval.statistics import Comparison, Interval, Test, holm
from listwise.formats.trec import Qrels, Run

Correction = Literal["holm", "none"]


@dataclass(frozen=True, slots=True)
class Entrant:
    """A run to be measured."""

    name: str
    run: Run
    simulated: bool = False
    """Whether a simulated model had a part in it."""
    receipts: Receipts | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One run under one measure."""

    measured: Measured
    ceiling: Ceiling
    """Of the candidates that the run re-ranks."""
    comparison: Comparison | None = None
    """With the baseline; None for the baseline itself, and where there is none."""
    p_corrected: float | None = None
    """Corrected over the runs that were compared under this measure; None where that was not asked for."""
    gain_per_usd: Interval | None = None
    """The measure gained over the baseline, summed over the judged queries, for each dollar paid more than for the
    baseline; None where nothing more was paid, or no price or no receipts are known."""

    @property
    def binds(self) -> bool:
        """Whether the first stage is what holds the run back."""
        return self.ceiling.binds(self.measured.interval)


@dataclass(frozen=True, slots=True)
class Standing:
    """One run under all measures."""

    entrant: Entrant
    lines: tuple[Line, ...]
    stage: FirstStage
    stage_name: str
    """Whose candidates it re-ranks: the first stage named, or its own."""
    strangers: int
    """Documents that the first stage named lacks: then the candidates are taken to be the run's own."""
    bill: Bill | None
    """Of the judged queries; None without receipts."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured, and against what."""

    qrels: Qrels
    measures: tuple[str, ...]
    baseline: Entrant | None = None
    first: Entrant | None = None
    """The first stage that the runs re-rank, and the baseline where none is named."""
    depth: int | None = None
    """How many of its candidates of each query a re-ranker sees; None for all."""
    test: Test = "randomisation"
    correction: Correction = "holm"

    @property
    def base(self) -> Entrant | None:
        """What runs are compared with."""
        return self.baseline or self.first


def standings(entrants: Iterable[Entrant], question: Question) -> list[Standing]:
    """Measure runs and set them side by side, in their order.

    Raises:
        ConfigError, InputError, MissingExtra: as for `listwise.eval.measures.evaluate`.
    """
    base = question.base
    base_measured = _measured(base, question) if base else []
    base_bill = _bill(base, question.qrels) if base else None
    shared = _stage(question.first, question) if question.first else None
    found = [_standing(entrant, question, shared, base_measured, base_bill) for entrant in entrants]
    return _corrected(found) if question.correction == "holm" else found


def _standing(
    entrant: Entrant,
    question: Question,
    shared: FirstStage | None,
    base_measured: Sequence[Measured],
    base_bill: Bill | None,
) -> Standing:
    first = question.first
    strange = strangers(entrant.run, first.run) if first else 0
    own = first is None or shared is None or strange > 0
    stage = _stage(entrant, question) if own else shared
    assert stage is not None
    measured = _measured(entrant, question)
    compared = _comparisons(measured, base_measured, question) if _differs(entrant, question.base) else None
    spent = _bill(entrant, question.qrels)
    lines = tuple(
        Line(
            one,
            ceiling,
            comparison,
            gain_per_usd=_gain(comparison, len(question.qrels), spent, base_bill),
        )
        for one, ceiling, comparison in zip(
            measured, stage.ceilings, compared or [None] * len(measured), strict=True
        )
    )
    name = entrant.name if own or first is None else first.name
    return Standing(entrant, lines, stage, name, strange, spent)


def _measured(entrant: Entrant, question: Question) -> list[Measured]:
    return evaluate(entrant.run, question.qrels, question.measures)


def _stage(entrant: Entrant, question: Question) -> FirstStage:
    return first_stage(entrant.run, question.qrels, question.measures, depth=question.depth)


def _bill(entrant: Entrant, qrels: Qrels) -> Bill | None:
    return None if entrant.receipts is None else bill(entrant.receipts, qrels.keys())


def _differs(entrant: Entrant, base: Entrant | None) -> bool:
    return base is not None and entrant.name != base.name


def _comparisons(
    measured: Sequence[Measured], base: Sequence[Measured], question: Question
) -> list[Comparison | None]:
    return [compare(one, other, test=question.test) for one, other in zip(measured, base, strict=True)]


def _gain(comparison: Comparison | None, queries: int, spent: Bill | None, base: Bill | None) -> Interval | None:
    if comparison is None or spent is None or not spent.priced or (base is not None and not base.priced):
        return None
    return gain_per_usd(comparison.difference, queries, spent.usd - (base.usd if base else 0))


def _corrected(found: Sequence[Standing]) -> list[Standing]:
    """With p-values corrected over the runs, measure by measure."""
    by_measure = [_corrected_lines(lines) for lines in zip(*(each.lines for each in found), strict=True)]
    return [replace(each, lines=lines) for each, lines in zip(found, zip(*by_measure, strict=True), strict=True)]


def _corrected_lines(lines: Sequence[Line]) -> Iterator[Line]:
    corrected = iter(holm([line.comparison.p_value for line in lines if line.comparison]))
    return (replace(line, p_corrected=next(corrected)) if line.comparison else line for line in lines)
