"""What is to be said of runs beside their figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from statistics import fmean

from listwise.eval.ceilings import NEAR, FirstStage
from listwise.eval.measures import by_rank, disordered, values_by_query
from listwise.eval.standings import Question, Standing
from listwise.formats import Qrels
from listwise.spend.money import dollars

_TESTS = {"randomisation": "paired randomisation test", "t": "paired t-test"}


def notes_on(found: Sequence[Standing], question: Question) -> list[str]:
    """Plain sentences, a line each."""
    return [
        *_tested(found, question),
        *_ceilings(found),
        *_binding(found),
        *_strange(found, question),
        *_disordered(found, question),
        *(note for each in found for note in _spending(each, question.qrels)),
    ]


def _tested(found: Sequence[Standing], question: Question) -> Iterator[str]:
    compared = sum(each.lines[0].comparison is not None for each in found)
    if question.base is None or not compared:
        return
    said = f"difference to {question.base.name}; p: two-sided {_TESTS[question.test]}"
    if compared > 1:
        said += (
            f", corrected over {compared} runs under each measure (Holm)"
            if question.correction == "holm"
            else f", not corrected for being one of {compared}"
        )
    yield said


def _ceilings(found: Sequence[Standing]) -> Iterator[str]:
    """A line for each set of candidates."""
    stages: list[tuple[FirstStage, list[str]]] = []
    for each in found:
        names = next((names for stage, names in stages if stage == each.stage), None)
        if names is None:
            stages.append((each.stage, [each.stage_name]))
        elif each.stage_name not in names:
            names.append(each.stage_name)
    for stage, names in stages:
        others = f", as of {len(names) - 1} other run{'s' * (len(names) > 2)}" if names[1:] else ""
        yield (
            f"ceiling: the best order of {names[0]}'s candidates, at most {stage.depth} a query{others}; "
            f"R@{stage.depth} {stage.recall:.4f}, whatever their order"
        )


def _binding(found: Sequence[Standing]) -> Iterator[str]:
    for each in found:
        for line in each.lines:
            if not line.binds:
                continue
            mean, best = line.measured.interval.mean, line.ceiling.best
            reached = f"{mean:.4f} of the {best:.4f} {line.measured.measure} that its candidates allow"
            yield (
                f"the first stage binds: {each.entrant.name} has {100 * mean / best:.0f} %, {reached}; more or "
                "better candidates may gain more than a better re-ranker"
                if mean >= NEAR * best
                else f"the first stage may bind: {each.entrant.name} has {reached}, which its interval reaches"
            )


def _strange(found: Sequence[Standing], question: Question) -> Iterator[str]:
    names = [each.entrant.name for each in found if each.strangers]
    if names and question.first is not None:
        yield (
            f"no re-ranking of {question.first.name}, which lacks some of its documents, so that its ceiling is "
            f"that of its own candidates: {', '.join(names)}"
        )


def _disordered(found: Sequence[Standing], question: Question) -> Iterator[str]:
    """Of runs whose figures would be others if their ranks decided."""
    for each in found:
        queries = disordered(each.entrant.run)
        if not queries:
            continue
        values = values_by_query(by_rank(each.entrant.run), question.qrels, question.measures)
        other = [
            f"{line.measured.measure} {mean:.4f}"
            for line, by_query in zip(each.lines, values, strict=True)
            if abs((mean := fmean(by_query.values())) - line.measured.interval.mean) >= 0.00005
        ]
        if other:
            yield (
                f"{each.entrant.name}: in {queries} queries scores do not fall from rank to rank, and trec_eval "
                f"goes by scores, then docids; by rank (--order rank) it has {', '.join(other)}"
            )


def _spending(standing: Standing, qrels: Qrels) -> Iterator[str]:
    name, bill, receipts = standing.entrant.name, standing.bill, standing.entrant.receipts
    if bill is None or receipts is None:
        return
    missing = sum(qid in standing.entrant.run and qid not in receipts for qid in qrels)
    if missing:
        yield f"{name}: {missing} judged queries have no receipt, and count as free"
    beyond = [Decimal(repr(receipt.get("usd", 0))) for qid, receipt in receipts.items() if qid not in qrels]
    if beyond:
        usd = dollars(sum(beyond, Decimal(0)))
        yield f"{name}: receipts of {len(beyond)} queries without judgements are left out, {usd}"
    if bill.cache_hits:
        yield f"{name}: {bill.cache_hits} of {bill.calls} calls came from the cache, free: others paid for them"
    if not bill.priced:
        yield f"{name}: a model without a known price had a part in it, so nothing is said of dollars"
    if bill.simulated:
        yield f"{name}: SIMULATION, its orders, tokens and dollars are made up"
