"""Whether an answer declines to answer."""

from __future__ import annotations

import re

from listwise.permutation.outcome import Failure

_REFUSAL = re.compile(
    r"\b(?:I\s{0,2}(?:am|'m)\s(?:sorry|unable|not\sable)|sorry,|I\sapologi[sz]e|as\san\sAI\b"
    r"|I\s(?:can\s?not|can't|could\snot|couldn't|won't|will\snot|must\sdecline|do\snot|don't)\s)",
    re.IGNORECASE,
)
_REFUSED_WITHIN = 600
"""Characters at the beginning of an answer in which a refusal is looked for."""


def refuses(text: str) -> bool:
    """Whether the words of a refusal stand at the beginning."""
    return _REFUSAL.search(text[:_REFUSED_WITHIN]) is not None


def why_unread(text: str, *, unfinished: bool = False) -> Failure:
    """Why nothing can be read from an answer that says something; ``unfinished``: it ends inside its thinking."""
    if unfinished:
        return "unfinished"
    return "refused" if refuses(text) else "unreadable"
