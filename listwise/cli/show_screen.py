"""What ``listwise show`` prints of a trace. Docids, passages and answers are untrusted, and escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from listwise.eval.traces import Sums, Traces, escaped, moves, sums
from listwise.prompting.neutralise import reread
from listwise.spend.money import dollars
from listwise.types import Receipt, WindowTrace

TOP = 10
"""Places of the order before and after that are shown unless all are asked for."""
ANSWER = 200
"""Characters of an answer that are shown unless all are asked for."""
SIMULATED = "simulated: no LLM was asked; answers, tokens and dollars are made up"
DOCID = 20
"""Columns that a docid gets where the text of its passage stands beside it."""

MOVED = 6
"""Columns for an arrow and a number."""


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is known of a query; None is unknown."""

    qid: str
    text: str | None
    windows: Sequence[WindowTrace]
    before: Sequence[str] | None
    after: Sequence[str] | None
    passages: Mapping[str, str]
    """Texts by docid, of any of them."""
    receipt: Receipt | None


def show_list(screen: Console, traces: Traces, texts: Mapping[str, str]) -> None:
    """A line a query."""
    table = Table(box=None, pad_edge=False)
    table.add_column("query", overflow="ellipsis", no_wrap=True, max_width=24)
    for heading in ("windows", "steps", "read", "moves", "cached", "tokens", "USD"):
        table.add_column(heading, justify="right", no_wrap=True)
    if texts:
        table.add_column("text", overflow="ellipsis", no_wrap=True)
    for qid, windows in traces.items():
        shown = [escaped(texts.get(qid, ""))] if texts else []
        table.add_row(escaped(qid), *_cells(sums(windows)), *shown)
    everything = sums([window for windows in traces.values() for window in windows])
    if len(traces) > 1:
        table.add_row("all", *_cells(everything), *([""] if texts else []))
    screen.print(table)
    screen.print(f"{len(traces)} queries; moves: passages that an answer put in another place than shown")
    if everything.unordered:
        screen.print(f"{everything.unordered} windows kept their order, for want of an answer", style="yellow")
    if everything.simulated:
        screen.print(SIMULATED, style="bold yellow")


def show_query(screen: Console, shown: Shown, *, full: bool) -> None:
    """One query from its order before to its order after, and the bill."""
    total = sums(shown.windows)
    text = "" if shown.text is None else f": {escaped(shown.text)}"
    screen.print(f"query {escaped(shown.qid)}{text}", style="bold")
    if total.simulated:
        screen.print(SIMULATED, style="bold yellow")
    if shown.receipt is not None:
        screen.print(f"went to {_route(shown.receipt)}: {escaped(shown.receipt.reason)}")
    _orders(screen, shown, full)
    priced = shown.receipt is None or shown.receipt.priced
    for number, window in enumerate(shown.windows, 1):
        screen.print()
        screen.print(_headline(window, number, total.windows, priced), style="bold")
        screen.print(_said(window, full))
        screen.print(_window(window, shown.passages))
    screen.print()
    for line in _bill(total, shown.receipt, priced):
        screen.print(line)


def _route(receipt: Receipt) -> str:
    asked = escaped(receipt.model) if receipt.model else receipt.route
    return f"{asked} by {receipt.strategy}" if receipt.strategy else asked


def _orders(screen: Console, shown: Shown, full: bool) -> None:
    """Before and after; what moved in between."""
    if shown.before is None or shown.after is None:
        screen.print(
            "the windows alone do not tell the order before and after: give --run (or --requests) and --ranked"
        )
        return
    places = {docid: place for place, docid in enumerate(shown.before, 1)}
    count = len(shown.after) if full else min(TOP, len(shown.after))
    table = _ranks("before", {*shown.before, *shown.after}, shown.passages)
    table.columns[3].header = "after"
    for place, docid in enumerate(shown.after[:count], 1):
        was = places.get(docid)
        old = shown.before[place - 1] if place <= len(shown.before) else ""
        moved = Text("new", "green") if was is None else _moved(was - place)
        table.add_row(str(place), escaped(old), moved, *_passage(docid, shown.passages))
    screen.print()
    screen.print(table)
    if count < len(shown.after):
        screen.print(f"the first {count} of {len(shown.after)}; all with --full")


def _headline(window: WindowTrace, number: int, count: int, priced: bool) -> str:
    usage = window.usage
    paid = (
        "from the cache" if window.cached else f"paid {dollars(window.usd)}" if priced else "paid, no price known"
    )
    again = f", sample {window.sample}" if window.sample else ""
    tokens = f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens"
    return f"window {number} of {count}, step {window.step}{again}: {paid}, {tokens}"


def _said(window: WindowTrace, full: bool) -> Table:
    """What the model answered and what became of it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=10, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text, style in _facts(window, full):
        table.add_row(f"  {name}", Text(text, style))
    return table


def _facts(window: WindowTrace, full: bool) -> Iterator[tuple[str, str, str]]:
    """Names, texts and styles."""
    served = f", served by {escaped(window.served_by)}" if window.served_by else ""
    yield "model", escaped(window.model) + served, ""
    if window.answer is not None:
        answer = escaped(window.answer)
        cut = not full and len(answer) > ANSWER
        more = f" … {len(window.answer):,} characters, --full shows all" if cut else ""
        yield "answer", (answer[:ANSWER] + more if cut else answer) or "(empty)", ""
    if window.repairs:
        kinds = ", ".join(f"{escaped(kind)} {count}" for kind, count in window.repairs.items())
        yield "repaired", kinds, "yellow"
    if window.error is not None:
        yield "problem", escaped(window.error), "red"
    if window.permutation is None:
        yield "kept", "the order stays as it was shown", "yellow"


def _window(window: WindowTrace, passages: Mapping[str, str]) -> Table:
    """Each passage of a window, in the order answered, with the place in which it was shown."""
    table = _ranks("shown", window.docids, passages)
    for move in moves(window):
        table.add_row(str(move.placed), f"[{move.shown}]", _moved(move.up), *_passage(move.docid, passages))
    return table


def _ranks(first: str, docids: Iterable[str], passages: Mapping[str, str]) -> Table:
    """An empty table of a ranking: place, what it was before, how far that is, docid, and as much of the passage as
    there is room for."""
    longest = max((len(escaped(docid)) for docid in docids), default=0)
    wide = min(longest, DOCID) if passages else None
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=bool(passages))
    table.add_column("", justify="right", min_width=4, no_wrap=True)
    if first == "shown":
        table.add_column(first, justify="right", min_width=len(first), no_wrap=True)
    else:
        table.add_column(first, overflow="ellipsis", no_wrap=True, min_width=wide, max_width=wide)
    table.add_column("moved", no_wrap=True, min_width=MOVED)
    table.add_column("docid", overflow="ellipsis", no_wrap=True, min_width=wide, max_width=wide)
    if passages:
        table.add_column("passage", overflow="ellipsis", no_wrap=True, ratio=1)
    return table


def _passage(docid: str, passages: Mapping[str, str]) -> tuple[str, ...]:
    text = " ".join(reread(passages.get(docid, "")).split())
    return (escaped(docid), escaped(text)) if passages else (escaped(docid),)


def _moved(up: int) -> Text:
    """An arrow with the number of places, signed, so that it needs no colour."""
    if up > 0:
        return Text(f"↑ +{up}", "green")
    return Text(f"↓ {up}", "red") if up < 0 else Text("·", "dim")


def _bill(total: Sums, receipt: Receipt | None, priced: bool) -> Iterator[str]:
    spent = dollars(total.usd) if priced else "no price known"
    yield (
        f"total: {total.windows} windows in {total.steps} steps, {total.passages} passages read, "
        f"{total.moves} moves, {total.repairs} repairs, {total.cached} from the cache; "
        f"{total.input_tokens:,} + {total.output_tokens:,} tokens, {spent}" + " simulated" * total.simulated
    )
    if receipt is None:
        return
    if receipt.usd != total.usd and priced:
        yield f"receipt: {dollars(receipt.usd)}, with what was asked besides windows or came to nothing"
    yield from (f"degraded: {escaped(what)}" for what in receipt.degraded)
    yield from (f"noted: {escaped(what)}" for what in receipt.notes)


def _cells(total: Sums) -> list[str]:
    usd: Decimal = total.usd
    numbers = (total.windows, total.steps, total.passages, total.moves, total.cached)
    return [*(f"{number:,}" for number in numbers), f"{total.input_tokens + total.output_tokens:,}", dollars(usd)]
