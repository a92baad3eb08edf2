"""Reads what a model finds likely, where it is asked for one label or one word: from log-probabilities.

The label that counts is not always the first token: ``[`` may come before it, or ``Passage``. What counts is the
first place at which labels have half of the probability: there, the answer is settled. Where there is none such, a
text may say more; what labels are worth at the place where they have most is better than nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, isfinite, log
from types import MappingProxyType
from typing import NamedTuple

from listwise.calls import LABELS
from listwise.permutation.glyphs import plain
from listwise.permutation.outcome import Parsed

SETTLED = 0.5
"""The share of the probability at which a place is taken for that of the answer."""
LEAST = 0.01
"""Below that everywhere, the model said something else (a refusal, its thoughts), and its labels are noise."""
BELOW = log(2)
"""How far an alternative that is not named is put below the least likely one that is."""

_AROUND = " \t\r\n\u2581\u0120\u010a[](){}<>*_`\"'.,:;!#=-"
"""What may stand in a token beside a label, the marks of vocabularies for a space and a line break among it."""


class Likelihood(NamedTuple):
    """How likely each of the possible answers is."""

    logprobs: tuple[float | None, ...]
    """None for an answer that is not among the alternatives."""
    floor: float
    """Log-probability for those: less than that of anything named."""
    settled: bool
    """Whether they have half of the probability at their place."""

    @property
    def filled(self) -> tuple[float, ...]:
        """With the floor for those not named."""
        return tuple(self.floor if logprob is None else logprob for logprob in self.logprobs)


def likelihood(
    leading: Sequence[Mapping[str, float]], answers: int, which: Callable[[str], int | None]
) -> Likelihood | None:
    """How likely each of so many answers is; None where none of them is likely anywhere.

    Args:
        leading: the alternatives at each place, with their log-probabilities; numbers that cannot be some are left
            out.
        answers: how many there are.
        which: the answer (from 0) that a bare token in lower case stands for; all its spellings are added up.
    """
    best: tuple[float, Mapping[str, float], list[float]] | None = None
    for alternatives in leading:
        shares = _shares(alternatives, answers, which)
        total = sum(shares)
        if best is None or total > best[0]:
            best = total, alternatives, shares
        if total >= SETTLED:
            break
    if best is None or best[0] < LEAST:
        return None
    total, alternatives, shares = best
    logprobs = tuple(log(share) if share > 0 else None for share in shares)
    known = [
        logprob for logprob in (*alternatives.values(), *logprobs) if logprob is not None and possible(logprob)
    ]
    return Likelihood(logprobs, min(0.0, *known) - BELOW, total >= SETTLED)


def parse_first(leading: Sequence[Mapping[str, float]] | None, n: int) -> Parsed:
    """The order of ``n`` labelled passages by the log-probabilities of their labels; never raises.

    Labels that are not among the alternatives follow in the order shown; they count as ``missing``.
    """
    if leading is None:
        return Parsed.failed(n, "unweighed")
    found = likelihood(leading, n, label_of)
    if found is None:
        return Parsed.failed(n, "unreadable")
    return by_likelihood(found, missing=found.logprobs.count(None))


def by_likelihood(found: Likelihood, **repairs: int) -> Parsed:
    """The order of passages by the likelihood of their labels."""
    scores = found.filled
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    counted = {kind: count for kind, count in repairs.items() if count}
    identifiers = tuple(at + 1 for at in order)
    return Parsed(len(scores), identifiers, MappingProxyType(counted), form="logprobs", scores=scores)


def label_of(token: str) -> int | None:
    """The position whose label a bare token is."""
    return LABELS.find(token.upper()) if len(token) == 1 and token.upper() in LABELS else None


def possible(logprob: float) -> bool:
    """Whether a number can be a log-probability."""
    return isfinite(logprob) and logprob <= 0


def _shares(alternatives: Mapping[str, float], answers: int, which: Callable[[str], int | None]) -> list[float]:
    """The probability of each answer at one place."""
    shares = [0.0] * answers
    for token, logprob in alternatives.items():
        at = which(plain(token)[0].strip(_AROUND).lower())
        if at is not None and at < answers and possible(logprob):
            shares[at] += exp(logprob)
    return shares
