"""``listwise route simulate``."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from listwise.cli.route_curve import headline, read_samples, spread, table_of
from listwise.errors import ConfigError
from listwise.spend.money import MOST_USD, nano_usd_down

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from listwise.eval.routing import Sample
    from listwise.eval.routing_budgets import Spent
    from listwise.routing.goals import Goal


def usd(text: str) -> Decimal:
    """An amount of dollars that may be spent."""
    try:
        amount = Decimal(text)
    except ArithmeticError:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise ValueError(text)
    return amount


@click.command("simulate")
@click.option("--cases", "files", multiple=True, required=True, metavar="FILE", help="See route fit --keep-cases.")
@click.option("--router", default="default", metavar="ROUTER", help="A name or a file. [default]")
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Its cases only; may be repeated. [all]")
@click.option("--escalate", "share", type=click.FloatRange(0, 1), metavar="SHARE", help="So many of the queries.")
@click.option("--point", type=usd, metavar="USD", help="Worth of 0.01 of nDCG@10.")
@click.option("--max-loss", type=click.FloatRange(0, 1, True, True), help="Mean nDCG@10 lost at most, as 0.01.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, True, True),
    default=0.9,
    help="How sure --max-loss is to hold. [0.9]",
)
@click.option("--budget-total", type=usd, metavar="USD", help="For all queries of the cases.")
@click.option("--json", "as_json", is_flag=True, help="The figures, for programs.")
def simulate(
    files: tuple[str, ...],
    router: str,
    llms: tuple[str, ...],
    share: float | None,
    point: Decimal | None,
    max_loss: float | None,
    confidence: float,
    budget_total: Decimal | None,
    as_json: bool,
) -> None:
    """What a policy would have done with queries of which it is known what an LLM gains.

    Next to escalating none and all of them, to the same money spent blindly, and to an oracle, which knows what
    will be gained, with the same money. The policy goes by the costs that can be foreseen, and pays what the cases
    did cost; where a budget runs out, queries stay local. Without --escalate, --point, --max-loss or
    --budget-total: as ``listwise rerank`` does by itself. Nothing is asked, and nothing is spent.

    \b
    Examples:
      listwise route simulate --cases cases.jsonl --escalate 0.3
      listwise route simulate --cases cases.jsonl --point 0.0002 --router router.json
    """
    from listwise.cli.screen import output

    aims = {"--escalate": share, "--point": point, "--max-loss": max_loss, "--budget-total": budget_total}
    given = [name for name, value in aims.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} each say which queries are escalated: leave all but one out")
    found = read_samples(files, router, llms)
    priced = all(sample.nano_usd.any() for sample in found)
    if given and given[0] in ("--point", "--budget-total") and not priced:
        raise ConfigError(f"{given[0]} weighs gains against dollars, and the cases name none")
    goal = _goal(router, share, point, max_loss, confidence, budget_total, priced)
    name = f"{given[0]} {aims[given[0]]}" if given else "auto"
    most = None if budget_total is None else nano_usd_down(budget_total)
    results = {sample.llm: dict(_rows(sample, goal, name, most)) for sample in found}
    if as_json:
        click.echo(json.dumps([_told(sample, results[sample.llm]) for sample in found], ensure_ascii=False))
        return
    screen = output()
    for at, sample in enumerate(found):
        screen.print("\n" * bool(at) + headline(sample), soft_wrap=True)
        screen.print(_table(results[sample.llm]))


def _goal(
    router: str,
    share: float | None,
    point: Decimal | None,
    max_loss: float | None,
    confidence: float,
    budget_total: Decimal | None,
    priced: bool,
) -> Goal:
    from listwise.offering import auto, safe, share_of
    from listwise.routing.gain import GainModel
    from listwise.routing.goals import Dollars, Price

    model = GainModel.read(router)
    if share is not None:
        return share_of(model, share)
    if point is not None:
        return Price(nano_usd_down(point))
    if max_loss is not None:
        return safe(model, max_loss, confidence)
    if budget_total is not None:
        left = nano_usd_down(budget_total)
        return Dollars(lambda: left)
    return auto(model, router, priced=priced)


def _rows(sample: Sample, goal: Goal, name: str, most: int | None) -> Iterator[tuple[str, Spent]]:
    from listwise.eval.routing_budgets import Spent, afforded, blindly, everything, in_hindsight, offered, spent

    taken = [choice.offer for choice in goal.choose_all(offered(sample))]
    chosen = spent(sample, taken if most is None else afforded(sample, taken, most))
    share, reached = blindly(sample, chosen.nano_usd)
    yield "never", spent(sample, [None] * len(sample.rows))
    yield "always", everything(sample)
    yield name, chosen
    if sample.nano_usd.any():
        yield "blindly, same money", Spent(share, chosen.nano_usd, tuple(reached.tolist()))
        yield "oracle, same money", in_hindsight(sample, chosen)
    else:
        yield "oracle, same share", in_hindsight(sample, chosen)


def _table(rows: dict[str, Spent]) -> Table:
    table = table_of("policy", "escalated", "USD/1000", "nDCG@10", "over never", "over always")
    table.columns[0].justify = "left"
    never, always = rows["never"].by_query, rows["always"].by_query
    for name, row in rows.items():
        over = [
            "" if name == itself else spread(row.over(other))
            for itself, other in (("never", never), ("always", always))
        ]
        table.add_row(name, f"{row.share:.0%}", f"{row.usd:.4g}", f"{row.ndcg:.4f}", *over)
    return table


def _told(sample: Sample, rows: dict[str, Spent]) -> dict[str, Any]:
    from dataclasses import asdict

    never, always = rows["never"].by_query, rows["always"].by_query
    return {
        "llm": sample.llm,
        "simulated": sample.simulated,
        "collections": sample.collections,
        "queries": len(sample.rows),
        "policies": [
            {
                "policy": name,
                "escalated": row.share,
                "nano_usd": row.nano_usd,
                "ndcg": row.ndcg,
                "over_never": asdict(row.over(never)),
                "over_always": asdict(row.over(always)),
            }
            for name, row in rows.items()
        ],
    }
