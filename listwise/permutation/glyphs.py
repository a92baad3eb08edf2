"""Characters that stand for digits, brackets, signs and letters, in plain ASCII."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_CHOSEN = {
    "»": ">", "›": ">", "«": '"', "„": '"', "‚": '"', "‘": "'", "’": "'", "′": "'",
    "、": ",", "،": ",", "。": ".", "・": " ", "·": " ", "•": "*",
    "\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\u20e3": "",
}  # fmt: skip
_ENCLOSED = ("CIRCLED", "PARENTHESIZED", "SQUARED")
_DESCENDING = ("RIGHTWARDS", "RIGHT-POINTING", "GREATER-THAN", "SUCCEEDS")
_BY_CATEGORY = {"Ps": "[", "Pe": "]", "Pi": '"', "Pf": '"', "Pd": "-", "Cf": "", "Mn": "", "Zs": " "}


def plain(text: str) -> tuple[str, int]:
    """The text with look-alikes replaced, and how many of them stood for a digit, a bracket, a letter or ``>``.

    Full-width, superscript, circled and all other decimal digits become digits (circled ones in brackets),
    all opening and closing brackets ``[`` and ``]``, arrows ``>``; invisible characters go. Letters stay.
    """
    if text.isascii():
        return text.replace("&gt;", ">"), 0
    foreign = {char: _stands_for(char) for char in set(text) if char > "\x7f"}
    changed = {ord(char): ascii_ for char, ascii_ in foreign.items() if ascii_ != char}
    counted = {code for code, ascii_ in changed.items() if any(char.isalnum() or char in "[]>" for char in ascii_)}
    glyphs = len(text) - len(text.translate(dict.fromkeys(counted)))
    return text.translate(changed).replace("&gt;", ">"), glyphs


@lru_cache(maxsize=4096)
def _stands_for(char: str) -> str:
    if char in _CHOSEN:
        return _CHOSEN[char]
    name = unicodedata.name(char, "")
    folded = unicodedata.normalize("NFKC", char)
    if any(word in name for word in _ENCLOSED):
        return _enclosed(char, folded)
    if any(word in name for word in _DESCENDING):
        return ">"
    if folded.isascii():
        return folded
    digit = unicodedata.digit(char, None)
    return _BY_CATEGORY.get(unicodedata.category(char), char) if digit is None else str(digit)


def _enclosed(char: str, folded: str) -> str:
    number = unicodedata.numeric(char, None)
    if number is not None:
        return f"[{number:.0f}]"
    letter = folded.strip("()")
    return f"[{letter}]" if len(letter) == 1 and letter.isascii() and letter.isalpha() else char
