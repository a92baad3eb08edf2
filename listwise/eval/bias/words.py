"""A study in plain words, each sentence with its interval and test."""

from __future__ import annotations

from collections.abc import Iterator

from listwise.eval.bias.agreement import Agreement
from listwise.eval.bias.estimates import Estimate
from listwise.eval.bias.habits import Habits
from listwise.eval.bias.lengths import Contrast
from listwise.eval.bias.mending import System
from listwise.eval.bias.positions import FEWEST_QUERIES, Positions
from listwise.eval.bias.quality import InputOrder
from listwise.eval.bias.study import Study

SIGNIFICANT = 0.05
TOO_FEW = f"nothing is said of position: fewer than {FEWEST_QUERIES} queries have windows that were answered"
ORDERS = {
    "first_stage": "in the first stage's order",
    "reversed": "in the first stage's order reversed",
    "shuffled": "shuffled",
    "first": "with the relevant passages first",
    "middle": "with the relevant passages in the middle",
    "last": "with the relevant passages last",
    "asked": "as they were asked",
}


def verdict(study: Study) -> list[str]:
    """Sentences, the most telling first."""
    main = study.positions[0] if study.positions else None
    found = [TOO_FEW] if main is None else list(_positions(main))
    found += map(_agreement, study.agreement[:1])
    found.append(_habits(study.habits))
    found += [_input_order(each) for each in study.input_orders if each.over_shuffled is not None]
    found += map(_contrast, (*study.sizes, *([] if study.length is None else [study.length])))
    found += [_system(each) for each in study.systems if each.tau_over is not None]
    return found


def chance(p: float) -> str:
    """A p-value as it is written."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def spread(estimate: Estimate, digits: int = 1, factor: float = 1.0, *, sign: bool = False) -> str:
    """A figure with its interval."""
    form = f"{'+' if sign else ''}.{digits}f"
    value, low, high = (factor * each for each in (estimate.value, estimate.low, estimate.high))
    return f"{value:{form}} ({min(low, high):{form}} to {max(low, high):{form}})"


def percent(estimate: Estimate) -> str:
    """A share with its interval."""
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def design_of(each: Positions) -> str:
    """Whose figures they are, and how far they can be trusted."""
    windows = f"windows of {each.size}: {each.windows} of {each.queries} queries"
    if each.design == "reordered":
        return f"{windows}, {each.sets} sets of passages in several orders"
    if each.design == "graded":
        return f"{windows}, each in one order; adjusted by grade, as if passages of one grade were alike"
    return f"{windows}, each in one order: position and quality cannot be told apart"


def _positions(each: Positions) -> Iterator[str]:
    effects = each.effects
    if effects is None:
        yield (
            f"{design_of(each)}; nothing is said of bias. Judgements (--qrels) tell them apart in part, the same "
            "passages in several orders wholly"
        )
        return
    if effects.p >= SIGNIFICANT:
        yield f"no effect of position on the rank given was found ({chance(effects.p)})"
    else:
        yield f"position moves passages ({chance(effects.p)} for any effect)"
    if each.design == "graded":
        yield "each window came in one order and is adjusted by grade only: some of what follows may be quality"
    yield _cost("first", effects.first)
    yield _cost("last", effects.last)
    slope = effects.slope
    falls = f"a passage falls by {spread(slope, 2)} ranks for each position further down"
    yield f"{falls} (0 no leaning, 1 an echo); {chance(slope.p or 0)}"
    if effects.bend is not None:
        gained = "gain" if effects.bend.value < 0 else "lose"
        yield (
            f"the two ends {gained} {_size(effects.bend)} ranks against the middle; {chance(effects.bend.p or 0)}"
        )
    top = each.top
    most = max(range(each.size), key=lambda at: top.excess[at].value)
    p = "" if top.p is None else f"; {chance(top.p)} for any effect"
    yield (
        f"the passage shown at position {most + 1} comes out on top in {percent(top.share[most])} of the windows, "
        f"{top.expected[most]:.1%} did position not matter{p}"
    )


def _cost(where: str, cost: Estimate) -> str:
    verb = "costs" if cost.value >= 0 else "gains"
    return f"shown {where} {verb} a passage {_size(cost)} ranks; {chance(cost.p or 0)}"


def _size(estimate: Estimate) -> str:
    """Without its sign, which a word says."""
    return spread(estimate, 1, -1.0 if estimate.value < 0 else 1.0)


def _agreement(each: Agreement) -> str:
    return (
        f"over orders of the same passages answers agree by Kendall's tau {spread(each.tau, 2)} (1 the same, 0 by "
        f"chance; {chance(each.tau.p or 0)}) and rank-biased overlap {spread(each.overlap, 2)} "
        f"({each.overlap_by_chance:.2f} by chance)"
    )


def _habits(habits: Habits) -> str:
    return (
        f"answered in exactly the order shown: {percent(habits.echoed)}, in exactly the reverse: "
        f"{percent(habits.reversed)}; mended: {percent(habits.mended)}, unreadable: {percent(habits.unreadable)}"
    )


def _input_order(each: InputOrder) -> str:
    over = each.over_shuffled
    assert over is not None
    return (
        f"shown {ORDERS[each.order]}, windows come to an nDCG@10 of {each.answered.value:.3f}: "
        f"{spread(over, 3, sign=True)} over shuffled ones; {chance(over.p or 0)}"
    )


def _contrast(each: Contrast) -> str:
    difference = each.difference
    return (
        f"{each.what}: {each.more.value:.2f} ranks a position against {each.less.value:.2f}, a difference of "
        f"{spread(difference, 2, sign=True)}; {chance(difference.p or 0)}"
    )


def _system(each: System) -> str:
    tau, ndcg = each.tau_over, each.ndcg_over
    assert tau is not None
    quality = "" if ndcg is None else f", nDCG@10 {spread(ndcg, 3, sign=True)} ({chance(ndcg.p or 0)})"
    return (
        f"{each.name} against {each.against}: agreement over starting orders, tau {spread(tau, 2, sign=True)} "
        f"({chance(tau.p or 0)}){quality}, for {each.calls:.1f} calls a ranking"
    )
