"""A day's budget over an uneven stream: our controller next to a fixed threshold, first come first served, and an
oracle.

    python -m eval.benchmarks.pacing [--cases FILE] [--queries 100000] [--results eval/results]

Three days in a row at three caps, which are 10, 30 and 60 % of what it would cost to escalate every query of the
first day at full depth. On the first day the controller knows nothing; then come a day with 30 % more queries, and
instead of it one with 30 % less. Prints a table, and writes it with the curves of spending (extra ``eval``) to
``pacing.md`` and ``pacing.svg`` among the results. **All of it is a simulation.**
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.benchmarks.pacing_days import (
    BILL_SIGMA,
    CORRELATION,
    DEARER,
    Day,
    Floats,
    Plan,
    first_come,
    fixed,
    from_cases,
    oracle,
    paced,
    refused_most,
    simulate,
    synthetic,
)
from listwise.errors import MissingExtra
from listwise.routing.pacing import Pacer
from listwise.spend.money import NANO

CAPS = (0.1, 0.3, 0.6)
"""Of the bill of the first day if every query were escalated."""
FIRST_DAY = 20_000
"""Counted from 1970."""
REPORT = """
# A day's budget over an uneven stream

`{command}`: a simulation of {queries:,} queries on the first day, 30 % more or less on
the second, with rushes at 10 and 20 UTC, and quarters of an hour that are busier or calmer than usual by 20 %.
Gains and costs: {source}.
Gains are predicted by a signal that correlates with the real ones by {correlation}, and predictions are calibrated;
bills are {dearer} times the estimate on average, lognormal with sigma {sigma}, and come 3 s after the decision.

*Cap*: of the bill if every query of the first day were escalated at full depth. *Fixed threshold*: the price of a
dollar that would have spent the cap on the day before by its bills (on the first day it has seen a day that the
controller has not), until the cap is spent. *First come*: whatever has the highest predicted gain, until the cap is
spent. *Oracle*: one price for the whole day, by predicted gains and real bills, all known beforehand; where it
spends less than the cap, nothing more has a predicted gain. *Refused, worst hour*: of the queries of an hour that
the oracle escalates, those that stayed local, in the hour where that share is largest. *Gain*: nDCG@10, summed over
queries.

{table}

{remark}![Spending over the day](pacing.svg)
"""
REMARK = """\
Nothing tells the controller on its first day that rushes will come, so it spends more freely in the night than it
should. On the calmer day at the largest cap, all that has a predicted gain costs hardly more than the cap or less:
what is kept at first, for as many queries as the day before had, cannot be spent later on those that come.

"""


@dataclass(frozen=True)
class Days:
    """A day that only the fixed threshold knows, the first of the controller, and two that may follow it."""

    before: Day
    first: Day
    busier: Day
    calmer: Day


@dataclass(frozen=True)
class Outcome:
    """What came of a plan on a day."""

    cap_share: float
    day_name: str
    plan: str
    spent: Floats
    """Nano-dollars by the end of each hour."""
    cap: float
    refused: float
    """See `refused_most`."""
    gain: float
    """nDCG points, summed over queries."""
    taken: float
    """Share of the queries."""


def outcomes(days: Days, share: float) -> Iterator[Outcome]:
    """All plans on all days at one cap."""
    cap = int(share * days.first.bills[:, -1].sum())
    ours = Pacer(cap, float(days.first.times[0]))
    yield from compared("first day", days.first, paced(ours), days.before, cap, share)
    again = copy.deepcopy(ours)
    yield from compared("second day, +30 %", days.busier, paced(ours), days.first, cap, share)
    yield from compared("second day, -30 %", days.calmer, paced(again), days.first, cap, share)


def compared(name: str, day: Day, ours: Plan, yesterday: Day, cap: float, share: float) -> Iterator[Outcome]:
    """All plans on one day."""
    fair = oracle(day, cap)
    plans: Mapping[str, Plan] = {
        "paced": ours,
        "fixed threshold": fixed(yesterday),
        "first come": first_come,
        "oracle": lambda *_: fair,
    }
    for plan, choose in plans.items():
        choice = choose(day, cap)
        spent = np.bincount(day.hours, day.spends(choice), minlength=24).cumsum()
        refused, taken = refused_most(day, choice, fair), float((choice >= 0).mean())
        yield Outcome(share, name, plan, spent, cap, refused, day.brings(choice), taken)


def table(found: Sequence[Outcome]) -> Iterator[str]:
    """A line an outcome; gains are relative to the oracle's."""
    yield "| cap | day | plan | spent, % of the cap | taken | refused, worst hour | gain | of the oracle's |"
    yield "|---|---|---|---|---|---|---|---|"
    best = {(each.cap_share, each.day_name): each.gain for each in found if each.plan == "oracle"}
    for each in found:
        usd = each.cap / NANO
        yield (
            f"| {each.cap_share:.0%} (${usd:.2f}) | {each.day_name} | {each.plan} "
            f"| {each.spent[-1] / each.cap:.2%} | {each.taken:.1%} | {each.refused:.1%} | {each.gain:.0f} "
            f"| {each.gain / best[each.cap_share, each.day_name]:.1%} |"
        )


def plot(found: Sequence[Outcome], days: Days, path: Path) -> None:
    """Spending over the day, a panel for each cap and day, over the traffic.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("curves need matplotlib", "eval") from error
    mpl.rcParams.update({"svg.hashsalt": "pacing", "svg.fonttype": "none"})
    traffic = {"first day": days.first, "second day, +30 %": days.busier, "second day, -30 %": days.calmer}
    figure = Figure(figsize=(12, 9), layout="constrained")
    panels = figure.subplots(len(CAPS), len(traffic), sharex=True, sharey=True)
    for row, share in enumerate(CAPS):
        for column, (name, day) in enumerate(traffic.items()):
            panel = panels[row][column]
            arrivals = np.bincount(day.hours, minlength=24)
            panel.bar(np.arange(24) + 0.5, 50 * arrivals / arrivals.max(), 0.9, color="0.88", label="queries")
            for each in found:
                if (each.cap_share, each.day_name) == (share, name):
                    style = "--" if each.plan == "oracle" else "-"
                    percent = 100 * np.concatenate([[0.0], each.spent]) / each.cap
                    panel.plot(range(25), percent, style, label=each.plan)
            panel.axhline(100, color="0.5", linewidth=0.8)
            panel.set_title(f"cap {share:.0%}, {name}", fontsize=10)
            panel.set_xticks(range(0, 25, 6))
    panels[0][0].legend(fontsize=8)
    figure.supxlabel("hour, UTC")
    figure.supylabel("spent, % of the cap")
    figure.savefig(path, metadata={"Date": None})


def report(found: Sequence[Outcome], source: str, command: str, queries: int, remark: str) -> str:
    """The recorded results; ``remark`` is what there is to say of them."""
    text = REPORT.format(
        command=command,
        queries=queries,
        source=source,
        correlation=CORRELATION,
        dearer=DEARER,
        sigma=BILL_SIGMA,
        table="\n".join(table(found)),
        remark=remark,
    )
    return text.lstrip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.benchmarks.pacing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=Path, help="draw gains and costs from a file of cases")
    parser.add_argument("--queries", type=int, default=100_000, help="on the first day [100000]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("eval/results"))
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    population = from_cases(chosen.cases) if chosen.cases else synthetic(rng)
    counts = [round(factor * chosen.queries) for factor in (1, 1, 1.3, 0.7)]
    numbers = [FIRST_DAY - 1, FIRST_DAY, FIRST_DAY + 1, FIRST_DAY + 1]
    days = Days(*(simulate(population, at, count, rng) for at, count in zip(numbers, counts, strict=True)))
    found = [outcome for share in CAPS for outcome in outcomes(days, share)]
    print("\n".join(table(found)))
    plot(found, days, chosen.results / "pacing.svg")
    source, remark = "`synthetic` in `eval/benchmarks/pacing_days.py`", REMARK
    if chosen.cases:
        source, remark = f"drawn from {chosen.cases.name}", ""
    command = " ".join(["python -m eval.benchmarks.pacing", *sys.argv[1:]])
    text = report(found, source, command, chosen.queries, remark)
    (chosen.results / "pacing.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
