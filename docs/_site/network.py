"""What a built page would ask another host for by itself: the site works without a network."""

from __future__ import annotations

import re

_HERE_OR_NOT = r"""["']?\s*(?:https?:)?//"""
_PAGE = re.compile(
    rf"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc={_HERE_OR_NOT}[^>]*>"
    rf"|<link\b[^>]*\bhref={_HERE_OR_NOT}[^>]*>",
    re.IGNORECASE,
)
_STYLE = re.compile(rf"url\(\s*{_HERE_OR_NOT}[^)]*\)|@import\s+{_HERE_OR_NOT}[^;]*", re.IGNORECASE)


def loaded_from_elsewhere(text: str) -> str | None:
    """The first script, style, font or picture of another host in a page or a style sheet; links are none."""
    found = _PAGE.search(text) or _STYLE.search(text)
    return found[0] if found else None
