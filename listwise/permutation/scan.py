"""Finds the numbers of a text that may be identifiers, and which of them no words keep apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

NAMES = r"(?:passages?|documents?|docs?|candidates?|identifiers?|ids?)"
"""What a model may call the thing that an identifier names."""

_TOKEN = re.compile(
    rf"""
      (?P<newline> \n )
    | (?P<noise>                                        # numbers of something else: $5, 9.5, 10:30, 40%, 3rd, 7/10
          [$€£]\s?[0-9]++ | [0-9]++(?:[./:][0-9]++)++ | [0-9]++\s?% | [0-9]++[^\W\d]\w*+ | \.{{3,}}+ )
    | (?P<ordinal> \b(?:rank|place|position|top|step)[\s:#_]{{0,3}}[0-9]++ )
    | (?P<number>
          (?P<name> \b{NAMES}(?:\s(?:ids?|identifiers?|numbers?|no\.?))?(?:-|[ \t:#_*"']{{0,4}})(?=[\[0-9]) )?
          (?P<open> \[[\s"'*#]{{0,9}} (?:(?:{NAMES}|[dp])[\s:#_-]{{0,3}})? )?
          (?P<minus> (?<![\w\])])- )?
          (?P<digits> [0-9]++ )
          (?P<close> [\s"'*]{{0,9}}\] )? )
    | (?P<join> \b(?:and|then|followed|by)\b | </?[a-z][a-z0-9]{{0,19}}/?> | <\|[a-z_]{{1,29}}\|> )
    | (?P<word> [^\W\d_][\w']*+ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CUE = re.compile(r"(?::|\b(?:is|are|be))[\s*\"'(]*\Z")
_MOST_DIGITS = 9
NOT_SHOWN = -1
"""Stands for every number that cannot be an identifier, however many digits it has."""

_Line = Literal["empty", "numbered", "begun"]


class Mark(NamedTuple):
    """A number that may be an identifier."""

    value: int
    """`NOT_SHOWN` for a negative number or one beyond all reason."""
    start: int
    end: int
    opens: bool
    """A bracket opens directly before it."""
    closes: bool
    """A bracket closes directly behind it."""
    named: bool
    """A word such as ``passage`` stands before it."""
    leads: bool
    """First on its line, list numbers and bullets aside."""

    @property
    def bare(self) -> bool:
        """Nothing but the number says that it is an identifier."""
        return not (self.opens or self.closes or self.named)


@dataclass(slots=True)
class Run:
    """Numbers in a row with no words between them."""

    marks: list[Mark] = field(default_factory=list)
    ends_line: bool = True
    """No words follow on the line of its last number."""


class Scanned(NamedTuple):
    """The numbers of a text, in order."""

    runs: list[Run]
    words: int
    """Words and other numbers, besides names of passages."""
    ordinals: int
    """Numbers of places (``Rank 1``), which are no identifiers."""


def scan(text: str) -> Scanned:
    """Find all runs of numbers; time is linear in the length of the text."""
    runs: list[Run] = []
    run: Run | None = None
    words = ordinals = 0
    line: _Line = "empty"
    wordy = False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "number":
            if run is None:
                run = Run()
                runs.append(run)
            mark = _mark(token, line)
            run.marks.append(mark)
            line = "numbered" if line == "empty" and mark.bare else "begun"
        elif kind == "newline":
            line = "empty"
            if run is not None and wordy and not _goes_on(text, run.marks, token.start()):
                run = None
            wordy = False
        elif kind == "ordinal":
            ordinals += 1
        elif kind != "join":
            words += 1
            wordy = True
            line = "begun"
            if run is not None:
                run.ends_line = "\n" in text[run.marks[-1].end : token.start()]
                run = None
    return Scanned(runs, words, ordinals)


def announced(text: str, mark: Mark) -> bool:
    """Whether a colon or a verb leads directly to this number: ``Answer: 7``."""
    return _CUE.search(text[max(0, mark.start - 12) : mark.start]) is not None


def _goes_on(text: str, marks: list[Mark], newline: int) -> bool:
    """Whether numbers that end a line of prose belong with those of the next line."""
    return text[marks[-1].end : newline].strip().endswith((">", ",", "=")) or announced(text, marks[0])


def _mark(token: re.Match[str], line: _Line) -> Mark:
    name, opens, minus, digits, closes = token.group("name", "open", "minus", "digits", "close")
    readable = minus is None and len(digits) <= _MOST_DIGITS
    leads = line == "empty" or (line == "numbered" and (opens or name) is not None)
    return Mark(
        int(digits) if readable else NOT_SHOWN,
        token.start(),
        token.end(),
        opens is not None,
        closes is not None,
        name is not None,
        leads,
    )
