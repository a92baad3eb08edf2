"""How short the passages of a prompt must be for it to fit a model's context.

All passages of a prompt share one limit. What must be counted is counted once: a prompt whose bytes fit is not
counted at all, and the search for a limit takes a number of steps that grows with its logarithm.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from listwise.calls import PromptForm
from listwise.prompting.passages import Passage
from listwise.prompting.template import Shrink

SEAM_TOKENS = 1
"""Tokens that putting a passage into a text may add, where the text is counted apart from it."""

TotalAt = Callable[[int], int]
"""Tokens of a prompt at a limit; the higher the limit, the more."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """Tokens that a prompt has beyond its text, at most."""

    prompt: int = 16
    message: int = 4
    """For the role and the separators of each message."""
    schema: int = 8
    """For each passage where the server constrains the answer, and for one more."""

    def of(self, messages: int, passages: int, form: PromptForm) -> int:
        """The overhead of a prompt."""
        schema = self.schema * (passages + 1) if form == "order" else 0
        return self.prompt + self.message * messages + schema


def limit_for(passages: Sequence[Passage], top: int, floor: int, room: int, shrink: Shrink) -> int | None:
    """The limit at which passages have ``room`` tokens at most together; None where the floor is still too much.

    Args:
        passages: those of one prompt.
        top: the template's own limit.
        floor: the smallest limit that is tried.
        room: tokens left for the passages.
        shrink: the rule.
    """
    whole = _total(passages, top)
    if whole <= room:
        return top
    if not passages:
        return None
    longest = max(passage.length for passage in passages)
    totals = {top: whole, longest: whole}

    def total_at(limit: int) -> int:
        limit = min(limit, longest)
        if limit not in totals:
            totals[limit] = _total(passages, limit)
        return totals[limit]

    if shrink == "rank_llm":
        return _by_rank_llm(total_at, top, floor, room, len(passages))
    return _largest(total_at, top, floor, room)


def _total(passages: Sequence[Passage], limit: int) -> int:
    return sum(passage.tokens(limit) + SEAM_TOKENS for passage in passages)


def _largest(total_at: TotalAt, top: int, floor: int, room: int) -> int | None:
    """The largest limit that fits. A limit that is returned was counted, so it fits even where the count is odd."""
    fitting = bisect_right(range(floor, top + 1), room, key=total_at)
    return floor + fitting - 1 if fitting else None


def _by_rank_llm(total_at: TotalAt, top: int, floor: int, room: int, passages: int) -> int | None:
    """rank_llm's rule: a quarter of the excess at a time; but to the floor, where rank_llm would go on for ever."""
    limit = top
    while (excess := total_at(limit) - room) > 0:
        if limit == floor:
            return None
        limit = max(floor, limit - max(1, excess // (4 * passages)))
    return limit
