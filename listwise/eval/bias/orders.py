"""The orders in which a live study shows a window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from listwise.eval.bias.observations import Order


@dataclass(frozen=True, slots=True)
class Shown:
    """Docids in one order; ``sample`` counts the random ones."""

    docids: tuple[str, ...]
    order: Order
    sample: int = 0


def shuffles(docids: Sequence[str], count: int, seed: str) -> list[Shown]:
    """Random orders, each as likely as any other, and different as long as there are others."""
    draw = Random(seed)
    found: dict[tuple[str, ...], None] = {}
    for _ in range(10 * count):
        found.setdefault(tuple(draw.sample(docids, len(docids))))
        if len(found) == count:
            break
    return [Shown(each, "shuffled", at) for at, each in enumerate(found)]


def arranged(docids: Sequence[str], grades: Mapping[str, float], seed: str) -> Iterator[Shown]:
    """As the first stage has it, reversed, and, where some passages are relevant and at least two are not, a random
    order into which the relevant ones are planted as one block: at the beginning, in the middle, at the end."""
    yield Shown(tuple(docids), "first_stage")
    yield Shown(tuple(reversed(docids)), "reversed")
    mixed = Random(f"{seed} planted").sample(docids, len(docids))
    relevant = [docid for docid in mixed if grades.get(docid, 0) > 0]
    others = [docid for docid in mixed if grades.get(docid, 0) <= 0]
    if not relevant or len(others) < 2:
        return
    yield Shown((*relevant, *others), "first")
    half = len(others) // 2
    yield Shown((*others[:half], *relevant, *others[half:]), "middle")
    yield Shown((*others, *relevant), "last")
