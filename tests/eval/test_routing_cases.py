"""Cases of the log of routes."""

from __future__ import annotations

from random import Random

from listwise.eval.routing_cases import logged
from listwise.routing.cases import LOG, Case, Outcome
from listwise.routing.fitting import fit
from listwise.routing.offers import Option
from listwise.spend.routes import Routed, RouteNote

SLOPE = 0.5


def routed(
    qid: str, disagreement: float | None, depth: int = 20, propensity: float = 1.0, **signals: float
) -> Routed:
    note = RouteNote(
        why="gain",
        signals=signals,
        tier="llm",
        depth=depth,
        votes=1,
        propensity=propensity,
        disagreement=disagreement,
        nano_usd=7,
    )
    return Routed(0.0, "run", "account", qid, note)


def test_gains_are_in_proportion_to_disagreement_and_of_one_option() -> None:
    made = logged(
        [routed("a", 0.5, 50, margin=1.0), routed("b", None, margin=2.0), routed("c", 0.1, propensity=0.02)], SLOPE
    )
    deep = Option("llm", 50)
    assert made == [
        Case("a #0", {"margin": 1.0}, 0.0, (Outcome(deep, 0.25, 7),), LOG),
        Case("c #1", {}, 0.0, (Outcome(deep, 0.05, 7),), LOG, weight=50.0),
    ]
    assert logged([], SLOPE) == []


def test_a_query_that_comes_again_is_no_other_query() -> None:
    """Or noise would be found again in queries that a fit had not seen, and be taken for something."""
    draw = Random(0)
    once = [
        routed(f"q{at}", draw.random(), margin=draw.gauss(0, 1), entropy=draw.gauss(0, 1), skew=draw.gauss(0, 1))
        for at in range(60)
    ]
    again = [each._replace(qid=f"{each.qid} again") for each in once]
    models = [
        fit(logged(log, SLOPE), fitted_on=LOG, llm="", scorer="").model
        for log in (once, once * 8, [*once, *again] * 4)
    ]
    assert [model.skill.queries for model in models] == [60, 60, 60]
    assert not any(model.told for model in models)
    same = logged([routed("x", 0.1), routed("y", 0.1), routed("x", 0.3)], SLOPE)
    assert [case.qid for case in same] == ["x #0", "y #1", "x #0"]
