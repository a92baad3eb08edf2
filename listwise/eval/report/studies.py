"""Studies of positional bias, drawn from whatever JSON ``listwise bias --json`` printed.

What a value is goes by its shape, so that a study may hold other figures than it does today: a dict with ``low``
and ``high`` is an estimate, a list of estimates a curve, a list of lists of numbers a heat map
``[shown][given]``, a list of flat dicts a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from listwise.eval.report.charts import curve, heat_map
from listwise.eval.report.markup import Content, Markup, joined, tag

CENTRES = ("value", "mean", "effect")
"""How an estimate may call its figure."""
TITLES = {
    "positions": "By position shown",
    "sets": "Sets of passages in several orders",
    "matrix": "Rank given, by position shown",
    "mean_rank": "Mean rank given, by position shown",
    "top": "The top spot",
    "share": "How often on top, by position shown",
    "expected": "How often, did position not matter",
    "excess": "The first less the second",
    "effects": "Ranks lost by position",
    "curve": "Ranks lost by position shown (below zero: gained)",
    "slope": "For each position further down",
    "bend": "The two ends less the middle",
    "first": "Shown first",
    "last": "Shown last",
    "p": "p for any effect",
    "habits": "Habits of answering",
    "echoed": "In exactly the order shown",
    "reversed": "In exactly the reverse",
    "input_orders": "nDCG@10 by the order shown",
    "shown": "Of the order shown",
    "answered": "Of the answer",
    "over_shuffled": "Over random orders",
    "sizes": "Window sizes",
    "systems": "What votes and strategies mend",
}
"""What keys of a study mean, where the key does not say it."""
FEWEST = 3
"""Points that make a curve, and lines and columns that make a heat map."""


def study(name: str, value: Any) -> Markup:
    """One file of ``bias/``: a study, or several."""
    several = value.get("studies") if isinstance(value, Mapping) else None
    parts = several if isinstance(several, list) and several else [value]
    return joined([_one(name, part) for part in parts])


def _one(name: str, value: Any) -> Markup:
    """A study: what it says in words, what it is of, and then figures and pictures."""
    model = value.get("model") if isinstance(value, Mapping) else None
    heading = [tag("span", f"{words(name)}: {model}" if isinstance(model, str) and model != name else words(name))]
    if isinstance(value, Mapping) and value.get("simulated"):
        heading.append(tag("span", "simulated", class_="badge simulated"))
    return tag("section", tag("h3", heading), list(_parts(value, "", 0)), class_="study")


def words(name: str) -> str:
    """A key as people write it."""
    plain = name.replace("_", " ").strip()
    return TITLES.get(name) or plain[:1].upper() + plain[1:]


def is_estimate(value: Any) -> bool:
    """Whether it is a figure with an interval."""
    return isinstance(value, Mapping) and {"low", "high"} <= set(value) and _centre(value) is not None


def _centre(value: Mapping[str, Any]) -> float | None:
    return next((number for key in CENTRES if (number := _number(value.get(key))) is not None), None)


def _number(value: Any) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None
    )


def is_matrix(value: Any) -> bool:
    """Whether it is lines of numbers, all of one length."""
    return (
        isinstance(value, list)
        and len(value) >= FEWEST
        and all(isinstance(line, list) and len(line) == len(value[0]) >= FEWEST for line in value)
        and all(_number(cell) is not None for line in value for cell in line)
    )


def is_curve(value: Any) -> bool:
    """Whether it is points, with or without intervals."""
    return (
        isinstance(value, list)
        and len(value) >= FEWEST
        and (all(map(is_estimate, value)) or all(_number(each) is not None for each in value))
    )


def _is_flat(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float) or is_estimate(value) or _is_names(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_sentences(value: Any) -> bool:
    return _is_names(value) and any(" " in each for each in value)


def _parts(value: Any, name: str, level: int) -> Iterator[Markup]:
    """A value with all that is in it: sentences, then figures, then pictures beside one another, then the rest."""
    if is_drawn(value):
        yield _drawing(name, value)
    elif isinstance(value, Mapping):
        for each in value.values():
            if _is_sentences(each):
                yield tag("ul", [tag("li", line) for line in each])
        facts = {key: each for key, each in value.items() if _is_fact(each)}
        if facts:
            yield _facts(facts)
        pictures = [_drawing(words(key), each) for key, each in value.items() if is_drawn(each)]
        if pictures:
            yield tag("div", pictures, class_="parts")
        for key, each in value.items():
            if not _is_flat(each) and not is_drawn(each):
                yield from _under(key, each, level)
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        if all(_is_flat(cell) for each in value for cell in each.values()):
            yield _table(value)
        else:
            for number, each in enumerate(value, 1):
                told = _told(each)
                heading = ", ".join(f"{words(key).lower()} {each[key]}" for key in told) or f"{name} {number}"
                rest = {key: part for key, part in each.items() if key not in told}
                parts = list(_parts(rest, heading, level + 1))
                yield tag("details", tag("summary", heading[:1].upper() + heading[1:]), parts, open=number == 1)


def _under(key: str, value: Any, level: int) -> Iterator[Markup]:
    parts = list(_parts(value, words(key), level + 1))
    if parts:
        yield tag("div", tag(f"h{min(4 + level, 6)}", words(key)), parts)


def _told(record: Mapping[str, Any]) -> list[str]:
    """The keys of what tells a part from the others like it: its first short texts and whole numbers."""
    short = [key for key, each in record.items() if isinstance(each, str | int) and len(str(each)) < 30]
    return short[:3]


def is_drawn(value: Any) -> bool:
    """Whether it is a picture."""
    return is_matrix(value) or is_curve(value)


def _drawing(name: str, value: Any) -> Markup:
    if is_matrix(value):
        return heat_map(name, value)
    points = [(each, None) if _number(each) is not None else _point(each) for each in value]
    return curve(name, points)


def _point(estimate: Mapping[str, Any]) -> tuple[float, tuple[float, float] | None]:
    low, high = _number(estimate["low"]), _number(estimate["high"])
    return _centre(estimate) or 0.0, None if low is None or high is None else (low, high)


def _is_fact(value: Any) -> bool:
    """What a line of figures is made of."""
    return _is_flat(value) and value is not None and value != [] and not _is_sentences(value)


def _facts(facts: Mapping[str, Any]) -> Markup:
    rows = [tag("tr", tag("th", words(key), scope="row"), tag("td", _cell(each))) for key, each in facts.items()]
    table = tag("table", tag("tbody", rows), class_="facts", aria_label="Figures")
    return tag("div", table, class_="scroll")


def _table(records: Sequence[Mapping[str, Any]]) -> Markup:
    columns = list(dict.fromkeys(key for record in records for key in record))
    head = tag("tr", [tag("th", words(column), scope="col") for column in columns])
    rows = [tag("tr", [tag("td", _cell(record.get(column))) for column in columns]) for record in records]
    table = tag("table", tag("thead", head), tag("tbody", rows), aria_label="Figures")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Table of figures")


def _cell(value: Any) -> Content:
    if isinstance(value, Mapping):
        low, high = (_number(value[end]) for end in ("low", "high"))
        told = [f"{_centre(value):.3g}"]
        if low is not None and high is not None:
            told.append(f"({low:.3g} to {high:.3g})")
        p = _number(value.get("p"))
        if p is not None:
            told.append("p < 0.001" if p < 0.001 else f"p = {p:.3f}")
        return " ".join(told)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    number = _number(value)
    return "" if value is None else str(value) if number is None or isinstance(value, int) else f"{number:.3g}"
