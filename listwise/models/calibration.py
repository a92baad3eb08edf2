"""From a raw score to a probability of relevance: pure."""

from __future__ import annotations

from math import exp

from pydantic import BaseModel, ConfigDict


class Calibration(BaseModel):
    """A logistic curve through judged scores (Platt, 1999): p = 1 / (1 + exp(-(slope * score + intercept))).

    Fitted once for a model, on judged queries that it is not reported on. The probability is that of a candidate of
    the fitted kind (for ours: found by BM25, relevant by a grade of 2 or 3), so it compares over queries, as far as
    those look like the fitted ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slope: float
    intercept: float
    fitted_on: str = ""
    """Names of the judged collections."""

    def probability(self, score: float) -> float:
        """Of relevance, 0 to 1; ``score`` may be infinite."""
        logit = self.slope * score + self.intercept
        return 1 / (1 + exp(-min(logit, 700.0))) if logit > -700 else 0.0
