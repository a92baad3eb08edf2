"""What an LLM's answer, already paid for, says of the local order where nobody judged: pure.

The LLM's final order is taken for the truth: its rank r of the first 10 is worth 11 - r, all below nothing. The
disagreement is 1 - nDCG@10 of the local order under these grades: what the local order's top loses in the LLM's
eyes. Of the measures tried on DL21 and DL23 (`eval.benchmarks.disagreement`) that are 0 only where nothing would
change, it goes best with what judges see; how much of it is a gain depends on the LLM.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import log2

TOP = 10
"""Ranks that count, as in nDCG@10."""
GAIN_PER_DISAGREEMENT = 0.23
"""nDCG@10 that an LLM gains for each unit of disagreement. From simulated LLMs over the embedded model on DL21 and
DL23, by least squares through the origin: .19 to .28 over strong, weak and biased ones together, but .76 for a
perfect one, .29 for a strong one, .14 for a weak one (docs/routing.md). Whoever has judgements for the LLM in use
should fit it."""


def disagreement(local: Sequence[Hashable], llm: Sequence[Hashable]) -> float:
    """What the local order's first 10 lose if the LLM is right.

    Args:
        local: documents in the local order, best first.
        llm: the same documents in the LLM's final order.

    Returns:
        0 where the first 10 agree in order, 1 where they have none in common; a difference counts the more, the
        nearer to the top it is.
    """
    worth = {document: TOP - place for place, document in enumerate(llm[:TOP])}
    ideal = sum(value / log2(place + 2) for place, value in enumerate(worth.values()))
    kept = sum(worth.get(document, 0) / log2(place + 2) for place, document in enumerate(local[:TOP]))
    return max(0.0, 1 - kept / ideal) if worth else 0.0
