"""The results of an experiment as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

Record = Mapping[str, Any]
"""A line of one of the results folder's tables."""


def show_results(tables: Mapping[str, Sequence[Record]]) -> None:
    """A table a collection, with a line for each system; the seeds of one group are one line, their mean.

    Args:
        tables: ``systems``, ``measures``, ``groups`` and ``totals`` of a results folder.
    """
    from listwise.cli.screen import output

    screen = output()
    for collection in dict.fromkeys(each["collection"] for each in tables["systems"]):
        here = {
            name: [each for each in table if each["collection"] == collection] for name, table in tables.items()
        }
        screen.print(_table(collection, here))
    if any(each["baseline"] for each in tables["systems"]):
        screen.print("difference, p: to the baseline, by the first measure; p is corrected over all lines (Holm)")
    results = (*tables["measures"], *tables["groups"])
    if any(each["binds"] for each in results if each["measure"] == results[0]["measure"]):
        screen.print("!: the candidates, not their order, hold it back: a deeper or better first stage would help")
    if any(each["simulated"] for each in tables["systems"]):
        screen.print("(simulated): no LLM was asked; orders, calls and dollars are made up")


def _table(collection: str, tables: Mapping[str, Sequence[Record]]) -> Any:
    from rich.table import Table

    found = {(each["system"], each["measure"]): each for each in (*tables["measures"], *tables["groups"])}
    measures = list(dict.fromkeys(measure for _, measure in found))
    queries = len({each["qid"] for each in tables["queries"]})
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{collection}, {queries} queries", overflow="fold")
    for heading in (measures[0], "95 %", "ceiling", *measures[1:], "difference", "p", "calls a query", "USD"):
        table.add_column(heading, justify="right")
    for group in dict.fromkeys(each["group"] for each in tables["systems"]):
        systems = [each for each in tables["systems"] if each["group"] == group]
        totals = [each for each in tables["totals"] if each["system"] in {system["system"] for system in systems}]
        name = systems[0]["system"] if len(systems) == 1 else group
        first = found[name, measures[0]]
        table.add_row(
            _label(name, systems),
            f"{first['mean']:.4f}",
            f"{first['low']:.3f} to {first['high']:.3f}",
            "" if first["ceiling"] is None else f"{first['ceiling']:.4f}{'!' if first['binds'] else ''}",
            *(f"{found[name, measure]['mean']:.4f}" for measure in measures[1:]),
            *_against(first),
            _calls(totals, queries),
            _usd(totals),
        )
    return table


def _label(name: str, systems: Sequence[Record]) -> str:
    made_up = " (simulated)" if systems[0]["simulated"] and "simulated" not in name else ""
    return f"{name}{made_up}" + (f", mean of {len(systems)}" if len(systems) > 1 else "")


def _against(found: Record) -> tuple[str, str]:
    if found["difference"] is None:
        return "", ""
    return f"{found['difference'][0]:+.4f}", f"{found['p_corrected']:.4f}"


def _calls(totals: Sequence[Record], queries: int) -> str:
    calls = fmean(each["calls"] for each in totals)
    return f"{calls / queries:.1f}" if calls else ""


def _usd(totals: Sequence[Record]) -> str:
    """What was paid for all queries and, where the cache gave answers, what they would cost; of seeds, the mean."""
    if not all(each["priced"] for each in totals):
        return "unknown"
    paid = fmean(float(each["usd"]) for each in totals)
    bills = [float(each["bill_usd"]) for each in totals if each["bill_usd"] is not None]
    whole = fmean(bills) if len(bills) == len(totals) else paid
    return f"${paid:.4f}" if whole <= paid else f"${paid:.4f} of ${whole:.4f}"
