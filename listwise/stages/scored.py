"""A request after the stages before the LLM: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite

from listwise.fusion import moderate
from listwise.models.calibration import Calibration
from listwise.routing.signals import Seen, Signals, signals_of
from listwise.types import Request, StageReceipt


@dataclass(frozen=True, slots=True)
class Scored:
    """A request with the order that the stages so far made of its candidates."""

    request: Request
    order: tuple[int, ...]
    """Positions of the candidates within the depth, best first."""
    scores: tuple[float | None, ...] | None = None
    """The last scorer's scores of the candidates within the depth, in request order; None for those that it was
    not given, and as a whole where nothing was scored."""
    ranked_by: tuple[float, ...] | None = None
    """What the best of ``order`` were ordered by, best first: the last scorer's scores, fused with the first
    stage's where the policy says so; the first stage's where nothing was scored. None where these are missing."""
    calibration: Calibration | None = None
    """Of the scorer whose ``scores`` these are."""
    before: tuple[int, ...] = ()
    """The order of the scorer before the last one; empty where there was none."""
    certain: bool = True
    """False in a plan, where a stage was not asked: the order and the signals may turn out as any others."""
    seconds: float = 0.0
    stages: tuple[StageReceipt, ...] = ()
    degraded: tuple[str, ...] = ()

    @classmethod
    def as_given(cls, request: Request, depth: int) -> Scored:
        """The first stage's order."""
        candidates = request.candidates[:depth]
        given = [candidate.score for candidate in candidates if candidate.score is not None]
        complete = given if len(given) == len(candidates) else None
        return cls(
            request,
            tuple(range(len(candidates))),
            ranked_by=tuple(complete) if complete else None,
        )

    def by(
        self,
        asked: Sequence[int],
        raw: Sequence[float | None],
        fused: Sequence[float | None],
        calibration: Calibration | None,
    ) -> Scored:
        """As one more stage orders it.

        Args:
            asked: positions of the candidates that the stage was given: the first of ``order``.
            raw: the stage's scores of these; None where it could not say.
            fused: what to order them by, likewise. Those without a score keep their order, behind the others.
            calibration: the stage's.
        """
        known = {at: score for at, score in zip(asked, fused, strict=True) if score is not None}
        if not known:
            return self
        best = sorted(known, key=lambda at: -known[at])
        order = (*best, *(at for at in self.order if at not in known))
        scores: list[float | None] = [None] * len(self.order)
        for at, score in zip(asked, raw, strict=True):
            scores[at] = score
        return replace(
            self,
            order=order,
            scores=tuple(scores),
            ranked_by=tuple(known[at] for at in best),
            calibration=calibration,
            before=self.order if self.scores is not None else (),
        )

    @property
    def probabilities(self) -> tuple[float | None, ...] | None:
        """The scores as probabilities of relevance, where the scorer is calibrated."""
        if self.scores is None or self.calibration is None:
            return None
        likely = self.calibration.probability
        return tuple(None if score is None else likely(score) for score in self.scores)

    @property
    def signals(self) -> Signals:
        """What the router goes by, of the candidates that have a score; under a millisecond. Empty where fewer than
        two have one, or the first stage gave one to some only."""
        if self.ranked_by is None:
            return {}
        order = self.order[: len(self.ranked_by)]
        probabilities = self.probabilities
        likely = [] if probabilities is None else [probabilities[at] for at in order]
        before = {at: place for place, at in enumerate(self.before)}
        return signals_of(
            Seen(
                query=self.request.query.text,
                passages=[self.request.candidates[at].content for at in self.order],
                scores=self.ranked_by,
                probabilities=[each for each in likely if each is not None],
                first_stage=order if self.scores is not None else (),
                second=[before[at] for at in order] if before else (),
            )
        )

    def prior_scores(self, depth: int) -> list[float] | None:
        """The scores that made the order of the first ``depth``, best first, `moderate`; None where some are
        missing or no numbers, or say another order."""
        known = (self.ranked_by or ())[:depth]
        ordered = all(first >= then for first, then in pairwise(known)) and all(map(isfinite, known))
        return list(moderate(known)) if ordered and known and len(known) == min(depth, len(self.order)) else None
