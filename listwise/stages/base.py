"""What a cascade needs of a stage: scores for some candidates of one query, whatever computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from listwise.models.calibration import Calibration
from listwise.spend.tab import Tab
from listwise.types import Candidate, Query


@dataclass(frozen=True, slots=True)
class StageScores:
    """What one stage made of the candidates it was given."""

    scores: tuple[float | None, ...]
    """One a candidate, in the order given, finite, higher is better; None where it could not be scored."""
    cut: int = 0
    """Candidates of which some part was not read."""
    chunked: int = 0
    """Candidates that were read in several chunks."""
    calls: int = 0
    """Requests that were put to an API, answered by it or from the cache."""
    cache_hits: int = 0
    """Those answered from the cache, free of charge."""
    degraded: tuple[str, ...] = ()
    """What could not be done as asked, in plain words."""
    asked: bool = True
    """False in a plan, where nobody knows what the stage will say."""


class Stage(Protocol):
    """A scorer with everything that stands around it."""

    @property
    def name(self) -> str:
        """How receipts call it."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """What makes probabilities of its scores, if it has that."""
        ...

    async def score(self, query: Query, candidates: Sequence[Candidate], tab: Tab) -> StageScores:
        """Score candidates, on behalf of one query's account. Failures are scores of None, with the reason; only
        cancellation raises."""
        ...

    def again(self) -> Self:
        """The same stage for another event loop: connections cannot move from one to another."""
        ...

    async def aclose(self) -> None:
        """Close connections; the stage is not used afterwards."""
        ...
