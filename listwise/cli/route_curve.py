"""``listwise route curve``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from listwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from listwise.eval.measures import Interval
    from listwise.eval.routing import Sample


@click.command("curve")
@click.option("--cases", "files", multiple=True, required=True, metavar="FILE", help="See route fit --keep-cases.")
@click.option("--router", default="default", metavar="ROUTER", help="A name or a file. [default]")
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Its cases only; may be repeated. [all]")
@click.option("--out", metavar="FILE", help="Draw the curves, as in curve.svg.")
@click.option("--calibration", "calibrated", metavar="FILE", help="Draw realised against predicted gains.")
@click.option("--json", "as_json", is_flag=True, help="All figures, for programs.")
def curve(
    files: tuple[str, ...],
    router: str,
    llms: tuple[str, ...],
    out: str | None,
    calibrated: str | None,
    as_json: bool,
) -> None:
    """nDCG@10 against dollars, as more and more queries are escalated.

    By the router (largest predicted gain first), at random, by the margin around rank 10 (smallest first), and by
    an oracle, which knows what will be gained; for each LLM of the cases, simulated seeds averaged. An order that
    picks dear queries looks good at a share, so each, and that of gain per dollar, is also compared with the same
    money spent at random. Intervals are 95 %, by bootstrap over queries, in pairs. A router that was fitted on the
    same queries looks too good.

    \b
    Examples:
      listwise route curve --cases cases.jsonl
      listwise route curve --cases cases.jsonl --router router.json --out curve.svg --calibration calibration.svg
    """
    from listwise.cli.screen import output

    found = read_samples(files, router, llms)
    if out is not None or calibrated is not None:
        _draw(found, out, calibrated)
    if as_json:
        click.echo(json.dumps([_told(sample) for sample in found], ensure_ascii=False))
        return
    screen = output()
    for at, sample in enumerate(found):
        screen.print("\n" * bool(at) + headline(sample), soft_wrap=True)
        for part in (*_compared(sample), *_money(sample), _budgets(sample), *_calibration(sample)):
            screen.print(part, soft_wrap=isinstance(part, str))


def read_samples(files: Sequence[str], router: str, llms: Sequence[str]) -> list[Sample]:
    """What files of cases hold, with a router's predictions.

    Raises:
        ConfigError: there is no such router, or the cases are of other LLMs.
        InputError: a file cannot be read, or its cases cannot be compared.
    """
    from listwise.eval.routing import samples
    from listwise.routing.cases import read_cases
    from listwise.routing.gain import GainModel

    model = GainModel.read(router)
    found = samples([case for file in files for case in read_cases(Path(file))], model)
    chosen = [sample for sample in found if not llms or sample.llm in llms]
    if not chosen:
        raise ConfigError(f"no cases of {', '.join(llms)}: there are {', '.join(sample.llm for sample in found)}")
    return chosen


def headline(sample: Sample) -> str:
    """Whose figures follow."""
    return f"{sample.label}: {len(sample.rows)} queries of {sample.collections}; local order {sample.local:.4f}"


def spread(interval: Interval | None, digits: int = 4, sign: str = "+") -> str:
    """A number with its interval; a dash where there is none."""
    if interval is None:
        return "-"
    low, high = (f"{end:{sign}.{max(2, digits - 1)}f}" for end in (interval.low, interval.high))
    return f"{interval.mean:{sign}.{digits}f} ({low} to {high})"


def table_of(*headings: str) -> Table:
    """An empty one, of numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _draw(found: Sequence[Sample], out: str | None, calibrated: str | None) -> None:
    from listwise.eval.routing_plots import draw_calibration, draw_curves

    for path, draw in ((out, draw_curves), (calibrated, draw_calibration)):
        if path is not None:
            draw(found, Path(path))
            click.echo(f"written to {path}", err=True)


def _compared(sample: Sample) -> Iterator[Table | str]:
    from listwise.eval.routing import compare, curves

    found = compare(sample)
    usd = {each.name: each.usd for each in curves(sample, [each.share for each in found])}["router"]
    table = table_of(
        *("escalated", "USD/1000", "router", "random", "margin", "oracle"),
        *("router - random", "router - margin", "of oracle's gain", "times random's"),
    )
    for cost, each in zip(usd, found, strict=True):
        reached = [
            f"{sample.local + each.gains[name].mean:.4f}" for name in ("router", "random", "margin", "oracle")
        ]
        differences = [spread(each.over_random), spread(each.over_margin)]
        ratios = [spread(each.of_oracle, 2, ""), spread(each.times_random, 2, "")]
        table.add_row(f"{each.share:.0%}", f"{cost:.4g}", *reached, *differences, *ratios)
    everything = f"{sample.local + sample.gains.mean():.4f}"
    table.add_row("100%", f"{sample.nano_usd.mean() / 1e6:.4g}", *[everything] * 4)
    yield table
    if found[0].gains["random"].low <= 0:
        yield "random's gain is not clearly above zero: no multiple of it means anything"


def _money(sample: Sample) -> Iterator[Table]:
    """At equal dollars, if the cases name any."""
    from listwise.eval.routing_budgets import by_money, compare_orders

    if not sample.nano_usd.any():
        return
    orders = list(by_money(sample))
    table = table_of("escalated", *orders)
    table.title, table.title_justify = "over random for the same money, each share escalated in full", "left"
    found = compare_orders(sample)
    for start in range(0, len(found), len(orders)):
        told = found[start : start + len(orders)]
        table.add_row(f"{told[0].share:.0%}", *(spread(each.over_chance) for each in told))
    yield table


def _budgets(sample: Sample) -> Table:
    """With the depth left to the router."""
    from listwise.eval.routing_budgets import compare_budgets

    table = table_of("budget", "USD/1000", "escalated", "router", "random", "router - random")
    table.title, table.title_justify = "any depth, under a budget in percent of the cost of all", "left"
    for each in compare_budgets(sample):
        routed = each.router
        cells = [f"{routed.share:.0%}", f"{routed.ndcg:.4f}", f"{each.by_chance:.4f}", spread(each.over_chance)]
        table.add_row(f"{each.budget:.0%}", f"{routed.usd:.4g}", *cells)
    return table


def _calibration(sample: Sample) -> Iterator[str]:
    from listwise.eval.routing import calibration

    told = calibration(sample)
    yield (
        f"calibration: predictions are off by {told.error:.3f}; with so few queries, right ones would be off by "
        f"about {told.by_chance:.3f}"
    )
    for place, gain in told.bins:
        yield f"  predicted {place:+.3f}, realised {spread(gain, 3)}"


def _told(sample: Sample) -> dict[str, Any]:
    from listwise.eval.routing import calibration, compare, curves
    from listwise.eval.routing_budgets import by_budget, compare_budgets, compare_orders

    return {
        "llm": sample.llm,
        "simulated": sample.simulated,
        "collections": sample.collections,
        "queries": len(sample.rows),
        "local": sample.local,
        "curves": [asdict(each) for each in (*curves(sample), *by_budget(sample))],
        "compared": [asdict(each) for each in compare(sample)],
        "for_the_same_money": [asdict(each) for each in compare_orders(sample)],
        "budgets": [asdict(each) for each in compare_budgets(sample)],
        "calibration": asdict(calibration(sample)),
    }
