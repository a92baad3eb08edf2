"""Exploration: a few queries that would stay local go to the LLM by chance, so that what is learned stays unbiased.

Who is only ever shown the queries that the router escalates learns nothing of those that it leaves. Each query has
a known probability of being escalated, its propensity, and a label counts as often as its inverse says (Horvitz and
Thompson 1952): labels of queries that the rule escalates whatever the dice once, those of explored ones 1/share
times. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from listwise.routing.offers import Option
from listwise.spend.routes import Routed

DAY_S = 86_400.0
LEAST_S = 3600.0
"""Seconds of a log by which a day can be told."""


def explores(seed: int, qid: str, share: float) -> bool:
    """Whether a query that would stay local is escalated all the same; the same for the same seed and qid.

    Args:
        seed: another one explores other queries.
        qid: what tells queries apart; where callers give many queries the same qid, its text must be part of it.
        share: with which probability, 0 to 1. A larger share explores all that a smaller one does.
    """
    digest = blake2b(f"{seed}\0{qid}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def propensity(escalated: bool, share: float) -> float:
    """With which probability a query is escalated that the rule escalates, or leaves."""
    return 1.0 if escalated else share


def weight(propensity: float) -> float:
    """How many queries a labelled one stands for.

    Raises:
        ValueError: one that is never escalated cannot have a label.
    """
    if propensity <= 0:
        raise ValueError("a query that is never escalated has no label")
    return 1 / propensity


@dataclass(frozen=True, slots=True)
class Explored:
    """What exploration did and costs, by the log."""

    queries: int
    """All in the log."""
    explored: int
    spent_nano_usd: int
    """On these."""
    nano_usd_a_query: float
    """Expected, over all queries: each of those that the rule leaves adds its propensity times its predicted
    cost."""
    nano_usd_a_day: float | None
    """The same at the pace of the log; None where the log spans less than an hour."""


def explored(log: Sequence[Routed]) -> Explored:
    """What exploration did and costs."""
    left = [each.note for each in log if 0 < each.note.propensity < 1]
    expected = sum(note.propensity * (note.predicted_nano_usd or 0) for note in left)
    taken = [note for note in left if note.explored]
    span_s = max(each.at for each in log) - min(each.at for each in log) if log else 0.0
    return Explored(
        queries=len(log),
        explored=len(taken),
        spent_nano_usd=sum(note.nano_usd for note in taken),
        nano_usd_a_query=expected / len(log) if log else 0.0,
        nano_usd_a_day=expected * DAY_S / span_s if span_s >= LEAST_S else None,
    )


@dataclass(frozen=True, slots=True)
class Label:
    """What an LLM's answer, already paid for, says of one query: a case for a fit without judgements."""

    qid: str
    signals: Mapping[str, float]
    option: Option
    gain: float
    """Estimated from the disagreement, in nDCG@10."""
    nano_usd: int | None
    """None where answers came from the cache."""
    weight: float


def labels(log: Iterable[Routed], gain_per_disagreement: float) -> Iterator[Label]:
    """The labelled queries of a log, weighted so that together they stand for all that could have been labelled."""
    for _, _, _, qid, note in log:
        if note.disagreement is None or note.tier is None or note.propensity <= 0:
            continue
        yield Label(
            qid=qid,
            signals=note.signals,
            option=Option(note.tier, note.depth, note.votes),
            gain=gain_per_disagreement * note.disagreement,
            nano_usd=None if note.cache_hits else note.nano_usd,
            weight=weight(note.propensity),
        )
