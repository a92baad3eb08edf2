"""``listwise route curve``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from listwise.eval.routing import AtShare, Known


@click.command("curve")
@click.option("--cases", "files", multiple=True, required=True, metavar="FILE", help="Cases; may be repeated.")
@click.option("--router", default="default", metavar="ROUTER", help="A name, or a file of `route fit`. [default]")
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Only these LLMs of the cases; may be repeated.")
@click.option("--out", metavar="FILE.svg", help="Draw nDCG@10 against dollars.")
@click.option("--calibration", "drawn", metavar="FILE.svg", help="Draw predicted against realised gains.")
@click.option("--json", "as_json", is_flag=True, help="All figures, for programs.")
def curve(
    files: tuple[str, ...], router: str, llms: tuple[str, ...], out: str | None, drawn: str | None, as_json: bool
) -> None:
    """nDCG@10 against dollars on known cases: the router beside chance, a margin, and an oracle.

    Cases come from `listwise route fit --keep-cases` or `python -m eval.benchmarks.routing_cases`; take others than
    the router was fitted to. All escalate a share of the queries to the deepest option. Intervals are of 95 %, by
    bootstrap over queries.

    \b
    Examples:
      listwise route curve --cases dl19.jsonl --out curve.svg
      listwise route curve --cases mine.jsonl --router router.json --llm gpt-4o --calibration calibration.svg
    """
    from listwise.errors import ConfigError
    from listwise.eval.routing import at_shares, calibration, known_of
    from listwise.eval.routing_plots import draw_calibration, draw_curves
    from listwise.routing.cases import read_cases
    from listwise.routing.gain import GainModel

    model = GainModel.read(router)
    known = known_of([case for file in files for case in read_cases(Path(file))], model)
    known = [each for each in known if not llms or each.llm in llms]
    if not known:
        raise ConfigError(f"no cases of {', '.join(llms) or 'any LLM'} in {', '.join(files)}")
    shares = {each.llm: at_shares(each) for each in known}
    bins = {each.llm: calibration(each) for each in known}
    if out:
        draw_curves(known, Path(out))
    if drawn:
        draw_calibration([(llm, found) for llm, (found, _) in bins.items()], Path(drawn))
    if as_json:
        click.echo(json.dumps([_record(each, shares[each.llm], bins[each.llm]) for each in known], indent=2))
        return
    for each in known:
        _show(each, shares[each.llm], bins[each.llm][1])


def _record(known: Known, shares: list[AtShare], bins: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "llm": known.llm,
        "simulated": known.simulated,
        "queries": len(known.cases),
        "local": float(known.local.mean()),
        "llm_gain": float(known.gains.mean()),
        "usd_a_query": float(known.usd.mean()),
        "shares": [
            {**asdict(each), "of_oracle": each.of_oracle, "times_random": each.times_random} for each in shares
        ],
        "calibration": {"bins": [asdict(each) for each in bins[0]], "error": bins[1]},
    }


def _show(known: Known, shares: list[AtShare], error: float) -> None:
    from rich.table import Table

    from listwise.cli.screen import output

    screen = output()
    label = f"{known.llm} (SIMULATION)" if known.simulated else known.llm
    local, gain = known.local.mean(), known.gains.mean()
    best = local + known.gains.clip(0).mean()
    screen.print(
        f"{label}: {len(known.cases)} queries, nDCG@10 {local:.4f} local, {local + gain:.4f} with every query "
        f"escalated (${known.usd.mean() * 1000:.3f} for 1,000), {best:.4f} with the right ones",
        markup=False,
    )
    table = Table(box=None, pad_edge=False)
    headings = (
        "escalated",
        "nDCG@10",
        "gain",
        "random",
        "oracle",
        "of oracle's",
        "router - random",
        "router - margin",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for each in shares:
        table.add_row(
            f"{each.share:.0%}",
            f"{local + each.router:.4f}",
            *(f"{value:+.4f}" for value in (each.router, each.random, each.oracle)),
            f"{each.of_oracle:.0%}",
            _interval(each.over_random),
            _interval(each.over_margin),
        )
    screen.print(table)
    screen.print(f"predicted gains are off by {error:.3f} nDCG@10, in the mean of five groups\n")


def _interval(value: tuple[float, float, float]) -> str:
    return f"{value[0]:+.4f} ({value[1]:+.4f} to {value[2]:+.4f})"
