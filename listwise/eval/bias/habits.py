"""Whether answers repeat the order shown, and whether they can be read at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from listwise.eval.bias.estimates import Estimate, ratios
from listwise.eval.bias.observations import Observation


@dataclass(frozen=True, slots=True)
class Habits:
    """Shares with 95 % intervals over queries."""

    windows: int
    echoed: Estimate
    """Of the windows answered: in exactly the order shown."""
    reversed: Estimate
    """In exactly the reverse."""
    mended: Estimate
    """Of all windows: a ranking was read, and something had to be mended."""
    unreadable: Estimate
    """No ranking could be read."""
    repairs: Mapping[str, int]
    """Answers with each kind of repair (`listwise.permutation.Parsed.repairs`)."""


def habits_of(observations: Sequence[Observation], seed: int) -> Habits:
    """Of windows of at least two passages, in whichever order they were shown."""
    by_qid: defaultdict[str, list[Observation]] = defaultdict(list)
    for each in observations:
        by_qid[each.qid].append(each)

    def counted(what: Callable[[Observation], bool]) -> list[int]:
        return [sum(map(what, mine)) for mine in by_qid.values()]

    kinds = (_echoed, _reversed, _mended, _unreadable)
    counts = np.array([counted(kind) for kind in kinds], dtype=float).T
    every = np.array([len(mine) for mine in by_qid.values()], dtype=float)
    answered = every - counts[:, 3]
    if not answered.sum():
        answered = every
    echoed, reversed_, mended, unreadable = ratios(
        counts, np.stack([answered, answered, every, every], axis=1), seed
    )
    repairs = Counter(kind for each in observations for kind in each.repairs)
    return Habits(len(observations), echoed, reversed_, mended, unreadable, dict(repairs.most_common()))


def _echoed(each: Observation) -> bool:
    return each.permutation == tuple(range(each.size))


def _reversed(each: Observation) -> bool:
    return each.permutation == tuple(reversed(range(each.size)))


def _mended(each: Observation) -> bool:
    return each.permutation is not None and bool(each.repairs)


def _unreadable(each: Observation) -> bool:
    return each.permutation is None
