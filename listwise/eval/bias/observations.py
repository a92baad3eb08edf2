"""What a model was shown and what it answered, and the same as arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Order = Literal["first_stage", "reversed", "shuffled", "first", "middle", "last", "asked"]
"""How a window was put in order before it was shown: as the first stage has it, that reversed, by chance, by chance
with the relevant passages planted at the beginning, in the middle or at the end, or as some strategy asked it."""
BY_CHANCE: tuple[Order, ...] = ("shuffled", "asked")
"""Orders that tell position from quality where the same passages are shown in several, one of them shuffled; those
that strategies happen to ask were made from earlier answers."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One window as it was shown, and its answer."""

    model: str
    qid: str
    docids: tuple[str, ...]
    """In the order shown."""
    permutation: tuple[int, ...] | None
    """Positions in ``docids``, best first; None where no ranking could be read."""
    repairs: Mapping[str, int] = field(default_factory=dict)
    order: Order = "asked"
    sample: int = 0
    """Tells apart what was asked more than once on purpose."""
    step: int = 0
    """The strategy's: from 1 on, earlier answers had a say in what was shown where."""

    @property
    def size(self) -> int:
        """Passages in the window."""
        return len(self.docids)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """``W`` answered windows of ``n`` passages each."""

    size: int
    qids: tuple[str, ...]
    """The ``Q`` queries."""
    query: Ints
    """(W,): which of them."""
    given: Ints
    """(W, n): the rank given, from 0, by the position shown."""
    passage: Ints
    """(W, n): which passage, by the position shown; a passage of two queries is two."""
    passages: tuple[tuple[str, str], ...]
    """The qid and docid of each passage."""
    shuffled: NDArray[np.bool_]
    """(W,): whether the order was made by chance."""

    @classmethod
    def of(cls, observations: Sequence[Observation], size: int) -> Self:
        """Those of one size that were answered."""
        used = [each for each in observations if each.permutation is not None and each.size == size]
        qids = {qid: at for at, qid in enumerate(dict.fromkeys(each.qid for each in used))}
        numbers: dict[tuple[str, str], int] = {}
        passage = np.empty((len(used), size), dtype=np.int64)
        best_first = np.empty((len(used), size), dtype=np.int64)
        for at, each in enumerate(used):
            passage[at] = [numbers.setdefault((each.qid, docid), len(numbers)) for docid in each.docids]
            best_first[at] = each.permutation or ()
        query = np.array([qids[each.qid] for each in used], dtype=np.int64)
        shuffled = np.array([each.order == "shuffled" for each in used], dtype=bool)
        return cls(size, tuple(qids), query, np.argsort(best_first, axis=1), passage, tuple(numbers), shuffled)

    def __len__(self) -> int:
        return len(self.query)

    def by_passage(self, values: Mapping[tuple[str, str], float]) -> Floats:
        """(W, n): a value of each passage, by the position shown; 0 where there is none."""
        known = np.array([values.get(each, 0.0) for each in self.passages])
        return known[self.passage] if len(self) else np.zeros((0, self.size))


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """``G`` sets of passages, each shown in ``m`` different orders."""

    query: Ints
    """(G,): the query."""
    place: Ints
    """(G, m, n): the position, from 0, at which each passage of the set is shown."""
    shown: Ints
    """(G, m, n): which passage of the set, from 0, stands at each position."""
    rank: Ints
    """(G, m, n): the rank given to each passage of the set, from 0."""

    def of_queries(self, number: Mapping[int, int]) -> Sets:
        """The same with queries renumbered."""
        query = np.array([number[int(at)] for at in self.query], dtype=np.int64)
        return Sets(query, self.place, self.shown, self.rank)


def sets_of(windows: Windows) -> list[tuple[Sets, Ints]]:
    """The sets that were shown in at least two orders, one of them by chance, together with others shown as often,
    and (G, n) which passages they hold. Of the same order shown more than once, the first answer counts: a model
    that repeats itself tells nothing new."""
    orders: dict[tuple[int, bytes], dict[bytes, int]] = defaultdict(dict)
    for at, passages in enumerate(windows.passage):
        members = np.sort(passages).tobytes()
        orders[int(windows.query[at]), members].setdefault(passages.tobytes(), at)
    by_orders: dict[int, list[list[int]]] = defaultdict(list)
    for rows in orders.values():
        if len(rows) > 1 and windows.shuffled[list(rows.values())].any():
            by_orders[len(rows)].append(list(rows.values()))
    return [_together(windows, np.array(by_orders[m])) for m in sorted(by_orders)]


def _together(windows: Windows, rows: Ints) -> tuple[Sets, Ints]:
    """(G, m) windows, a set a line."""
    place = np.argsort(windows.passage[rows], axis=2)
    rank = np.take_along_axis(windows.given[rows], place, axis=2)
    members = np.sort(windows.passage[rows[:, 0]], axis=1)
    return Sets(windows.query[rows[:, 0]], place, np.argsort(place, axis=2), rank), members
