"""The tables of the page: systems with intervals, receipt totals, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from listwise.eval.report.entries import Entry, Score, entries, seeds
from listwise.eval.report.findings import QUERIES, usd_words
from listwise.eval.report.folder import KINDS, Folder
from listwise.eval.report.frontier import shape
from listwise.eval.report.markup import Content, Markup, tag
from listwise.eval.statistics import Interval

CLEAR = 0.05
"""The corrected p-value below which a difference is taken to be real."""
UNKNOWN = "–"

COLUMNS = (
    ("System", "text", "What ranked"),
    ("Kind", "text", "What sort of system"),
    ("Mean", "number", "Mean over the judged queries, and its 95 % interval by bootstrap over queries"),
    ("To baseline", "number", "Mean difference, paired, with its 95 % interval"),
    ("p", "number", "Of the difference, corrected for the number of comparisons"),
    ("Ceiling", "number", "What the best order of the same candidates would reach"),
    (f"$ / {QUERIES:,}", "number", f"Dollars for {QUERIES:,} queries, as if nothing came from a cache"),
    ("Tokens", "number", "Tokens a query, in and out"),
    ("Seconds", "number", "Seconds a query, as measured"),
)


def systems_table(folder: Folder) -> Markup:
    """A line for each system, collection and measure; scripts filter and sort them."""
    rows = [
        row
        for collection in folder.collections
        for entry in entries(folder, collection)
        for measure in folder.measures
        if measure in entry.scores
        for row in _rows(folder, entry, measure)
    ]
    collection = [("Collection", "text", "Queries and judgements")] * (len(folder.collections) > 1)
    return _table(
        "Headings sort; the filters above choose the lines.", [*collection, *COLUMNS], rows, name="systems"
    )


def _rows(folder: Folder, entry: Entry, measure: str) -> Iterator[Markup]:
    members = seeds(folder, entry)
    many = len(folder.collections) > 1
    yield _row(entry, measure, "of-seeds" if members else "", many=many)
    for member in members:
        if measure in member.scores:
            yield _row(member, measure, "seed", many=many)


def _row(entry: Entry, measure: str, part: str, *, many: bool) -> Markup:
    """``many``: whether there are several collections, so that each line must say of which it is."""
    cost, score = entry.cost, entry.scores[measure]
    kind = entry.first.kind
    collection = entry.first.collection
    notes = {member.note for member in entry.members}
    note = tag("span", notes.pop(), class_="note") if len(notes) == 1 and entry.first.note else ""
    return tag(
        "tr",
        *([tag("td", collection)] if many else []),
        tag("th", name_of(entry), note, scope="row", data_sort=entry.name),
        tag("td", _mark(entry), KINDS[kind], class_="kind"),
        _number([tag("b", f"{score.interval.mean:.4f}"), _spread(score.interval)], score.interval.mean),
        _difference(entry, score),
        _number(*_p(score.p)),
        _number(UNKNOWN if score.ceiling is None else f"{score.ceiling:.3f}", score.ceiling),
        _number(*_usd(entry)),
        _number(*((UNKNOWN, None) if cost is None else (f"{cost.tokens:,.0f}", cost.tokens))),
        _number(
            *((UNKNOWN, None) if cost is None or cost.seconds is None else (f"{cost.seconds:.2f}", cost.seconds))
        ),
        data_collection=collection,
        data_kind=kind,
        data_measure=measure,
        data_part=part or None,
        data_simulated=entry.simulated,
        class_=" ".join(filter(None, (part, "simulated" if entry.simulated else "", "baseline" * entry.baseline))),
    )


def name_of(entry: Entry) -> list[Content]:
    """Its label, with badges for what a reader must know of it."""
    name: list[Content] = [tag("span", entry.label)]
    if entry.simulated:
        name.append(tag("span", "simulated", class_="badge simulated"))
    if entry.baseline:
        name.append(tag("span", "baseline", class_="badge"))
    if len(entry.members) > 1:
        runs = "runs" if entry.first.kind == "recorded" else "seeds"
        name.append(tag("span", f"mean of {len(entry.members)} {runs}", class_="badge"))
    return name


def _mark(entry: Entry) -> Markup:
    classes = f"point {entry.first.kind}{' simulated' * entry.simulated}"
    return tag(
        "svg", tag("g", shape(entry.first.kind, 9, 9), class_=classes), viewBox="0 0 18 18", aria_hidden="true"
    )


def _difference(entry: Entry, score: Score) -> Markup:
    if score.difference is None:
        return _number("baseline" if entry.baseline else UNKNOWN, None)
    gap = score.difference
    clear = score.p is not None and score.p < CLEAR
    cell: list[Content] = [
        tag(
            "span",
            f"{gap.mean:+.4f}".replace("-", "−"),
            class_=("better" if gap.mean > 0 else "worse") if clear else "unclear",
        ),
        _spread(gap, "+"),
    ]
    if score.wins is not None and score.losses is not None:
        words = f"better on {score.wins} queries, worse on {score.losses}"
        return tag("td", cell, class_="number", data_sort=gap.mean, title=words)
    return tag("td", cell, class_="number", data_sort=gap.mean)


def _p(p: float | None) -> tuple[str, float | None]:
    if p is None:
        return UNKNOWN, None
    return ("< 0.001" if p < 0.001 else f"{p:.3f}"), p


def _usd(entry: Entry) -> tuple[str, float | None]:
    if entry.cost is None:
        return UNKNOWN, None
    if entry.cost.usd is None:
        return "no price", None
    usd = entry.cost.usd * QUERIES
    return ("0" if usd == 0 else usd_words(usd).removeprefix("$")), usd


def _spread(interval: Interval, sign: str = "") -> Markup:
    words = f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}".replace("-", "−")
    return tag("span", words, class_="interval")


def _number(content: Content, value: float | None) -> Markup:
    """A cell that sorts by its value; unknown ones come last either way."""
    return tag("td", content, class_="number", data_sort="" if value is None else f"{value:.9g}")


def totals_table(folder: Folder) -> Markup:
    """What the receipts add up to."""
    rows = []
    for system in folder.systems:
        bill = folder.bills.get((system.collection, system.system))
        if bill is None:
            continue
        without = bill.usd if bill.bill_usd is None else bill.bill_usd
        counts = (bill.calls, bill.passages_read, bill.input_tokens, bill.output_tokens, bill.cache_hits)
        rows.append(
            tag(
                "tr",
                tag("td", system.collection),
                tag(
                    "th",
                    system.system,
                    *([tag("span", "simulated", class_="badge simulated")] * system.simulated),
                    scope="row",
                ),
                [_number(f"{count:,}", count) for count in counts],
                _number(f"{bill.usd:.4f}" if bill.priced else "no price", float(bill.usd)),
                _number(f"{without:.4f}" if bill.priced else "no price", float(without)),
                _number(*((UNKNOWN, None) if bill.seconds is None else (f"{bill.seconds:,.1f}", bill.seconds))),
            )
        )
    if not rows:
        return tag("p", "No system of this experiment made any call, or left receipts.")
    columns = [
        ("Collection", "text", ""),
        ("System", "text", ""),
        ("Calls", "number", "Windows put to a model"),
        ("Passages read", "number", "The sum of the window sizes"),
        ("Tokens in", "number", ""),
        ("Tokens out", "number", ""),
        ("From the cache", "number", "Calls that were answered from the cache"),
        ("Paid $", "number", "In this run"),
        ("Without a cache $", "number", "If every call had been paid"),
        ("Seconds", "number", ""),
    ]
    return _table("Receipt totals, over all queries of a collection.", columns, rows, name="totals")


def provenance(folder: Folder) -> Markup:
    """With what, when and by which definition the figures were made, and how to make them again."""
    made = folder.environment
    seeds_used = sorted({system.seed for system in folder.systems if system.seed is not None})
    facts: list[tuple[str, Content]] = [
        ("Begun", made.begun),
        ("Took", UNKNOWN if made.seconds is None else f"{made.seconds:,.0f} s"),
        ("listwise", made.listwise),
        ("Python", made.python),
        ("Platform", made.platform),
        ("Seeds", ", ".join(map(str, seeds_used)) or UNKNOWN),
        ("Definition (SHA-256)", tag("code", made.sha256 or UNKNOWN)),
        ("Again", tag("code", "listwise experiment run experiment.toml")),
    ]
    parts = [tag("dl", [(tag("dt", name), tag("dd", fact)) for name, fact in facts], class_="facts")]
    if made.packages:
        versions = "\n".join(f"{name} {version}" for name, version in sorted(made.packages.items()))
        parts.append(tag("details", tag("summary", "Versions of packages"), tag("pre", versions)))
    if folder.definition:
        parts.append(tag("details", tag("summary", "The experiment's file"), tag("pre", folder.definition)))
    return tag("div", parts)


def _table(caption: str, columns: Sequence[tuple[str, str, str]], rows: Sequence[Markup], *, name: str) -> Markup:
    """A table whose headings are buttons that sort it, in a box that scrolls by itself."""
    heads = [
        tag(
            "th",
            tag("button", heading, type="button", title=title or None),
            scope="col",
            class_="number" if kind == "number" else None,
            data_type=kind,
        )
        for heading, kind, title in columns
    ]
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", heads)),
        tag("tbody", rows),
        class_="sortable",
        id=name,
    )
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)
