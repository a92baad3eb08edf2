"""The blocks of a page, and whether what a block shows is what was printed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_BLOCK = re.compile(
    r"^```(?P<kind>\w*)(?: title=\"(?P<name>[^\"]+)\")?\n(?P<fenced>.*?)^```$"
    r"|(?<=\n\n)(?P<indented>(?:    [^\n]*\n|\n(?=    ))+)",
    re.MULTILINE | re.DOTALL,
)
_VARIES = (
    (re.compile(r" +\d+\.\d\d(?= +\$)"), " s"),
    (re.compile(r"\d+(\.\d+)? ?(ms|s)\b"), "N s"),
    (re.compile(r'(?<="seconds": )[\d.e-]+'), "N"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?"), "WHEN"),
    (re.compile(r"(?<=answers-)\d+"), "N"),
)
"""Figures that differ from run to run: seconds, moments."""
_FAILED = re.compile(r"^listwise: (?!WARNING)", re.MULTILINE)
"""How a command ends that fails, unless the next one shows its exit status."""
STATUS = ("echo", "$?")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that are no prose; ``kind`` is the fence's word, empty for an indented block; ``name`` a file's."""

    kind: str
    text: str
    line: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a block; ``shown`` is what the page has below it, ``given`` a here-document."""

    words: tuple[str, ...]
    shown: str
    given: str | None = None


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    return [
        Block(
            each["kind"] or "",
            each["fenced"]
            if each["indented"] is None
            else re.sub("^    ", "", each["indented"], flags=re.MULTILINE),
            page.count("\n", 0, each.start()) + 1,
            each["name"],
        )
        for each in _BLOCK.finditer(page)
    ]


def commands_of(block: str) -> list[Command]:
    """The commands of a ``console`` or ``sh`` block."""
    block = re.sub("^(?=cat > )", "$ ", block, flags=re.MULTILINE)
    parts = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    return [_command(line, rest) for line, rest in parts]


def _command(line: str, rest: str) -> Command:
    words = shlex.split(line.replace("\\\n", " "), comments=True)
    if words[-1].startswith("<<"):
        given, _, shown = rest.partition(words.pop()[2:] + "\n")
        return Command(tuple(words), shown, given)
    return Command(tuple(words), rest)


def tidy(text: str) -> list[str]:
    """Lines without what differs from run to run."""
    for pattern, instead in _VARIES:
        text = pattern.sub(instead, text)
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def same(shown: str, printed: str) -> bool:
    """Whether what a page shows is what was printed; ``...`` stands for anything."""
    pattern = "\n".join(re.escape(line).replace(r"\.\.\.", ".*") for line in tidy(shown))
    return re.fullmatch(pattern, "\n".join(tidy(printed)), re.DOTALL) is not None


def fails(shown: str) -> bool:
    """Whether a command that shows this is one that fails."""
    return _FAILED.search(shown) is not None
