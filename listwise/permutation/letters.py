"""Letters for identifiers, where no digits are."""

from __future__ import annotations

import re

_LETTER = re.compile(r"[0-9]++[.):]?|(?<![\w'])(?P<letter>[A-Z])(?![\w'])")
MOST_LETTERS = 26
"""More passages than that cannot have letters for names."""


def numbered(text: str) -> str:
    """The text with a number for each letter that stands alone, ``A`` for 1, and without its own numbers.

    Capitals count, or small letters where the text has no capitals.
    """
    return _LETTER.sub(_number, text if any(char.isupper() for char in text) else text.upper())


def _number(found: re.Match[str]) -> str:
    letter = found["letter"]
    return "" if letter is None else str(ord(letter) - ord("A") + 1)
