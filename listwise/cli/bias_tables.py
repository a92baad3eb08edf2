"""How studies of bias are shown: sentences, tables, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from listwise.cli.route_curve import table_of
from listwise.cli.screen import output
from listwise.eval.bias.words import ORDERS, chance, design_of, percent, spread, verdict

if TYPE_CHECKING:
    from rich.table import Table

    from listwise.eval.bias.estimates import Estimate
    from listwise.eval.bias.positions import Positions
    from listwise.eval.bias.study import Study


def told(studies: Sequence[Study]) -> str:
    """All figures, as JSON; ranks and positions in ``matrix`` count from 0."""
    found = [{**asdict(study), "verdict": verdict(study)} for study in studies]
    return json.dumps({"studies": found}, ensure_ascii=False, allow_nan=False)


def show(studies: Sequence[Study]) -> None:
    """On standard output."""
    screen = output()
    for at, study in enumerate(studies):
        name = "".join(char if char.isprintable() else "?" for char in study.model)  # files may say anything
        label = f"{name} (simulated)" if study.simulated else name
        screen.print("\n" * bool(at) + f"{label}: {study.windows} windows of {study.queries} queries", style="bold")
        for said in verdict(study):
            screen.print(f"- {said}", soft_wrap=True)
        for title, table in _tables(study):
            screen.print(f"\n{title}", soft_wrap=True)
            screen.print(table)


def _tables(study: Study) -> Iterator[tuple[str, Table]]:
    if study.positions:
        yield design_of(study.positions[0]), _by_position(study.positions[0])
    if any(each.effects for each in study.positions):
        yield "effects, in ranks", _effects(study)
    if study.agreement:
        yield "agreement over orders of the same passages", _agreement(study)
    if study.input_orders:
        yield "nDCG@10 by the order shown", _input_orders(study)
    if study.habits.repairs:
        yield "answers with repairs", _repairs(study)
    if study.systems:
        yield "what is mended: rankings from different random orders of the candidates", _systems(study)


def _by_position(each: Positions) -> Table:
    effects = each.effects
    columns = ("ranks lost", "band for all") if effects else ()
    table = table_of("shown", "mean rank given", *columns, "on top", "by chance")
    for at, rank in enumerate(each.mean_rank):
        cells = [str(at + 1), spread(rank, 2)]
        if effects:
            low, high = effects.band[at]
            cells += [spread(effects.curve[at], 2, sign=True), f"{low:+.2f} to {high:+.2f}"]
        table.add_row(*cells, percent(each.top.share[at]), f"{each.top.expected[at]:.1%}")
    return table


def _effects(study: Study) -> Table:
    table = table_of(
        *("window", "design", "slope", "p", "first", "p", "last", "p"), *("ends - middle", "p", "any: p", "top: p")
    )
    for each in study.positions:
        if each.effects is not None:
            found = each.effects
            ends = (found.first, found.last, found.bend)
            cells = [_cells(found.slope, 2), *(_cells(end, 1) for end in ends)]
            tests = [_p(found.p), _p(each.top.p)]
            table.add_row(str(each.size), each.design, *(cell for pair in cells for cell in pair), *tests)
    return table


def _agreement(study: Study) -> Table:
    table = table_of("window", "sets", "Kendall's tau", "p", "rank-biased overlap", "by chance")
    for each in study.agreement:
        overlap = spread(each.overlap, 3)
        cells = [str(each.sets), *_cells(each.tau, 3), overlap, f"{each.overlap_by_chance:.3f}"]
        table.add_row(str(each.size), *cells)
    return table


def _input_orders(study: Study) -> Table:
    table = table_of("shown", "windows", "as shown", "answered", "over shuffled", "p")
    table.columns[0].justify = "left"
    for each in study.input_orders:
        cells = [str(each.windows), f"{each.shown:.4f}", spread(each.answered, 4), *_cells(each.over_shuffled, 4)]
        table.add_row(ORDERS[each.order], *cells)
    return table


def _repairs(study: Study) -> Table:
    table = table_of("repair", "answers")
    table.columns[0].justify = "left"
    for kind, count in study.habits.repairs.items():
        table.add_row(kind, f"{count:,}")
    return table


def _systems(study: Study) -> Table:
    table = table_of(
        *("asked", "candidates", "calls", "tau", "overlap", "nDCG@10"),
        *("against", "tau over it", "p", "nDCG@10 over it", "p"),
    )
    table.columns[0].justify = "left"
    for each in study.systems:
        cells = [str(each.candidates), f"{each.calls:.1f}", spread(each.tau, 2), f"{each.overlap.value:.2f}"]
        quality = "-" if each.ndcg is None else spread(each.ndcg, 3)
        differences = [*_cells(each.tau_over, 2), *_cells(each.ndcg_over, 3)]
        table.add_row(each.name, *cells, quality, each.against or "-", *differences)
    return table


def _cells(estimate: Estimate | None, digits: int) -> tuple[str, str]:
    """The figure with its sign and interval, and its p-value."""
    return ("-", "-") if estimate is None else (spread(estimate, digits, sign=True), _p(estimate.p))


def _p(p: float | None) -> str:
    return "-" if p is None else chance(p).removeprefix("p ").removeprefix("= ")
