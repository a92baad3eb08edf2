"""What ``listwise eval`` prints: tables, lines, JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from listwise.cli.screen import output
from listwise.eval.standings import Line, Standing
from listwise.eval.statistics import Interval
from listwise.spend.money import dollars, plain


def show(found: Sequence[Standing], notes: Sequence[str], judged: int, test: str) -> None:
    """The tables, and what is to be said of them."""
    screen = output()
    screen.print(_measures_table(found))
    if any(each.bill for each in found):
        screen.print()
        screen.print(_costs_table(found))
    screen.print(f"{judged} judged queries")
    for note in notes:
        screen.print(note, soft_wrap=True)


def per_query_lines(found: Sequence[Standing]) -> Iterator[str]:
    """``run<TAB>qid<TAB>measure<TAB>value``."""
    for each in found:
        for line in each.lines:
            for qid, value in line.measured.by_query.items():
                yield f"{_label(each)}\t{qid}\t{line.measured.measure}\t{value:.4f}"


def told(
    found: Sequence[Standing], notes: Sequence[str], judged: int, options: Mapping[str, Any], *, per_query: bool
) -> dict[str, Any]:
    """For programs."""
    asked = {
        name: options[name] for name in ("qrels", "baseline", "first_stage", "depth", "test", "correct", "order")
    }
    return {
        **asked,
        "judged_queries": judged,
        "runs": [_told(each, per_query) for each in found],
        "notes": list(notes),
    }


def _measures_table(found: Sequence[Standing]) -> Table:
    compared = [each for each in found if each.lines[0].comparison]
    corrected = len(compared) > 1 and compared[0].lines[0].p_corrected is not None
    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("measure", no_wrap=True)
    differences = ("difference", "p (Holm)" if corrected else "p", "wins/losses") if compared else ()
    for heading in ("mean", "95 %", "ceiling", *differences):
        table.add_column(heading, justify="right", no_wrap=True)
    for at in range(len(found[0].lines)):
        for each in found:
            line = each.lines[at]
            table.add_row(_label(each), line.measured.measure, *_cells(line))
    return table


def _cells(line: Line) -> list[str]:
    interval = line.measured.interval
    cells = [f"{interval.mean:.4f}", f"{interval.low:.3f} to {interval.high:.3f}", f"{line.ceiling.best:.4f}"]
    if (found := line.comparison) is not None:
        p_value = found.p_value if line.p_corrected is None else line.p_corrected
        cells += [f"{found.difference.mean:+.4f}", _chance(p_value), f"{found.wins}/{found.losses}"]
    return cells


def _chance(p_value: float) -> str:
    return f"{p_value:.4f}" if p_value >= 0.0001 else "<0.0001"


def _costs_table(found: Sequence[Standing]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    gains = any(each.lines[0].comparison for each in found)
    gain = (f"{found[0].lines[0].measured.measure} gained per $",) if gains else ()
    for heading in ("calls", "cached", "input tok", "output tok", "s/query", "USD", *gain):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        if each.bill is not None:
            table.add_row(_label(each), *_cost_cells(each, gains))
    return table


def _cost_cells(each: Standing, gains: bool) -> list[str]:
    bill = each.bill
    assert bill is not None
    cells = [
        f"{bill.calls:,}",
        f"{bill.cache_hits:,}",
        f"{bill.input_tokens:,}",
        f"{bill.output_tokens:,}",
        f"{bill.seconds / max(1, bill.queries):.2f}",
        dollars(bill.usd) if bill.priced else "no price",
    ]
    return [*cells, _spread(each.lines[0].gain_per_usd)] if gains else cells


def _spread(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    mean, low, high = (f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+.3g}" for value in _ends(interval))
    return f"{mean} ({low} to {high})"


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high


def _label(each: Standing) -> str:
    return f"{each.entrant.name} (simulated)" if each.entrant.simulated else each.entrant.name


def _told(each: Standing, per_query: bool) -> dict[str, Any]:
    bill = each.bill
    return {
        "run": each.entrant.name,
        "simulated": each.entrant.simulated,
        "first_stage": {"run": each.stage_name, "depth": each.stage.depth, "recall": each.stage.recall},
        "measures": [_told_line(line, per_query) for line in each.lines],
        "cost": None
        if bill is None
        else {
            "queries": bill.queries,
            "usd": plain(bill.usd) if bill.priced else None,
            "calls": bill.calls,
            "cache_hits": bill.cache_hits,
            "passages_read": bill.passages_read,
            "input_tokens": bill.input_tokens,
            "output_tokens": bill.output_tokens,
            "seconds": bill.seconds,
        },
    }


def _told_line(line: Line, per_query: bool) -> dict[str, Any]:
    interval, found, gained = line.measured.interval, line.comparison, line.gain_per_usd
    return {
        "measure": line.measured.measure,
        **_told_interval(interval),
        "ceiling": line.ceiling.best,
        "perfect": line.ceiling.perfect,
        "binds": line.binds,
        "difference": None if found is None else _told_interval(found.difference),
        "p": None if found is None else found.p_value,
        "p_corrected": line.p_corrected,
        "wins": None if found is None else found.wins,
        "losses": None if found is None else found.losses,
        "gained_per_usd": None if gained is None else _told_interval(gained),
        **({"by_query": dict(line.measured.by_query)} if per_query else {}),
    }


def _told_interval(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
