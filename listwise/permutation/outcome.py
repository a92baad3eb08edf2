"""What reading an answer yields, and how it becomes an order of the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from listwise.errors import AnswerError, Refused, Unreadable

Failure = Literal["empty", "refused", "unfinished", "unreadable", "unweighed"]
"""Why there is no ranking: nothing was said; the model declined; it was cut off while still thinking;
something was said that names no order of the passages shown; or the order is in log-probabilities that the server
does not give."""

Form = Literal["json", "chain", "list", "mentions", "letters", "label", "verdict", "logprobs"]
"""How the ranking was written: as JSON; as identifiers joined by nothing but separators; one to a line, each
with words of its own; here and there in prose, in order of first mention; or as any of these with letters. Answers
to other questions: as the label of the best passage; as yes or no; in the log-probabilities of either."""

_NOTHING: Mapping[str, int] = MappingProxyType({})

_REASONS: Mapping[Failure, str] = MappingProxyType(
    {
        "empty": "the answer is empty: raise the limit on output tokens if the model reasons",
        "refused": "the model declined to rank these passages: rephrase the prompt or use another model",
        "unfinished": "the answer ends inside its thinking: raise the limit on output tokens",
        "unreadable": "no ranking of the passages shown can be read from the answer: look at it in the trace",
        "unweighed": "the server gives no log-probabilities: use one that does, or a strategy that orders by text",
    }
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer says about the order of ``n`` passages."""

    n: int
    identifiers: tuple[int, ...]
    """From 1, each at most once, all of them shown, most relevant first; empty where ``failure`` is set."""
    repairs: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """What had to be mended, by kind:

    ``missing``       passages not named; they follow in prior order
    ``repeated``      identifiers named again; the first place counts
    ``out_of_range``  identifiers of no passage shown: zero, negative, too large
    ``lost_bracket``  identifiers with one bracket or none among bracketed ones
    ``unbracketed``   identifiers of a ranking that uses no brackets at all
    ``list_numbers``  numbers of the list's own (``1. [4]``), not identifiers
    ``tied``          identifiers joined by ``=``; they keep the order written
    ``cut_off``       a last identifier of which digits may be missing; it is not believed
    ``glyphs``        characters that stand for digits, brackets or signs
    ``letters``       identifiers given as letters
    ``clipped``       1 where an answer is too long to be a ranking; its middle was not read
    ``prose``         1 where words surround the ranking
    ``rated``         1 where passages are listed as shown, with ratings: the ratings order them
    ``several``       rankings beyond the first one; a later one replaces or continues an earlier one
    """
    failure: Failure | None = None
    form: Form | None = None
    scores: tuple[float, ...] | None = None
    """How good each passage shown is, higher is better: log-probabilities of labels, log-odds of yes against no, 1
    or 0 for a plain yes or no. Always finite; None where the answer only orders."""

    @classmethod
    def failed(cls, n: int, failure: Failure) -> Parsed:
        """No ranking, for a reason; also for what only the server knows, such as a refusal without text."""
        return cls(n, (), failure=failure)

    @property
    def error(self) -> AnswerError | None:
        """What to raise where the policy is ``raise``: `Refused` or `Unreadable`; None for a ranking."""
        if self.failure is None:
            return None
        kind = Refused if self.failure == "refused" else Unreadable
        return kind(_REASONS[self.failure])


def complete(parsed: Parsed, prior: int | Sequence[int] | None = None) -> tuple[int, ...]:
    """Every position of the window exactly once, from 0, most relevant first.

    The identifiers named come first, the others keep their prior order behind them; a failure is the prior order.

    Args:
        parsed: what `parse` read.
        prior: the positions ``0 .. n-1`` in their prior order; None or ``n`` is the order shown.

    Raises:
        ValueError: ``prior`` is not a permutation of the ``n`` positions that were parsed.
    """
    order = range(parsed.n) if prior is None else range(prior) if isinstance(prior, int) else prior
    if sorted(order) != list(range(parsed.n)):
        raise ValueError(f"the prior order is not a permutation of 0..{parsed.n - 1}")
    named = {identifier - 1: None for identifier in parsed.identifiers}
    return (*named, *(position for position in order if position not in named))
