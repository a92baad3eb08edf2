"""All that observations of one model tell about position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from listwise.eval.bias.agreement import PERSISTENCE, Agreement, agreement_of
from listwise.eval.bias.habits import Habits, habits_of
from listwise.eval.bias.lengths import Contrast, Lengths, by_length, by_size, sizes_of
from listwise.eval.bias.mending import System
from listwise.eval.bias.observations import Observation
from listwise.eval.bias.positions import Grades, Positions, reordered_positions, unshuffled_positions
from listwise.eval.bias.quality import InputOrder, by_input_order

FEWEST_QUERIES = 2
"""For an interval over queries."""


@dataclass(frozen=True, slots=True)
class Study:
    """Of one model. The main window size comes first."""

    model: str
    simulated: bool
    queries: int
    windows: int
    positions: tuple[Positions, ...]
    """A line for each window size and design, of the sizes in their order: of reordered sets, then of windows as
    they came."""
    agreement: tuple[Agreement, ...]
    habits: Habits
    input_orders: tuple[InputOrder, ...]
    """Of the main window size; empty without judgements."""
    sizes: tuple[Contrast, ...]
    """Each other window size against the main one, the smaller one first."""
    length: Contrast | None
    """None where lengths are not known, or nothing was shown in several orders."""
    systems: tuple[System, ...] = ()
    """What votes, balanced shuffles and strategies mend; of live studies only."""


def study_of(
    observations: Sequence[Observation],
    *,
    grades: Grades | None = None,
    lengths: Lengths | None = None,
    systems: Sequence[System] = (),
    simulated: bool = False,
    size: int | None = None,
    seed: int = 0,
    persistence: float = PERSISTENCE,
) -> Study:
    """Study one model's answers.

    Args:
        observations: of one model, of at least `FEWEST_QUERIES` queries.
        grades: judgements; what is not judged is not relevant.
        lengths: words of each passage.
        size: the main window size; by default that in which most passages were shown.
        persistence: of rank-biased overlap.
        seed: of resamples and draws; the same gives the same figures.
    """
    main, *others = sorted(sizes_of(observations), key=lambda each: each != size)
    found: list[Positions | None] = []
    for each in (main, *others):
        found += [
            reordered_positions(observations, each, seed),
            unshuffled_positions(observations, each, grades, seed),
        ]
    pairs = [sorted((main, each)) for each in others]
    contrasts = [by_size(observations, small, large, seed) for small, large in pairs]
    agreements = [agreement_of(observations, each, seed, persistence) for each in (main, *others)]
    return Study(
        model=observations[0].model,
        simulated=simulated,
        queries=len({each.qid for each in observations}),
        windows=len(observations),
        positions=tuple(one for one in found if one is not None),
        agreement=tuple(each for each in agreements if each is not None),
        habits=habits_of(observations, seed),
        input_orders=() if grades is None else tuple(by_input_order(observations, main, grades, seed)),
        sizes=tuple(each for each in contrasts if each is not None),
        length=None if lengths is None else by_length(observations, main, lengths, seed),
        systems=tuple(systems),
    )
