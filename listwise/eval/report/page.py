"""The report as one page: everything that it needs is in it, and it asks no network for anything."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from string import Template

from listwise.eval.report.entries import entries
from listwise.eval.report.findings import Findings
from listwise.eval.report.folder import KINDS, Folder
from listwise.eval.report.frontier import frontier
from listwise.eval.report.markup import Content, Markup, data, joined, tag
from listwise.eval.report.queries import cut, index, records
from listwise.eval.report.studies import study
from listwise.eval.report.tables import name_of, provenance, systems_table, totals_table

ASSETS = Path(__file__).parent
LENGTHS = (1000, 600, 400, 250, 150, 80, 0)
"""Characters of a passage, from what is good to read to what fits."""
SMALL, LARGE = (50, 4_800_000), (500, 19_500_000)
"""Queries with the bytes that a page of so many may have."""
SIMULATED = (
    "Some systems here are simulated: no LLM was asked for them. They rank by the judgements themselves, with "
    "errors of a chosen size, so they show what a strategy does, and nothing of any real model. Their tokens and "
    "dollars are made up. They are marked wherever they occur, and the summary keeps them apart from real ones."
)


def page_of(folder: Folder) -> str:
    """The page.

    Raises:
        InputError: a file of the folder cannot be read.
    """
    script = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in ("queries.js", "page.js"))
    digest = b64encode(sha256(f"\n{script}\n".encode()).digest()).decode()
    found = {name: findings(folder, name) for name in folder.collections}
    return Template((ASSETS / "page.html").read_text(encoding="utf-8")).substitute(
        title=joined(f"{folder.name}: listwise report"),
        script_hash=f"sha256-{digest}",
        style=(ASSETS / "page.css").read_text(encoding="utf-8"),
        script=script,
        header=_header(folder),
        main=joined(list(_sections(folder, found))),
        footer=tag("footer", f"Made by listwise {folder.environment.listwise} from {folder.name}."),
        data=_data(folder),
    )


def findings(folder: Folder, collection: str) -> tuple[Findings, Findings]:
    """What comes of a collection, for real and for simulated systems."""
    shown = entries(folder, collection)
    measure = folder.measures[0]
    queries = max((len(each.scores[measure].by_query) for each in shown if measure in each.scores), default=0)
    return (
        Findings(collection, measure, queries, shown, simulated=False),
        Findings(collection, measure, queries, shown, simulated=True),
    )


def _header(folder: Folder) -> Markup:
    counts = [f"{name} ({len(folder.queries[name]):,} queries)" for name in folder.collections]
    groups = {system.group for system in folder.systems}
    links = [
        ("summary", "Summary"),
        ("frontier", "Cost and quality"),
        ("all-systems", "Systems"),
        ("single-queries", "Queries"),
        *([("bias", "Position")] if folder.studies else []),
        ("receipts", "Receipts"),
        ("made", "How it was made"),
    ]
    top = tag(
        "div",
        tag(
            "div",
            tag("h1", folder.name),
            tag("p", folder.description) if folder.description else "",
            tag("p", f"{len(groups)} systems on {', '.join(counts)}; {folder.environment.begun}", class_="lead"),
        ),
        tag("button", "Theme: system", type="button", class_="theme", hidden=True),
        class_="top",
    )
    menu = tag(
        "nav", tag("ul", [tag("li", tag("a", name, href=f"#{at}")) for at, name in links]), aria_label="Sections"
    )
    return tag("header", top, menu)


def _sections(folder: Folder, found: dict[str, tuple[Findings, Findings]]) -> Iterator[Markup]:
    many = len(found) > 1
    simulated = any(system.simulated for system in folder.systems)
    yield _section(
        "summary",
        "Summary",
        [tag("p", SIMULATED, class_="warning", role="note")] * simulated,
        [_summary(real, made_up, many) for real, made_up in found.values()],
    )
    yield _section(
        "frontier",
        "Cost and quality",
        tag("p", "Up is better, left is cheaper. Systems on the line give the most for the money.", class_="hint"),
        [(tag("h3", name) if many else "", frontier(*pair)) for name, pair in found.items()],
    )
    yield _section("all-systems", "Systems", _filters(folder), systems_table(folder))
    yield _section("single-queries", "Queries", *_query_view(folder))
    if folder.studies:
        yield _section(
            "bias",
            "Position",
            tag("p", "What the place at which a passage is shown does to the rank it is given.", class_="hint"),
            [study(name, value) for name, value in folder.studies.items()],
        )
    yield _section("receipts", "Receipts", totals_table(folder))
    yield _section("made", "How it was made", provenance(folder))


def _section(name: str, heading: str, *content: Content) -> Markup:
    return tag(
        "section", tag("h2", heading, id=f"{name}-heading"), content, id=name, aria_labelledby=f"{name}-heading"
    )


def _summary(real: Findings, made_up: Findings, many: bool) -> Markup:
    heading = f"{real.collection}: {real.measure} on {real.queries} judged queries"
    cards = [_cards(each) for each in (real, made_up) if each.ranked]
    return tag("div", tag("h3", heading), cards)


def _cards(findings: Findings) -> Markup:
    named = "Simulated: " if findings.simulated else ""
    cards = [
        tag(
            "div",
            tag("h4", f"{named}{heading.lower() if named else heading}"),
            tag("p", name_of(entry), class_="who") if entry is not None else "",
            tag("p", words),
            class_="card simulated" if named else "card",
        )
        for heading, entry, words in findings.cards()
    ]
    return tag("div", cards, class_="cards")


def _filters(folder: Folder) -> Markup:
    """The controls of the main table; without scripts all its lines are shown, and these are not."""
    kinds: dict[str, str] = {system.kind: KINDS[system.kind] for system in folder.systems}
    several = len({(each.collection, each.group) for each in folder.systems}) < len(folder.systems)
    return tag(
        "div",
        tag(
            "form",
            _select("collection", "Collection", {"": "all", **{name: name for name in folder.collections}}),
            _select("measure", "Measure", {name: name for name in folder.measures}),
            _select("kind", "Kind", {"": "all", **kinds}),
            tag("label", "Name", tag("input", type="search", name="words"), class_="wide"),
            _check(
                "simulated",
                "simulated ones",
                checked=True,
                hidden=not any(each.simulated for each in folder.systems),
            ),
            _check("seeds", "each seed or run", checked=False, hidden=not several),
            id="filters",
            class_="filters",
            hidden=True,
            aria_label="Which systems are shown",
        ),
        tag("p", "", id="shown", class_="count", role="status"),
    )


def _query_view(folder: Folder) -> Sequence[Markup]:
    heads = [
        tag("th", "Query", scope="col"),
        tag("th", "Text", scope="col"),
        tag("th", "baseline", scope="col", class_="number", id="base"),
        tag("th", "system", scope="col", class_="number", id="other"),
        tag("th", "Change", scope="col", class_="number"),
    ]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody"), id="list", aria_label="Queries")
    orders = {
        "gain": "largest gain over the baseline",
        "loss": "largest loss to the baseline",
        "": "as in the collection",
    }
    return (
        tag(
            "p",
            "Choose a query to see what each system made of it, and what an LLM read and answered.",
            class_="hint screen",
        ),
        tag("noscript", tag("p", "This part needs scripts, which this page holds itself.")),
        tag(
            "form",
            _select("collection", "Collection", {name: name for name in folder.collections}),
            _select("system", "Compare the baseline with", {}),
            _select("order", "Order", orders),
            tag("label", "Find a query", tag("input", type="search", name="words"), class_="wide"),
            id="find",
            class_="filters",
            hidden=True,
            aria_label="Which queries are listed",
        ),
        tag("p", "", id="found", class_="count", role="status"),
        tag("div", table, class_="list", tabindex="0", role="region", aria_label="List of queries"),
        tag("div", "", id="query", class_="query", hidden=True),
    )


def _select(name: str, label: str, options: dict[str, str]) -> Markup:
    choices = [tag("option", words, value=value) for value, words in options.items()]
    return tag("label", label, tag("select", choices, name=name))


def _check(name: str, label: str, *, checked: bool, hidden: bool) -> Markup:
    return tag(
        "label", tag("input", type="checkbox", name=name, checked=checked), label, class_="check", hidden=hidden
    )


def _data(folder: Folder) -> Markup:
    """What scripts show of single queries, with passages as long as the page may be large."""
    found = [
        (f"query-{collection}-{at}", record)
        for collection in folder.collections
        for at, record in enumerate(records(folder, collection))
    ]
    parts: list[Markup] = []
    for length in LENGTHS:
        parts = [data(name, cut(record, length)) for name, record in found]
        if sum(len(part.encode()) for part in parts) <= allowed_bytes(len(found)):
            break
    return joined([data("index", index(folder)), *parts])


def allowed_bytes(queries: int) -> int:
    """What the records of so many queries may take: 5 MB up to 50, 20 MB for 500, and so on."""
    (few, small), (many, large) = SMALL, LARGE
    return max(small, small + (large - small) * (queries - few) // (many - few)) - 300_000
