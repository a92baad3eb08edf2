"""A model on this machine as a stage: it scores in a thread of its own, and its failures break no ranking."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from math import isfinite

from listwise.log import get_logger
from listwise.models.base import ChunkingScorer, ScoredPassages, Scorer
from listwise.models.calibration import Calibration
from listwise.spend.tab import Tab
from listwise.stages.base import StageScores
from listwise.telemetry import names
from listwise.telemetry.listening import Scored, tell
from listwise.telemetry.spans import begin, error_type
from listwise.types import Candidate, Query

_log = get_logger(__name__)


class LocalStage:
    """One local model. See `listwise.stages.base.Stage`."""

    def __init__(self, scorer: Scorer, threads: Executor) -> None:
        """``threads``: where it scores."""
        self._scorer = scorer
        self._threads = threads

    @property
    def name(self) -> str:
        """The scorer's."""
        return self._scorer.name

    @property
    def calibration(self) -> Calibration | None:
        """What makes probabilities of its scores, if it has that."""
        return getattr(self._scorer, "calibration", None)

    async def score(self, query: Query, candidates: Sequence[Candidate], tab: Tab) -> StageScores:
        """See `Stage.score`."""
        texts = [_sendable(candidate.content) for candidate in candidates]
        came, began = time.perf_counter(), 0.0

        def read() -> StageScores:
            nonlocal began
            began = time.perf_counter()
            return self._read(_sendable(query.text), texts)

        with begin("score", {names.SCORER: self.name, names.CANDIDATES: len(texts)}) as span:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, read)
            try:
                scores = await asked
            except Exception as error:  # noqa: BLE001 - a scorer's mistake must not break a ranking
                _log.exception("the local model failed", query=query.qid, model=self.name)
                span.fail(error_type(error))
                why = f"the local model {self.name} failed ({type(error).__name__}): the order before it stands"
                scores = StageScores((None,) * len(candidates), degraded=(why,))
            span.note({names.WAIT_S: began - came})
        failed = all(score is None for score in scores.scores)
        tell(Scored(self.name, time.perf_counter() - began, failed))
        return scores

    def _read(self, query: str, texts: Sequence[str]) -> StageScores:
        if isinstance(self._scorer, ChunkingScorer):
            read = self._scorer.read(query, texts)
        else:
            read = ScoredPassages(self._scorer.score(query, texts))
        if len(read.scores) != len(texts):
            raise ValueError(f"{len(read.scores)} scores for {len(texts)} passages")
        scores = tuple(score if isfinite(score) else None for score in map(float, read.scores))
        missing = scores.count(None)
        why = f"the local model {self.name} left {missing} of {len(texts)} candidates without a finite score"
        return StageScores(scores, read.cut, read.chunked, degraded=(why,) if missing else ())

    def again(self) -> LocalStage:
        """Itself: it holds no connections."""
        return self

    async def aclose(self) -> None:
        """Nothing to close: the threads are the cascade's."""


def _sendable(text: str) -> str:
    """Text without lone surrogates, which no encoder takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
