"""What votes, balanced shuffles and strategies mend: whole rankings that began with the same candidates in several
orders. The less position decides, the more they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from listwise.eval.bias.agreement import PERSISTENCE, kendall_tau, rank_biased_overlap
from listwise.eval.bias.estimates import Estimate, difference_of, mean_of
from listwise.eval.bias.observations import Ints
from listwise.eval.bias.positions import Grades
from listwise.eval.bias.quality import ndcg


@dataclass(frozen=True, slots=True)
class Played:
    """One ranking of a query's candidates, from one start."""

    qid: str
    docids: tuple[str, ...]
    """The ranking, best first."""
    calls: int


@dataclass(frozen=True, slots=True)
class System:
    """One way to ask the model, over the same queries and starts as the others."""

    name: str
    queries: int
    starts: int
    """Random orders of the candidates that it began with, a query."""
    candidates: int
    calls: float
    """A ranking, on average."""
    tau: Estimate
    """Kendall's tau between the rankings from different starts,"""
    overlap: Estimate
    """and rank-biased overlap."""
    ndcg: Estimate | None
    """nDCG@10 of the candidates, the mean over starts; None without judgements."""
    against: str | None
    """What the differences are to: the first system of its group; None for itself."""
    tau_over: Estimate | None
    ndcg_over: Estimate | None


def compare_systems(
    played: Mapping[str, Sequence[Played]],
    grades: Grades | None,
    seed: int,
    persistence: float = PERSISTENCE,
) -> list[System]:
    """Compare systems with the first of them, by name; each has the same queries, a ranking for each start."""
    rows: list[System] = []
    first_tau: Mapping[str, float] = {}
    first_ndcg: Mapping[str, float] = {}
    for name, rankings in played.items():
        by_qid: dict[str, list[Played]] = {}
        for each in rankings:
            by_qid.setdefault(each.qid, []).append(each)
        ranks = {qid: _ranks(mine) for qid, mine in by_qid.items()}
        taus = {qid: _off_diagonal(kendall_tau(rank)) for qid, rank in ranks.items()}
        overlaps = [_off_diagonal(rank_biased_overlap(rank, persistence)) for rank in ranks.values()]
        quality = {} if grades is None else _quality(by_qid, grades)
        rows.append(
            System(
                name=name,
                queries=len(by_qid),
                starts=max(map(len, by_qid.values())),
                candidates=len(rankings[0].docids),
                calls=sum(each.calls for each in rankings) / len(rankings),
                tau=mean_of(list(taus.values()), seed),
                overlap=mean_of(overlaps, seed),
                ndcg=mean_of(list(quality.values()), seed) if quality else None,
                against=rows[0].name if rows else None,
                tau_over=_paired(taus, first_tau, seed),
                ndcg_over=_paired(quality, first_ndcg, seed),
            )
        )
        first_tau, first_ndcg = first_tau or taus, first_ndcg or quality
    return rows


def _ranks(mine: Sequence[Played]) -> Ints:
    """(m, n): the rank of each candidate in each ranking."""
    number = {docid: at for at, docid in enumerate(mine[0].docids)}
    return np.argsort([[number[docid] for docid in each.docids] for each in mine], axis=1)


def _off_diagonal(square: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(square[np.triu_indices(len(square), 1)].mean())


def _quality(by_qid: Mapping[str, Sequence[Played]], grades: Grades) -> dict[str, float]:
    """nDCG@10 by query, of queries with a relevant candidate."""
    found = {
        qid: float(
            ndcg(np.array([[grades.get((qid, docid), 0.0) for docid in each.docids] for each in mine])).mean()
        )
        for qid, mine in by_qid.items()
    }
    return {qid: value for qid, value in found.items() if np.isfinite(value)}


def _paired(mine: Mapping[str, float], first: Mapping[str, float], seed: int) -> Estimate | None:
    return difference_of([mine[qid] - first[qid] for qid in mine], seed) if first and mine else None
