"""``listwise route simulate``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from listwise.errors import ConfigError

if TYPE_CHECKING:
    from listwise.eval.routing import Known
    from listwise.routing.gain import GainModel
    from listwise.routing.goals import Goal
    from listwise.routing.offers import Offer


@click.command("simulate")
@click.option("--cases", "files", multiple=True, required=True, metavar="FILE", help="Cases; may be repeated.")
@click.option("--router", default="default", metavar="ROUTER", help="A name, or a file of `route fit`. [default]")
@click.option(
    "--escalate", type=click.FloatRange(0, 1), metavar="SHARE", help="The share where a dollar gains most."
)
@click.option("--point", metavar="USD", help="Worth of 0.01 of nDCG@10 on a query.")
@click.option("--max-loss", type=click.FloatRange(0, 1, min_open=True), help="Mean nDCG@10 lost at most, as 0.01.")
@click.option("--confidence", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9, help="[0.9]")
@click.option("--budget-total", metavar="USD", help="Dollars for all of these queries.")
def simulate(
    files: tuple[str, ...],
    router: str,
    escalate: float | None,
    point: str | None,
    max_loss: float | None,
    confidence: float,
    budget_total: str | None,
) -> None:
    """What a policy would have done with known cases: queries escalated, dollars, nDCG@10.

    The same goals choose as in a run, by predicted gains and the costs that the cases had; beside them stand never,
    always, and an oracle that knows the gains and spends no more. Intervals are of 95 %, by bootstrap over queries.

    \b
    Examples:
      listwise route simulate --cases mine.jsonl --point 0.001
      listwise route simulate --cases mine.jsonl --router router.json --budget-total 0.05
    """
    from listwise.eval.routing import known_of
    from listwise.routing.cases import read_cases
    from listwise.routing.gain import GainModel

    model = GainModel.read(router)
    goal = _goal(model, escalate, point, max_loss, confidence, budget_total)
    known = known_of([case for file in files for case in read_cases(Path(file))], model)
    if not known:
        raise ConfigError(f"no cases in {', '.join(files)}")
    for each in known:
        _show(each, model, goal)


def _goal(
    model: GainModel,
    escalate: float | None,
    point: str | None,
    max_loss: float | None,
    confidence: float,
    budget_total: str | None,
) -> Goal:
    from listwise.offering import fitted_threshold, safe
    from listwise.routing.goals import Dollars, Price, Share
    from listwise.spend.money import nano_usd_down

    given = [each for each in (escalate, point, max_loss, budget_total) if each is not None]
    if len(given) > 1:
        raise ConfigError("--escalate, --point, --max-loss and --budget-total each say what to aim for: give one")
    if escalate is not None:
        return Share(escalate)
    if point is not None:
        return Price(nano_usd_down(_usd("--point", point)))
    if max_loss is not None:
        return safe(model, max_loss, confidence)
    if budget_total is not None:
        cap = nano_usd_down(_usd("--budget-total", budget_total))
        return Dollars(lambda: cap)
    return fitted_threshold(model)


def _usd(option: str, text: str) -> Decimal:
    try:
        found = Decimal(text)
    except ArithmeticError:
        raise ConfigError(f"{option}: {text!r} is no amount of dollars such as 0.001") from None
    if not found.is_finite() or found < 0:
        raise ConfigError(f"{option}: {text} is no amount of dollars")
    return found


def _show(known: Known, model: GainModel, goal: Goal) -> None:
    from rich.table import Table

    from listwise.cli.screen import output
    from listwise.eval.routing import offers_of, true_offers
    from listwise.routing.decisions import most_gain
    from listwise.routing.knapsack import allot

    truth = [true_offers(case) for case in known.cases]
    chosen = [choice.offer for choice in goal.choose_all([offers_of(case, model) for case in known.cases])]
    spent = sum(offer.nano_usd for offer in chosen if offer)
    deepest = [max(offers, key=lambda offer: offer.option) for offers in truth]
    rows: dict[str, Sequence[Offer | None]] = {
        "never": [None] * len(truth),
        "always": deepest,
        "policy": [_real(offer, offers) for offer, offers in zip(chosen, truth, strict=True)],
        "oracle, the same money": allot(truth, spent).taken,
        "oracle": [best if (best := most_gain(offers)) and best.gain > 0 else None for offers in truth],
    }
    screen = output()
    label = f"{known.llm} (SIMULATION)" if known.simulated else known.llm
    screen.print(f"{label}, {len(truth)} queries", markup=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "escalated", "USD", "nDCG@10", "over never", "over always"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, taken in rows.items():
        table.add_row(name, *_cells(known, taken, deepest))
    screen.print(table)
    screen.print("")


def _real(offer: Offer | None, offers: Sequence[Offer]) -> Offer | None:
    """What an offer came to."""
    return next(each for each in offers if each.option == offer.option) if offer else None


def _cells(known: Known, taken: Sequence[Offer | None], always: Sequence[Offer]) -> list[str]:
    from listwise.eval.measures import bootstrap

    gains = [offer.gain if offer else 0.0 for offer in taken]
    over = bootstrap(gains)
    against = bootstrap([gain - other.gain for gain, other in zip(gains, always, strict=True)])
    usd = sum(offer.nano_usd for offer in taken if offer) / 1e9
    share = sum(offer is not None for offer in taken) / len(taken)
    return [
        f"{share:.0%}",
        f"${usd:.5f}",
        f"{known.local.mean() + over.mean:.4f}",
        *(f"{each.mean:+.4f} ({each.low:+.4f} to {each.high:+.4f})" for each in (over, against)),
    ]
