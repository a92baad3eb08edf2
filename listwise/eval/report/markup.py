"""HTML and SVG from Python: what is not markup already is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = frozenset({"br", "col", "input", "meta", "link", "hr", "img"})
"""Elements without content or end."""


class Markup(str):
    """Text that is markup, to be put into a page as it stands."""

    __slots__ = ()


Content = str | Iterable["Content"]
"""Text, which is escaped unless it is `Markup`; or several of it."""


def tag(element: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        element: its name.
        content: what is in it.
        attributes: ``class_`` is ``class``, and other underscores are hyphens; True is an attribute without value,
            False and None are none.
    """
    opened = element + "".join(map(_attribute, attributes, attributes.values()))
    return Markup(f"<{opened}>" if element in VOID else f"<{opened}>{joined(content)}</{element}>")


def joined(content: Content) -> Markup:
    """Several things as one."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(escape(visible(content)))
    return Markup("".join(map(joined, content)))


def visible(text: str) -> str:
    """Text whose control characters, which a page must not hold, can be seen: as ``\\x1b``, but for line breaks and
    tabs; so can those that change the direction of text."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\n\t" or character.isspace() else _written(character)
        for character in text
    )


def data(name: str, value: Any) -> Markup:
    """A value for scripts to read, as JSON in an element that is not run. Nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate, which JSON writes the same way
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{escape(name)}">{text}</script>\n')


def _written(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(visible(str(value)))}"'
