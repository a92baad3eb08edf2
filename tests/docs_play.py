"""Pages of the documentation are played from top to bottom, so that what they show is what happens.

- ``console``: each line that begins with ``$`` is a command (`tests.docs_player`), and what stands below it is
  compared with what it prints. With nothing below, it must only succeed; ``...`` stands for anything. A command
  that shows a line beginning with ``listwise:``, or is followed by ``echo $?``, must fail. In a command, ``...``
  stands for the files of the quickstarts. ``listwise serve ... &`` starts the service, ``kill %1`` ends it. What
  installs something is checked only (`tests.docs_checks`).
- ``sh`` is to be pasted, and makes files: ``cat > FILE <<'END'``.
- ``python`` runs, and ``print(...)  # this`` must print this; ``text`` below it is all that it prints.
- ``toml title="FILE"``, and so ``json``, ``jsonl`` and ``yaml``, is that file for the commands of the page, and one
  of them must name it. ``ini``, ``dockerfile`` and ``nginx`` are for other programs: their form is checked, and
  that the commands in them exist.
- An indented block is one of ``console``; where it has no ``$``, each line is a command.

Whatever else is in a block is an error: nothing on a page goes unplayed. ``python -m tests.docs_play docs/PAGE.md``
writes what the commands print into the page.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.docs_blocks import Block, blocks_of, same
from tests.docs_checks import check_file
from tests.docs_player import Player, player

_READERS: dict[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "jsonl": json.loads,
    "yaml": yaml.safe_load,
}


def play(page: str, player: Player) -> int:
    """Play a page.

    Returns:
        How many commands and blocks of Python ran.
    """
    played, printed = 0, ""
    for block in blocks_of(page):
        match block.kind:
            case "console" | "sh" | "":
                for command, printed in player.block(_as_console(block)):
                    if command.shown:
                        assert same(command.shown, printed), (
                            f"{shlex.join(command.words)} prints\n{printed}\nand the page has\n{command.shown}"
                        )
                    played += 1
            case "python":
                printed = player.python(block.text)
                for said in re.findall(r"^ *print\(.*\) +# (.*)$", block.text, re.MULTILINE):
                    assert {said, said.partition(": ")[0]} & set(printed.splitlines()), (said, printed)
                played += 1
            case "text":
                assert same(block.text, printed), f"line {block.line}: {printed}\nis printed, not\n{block.text}"
            case "toml" | "json" | "yaml" | "jsonl":
                _file(block, page, player)
            case other:
                check_file(other, block.text, block.line)
    return played


def _as_console(block: Block) -> Block:
    if block.kind or "$ " in block.text:
        return block
    return Block("console", re.sub(r"^(?=\S)", "$ ", block.text, flags=re.MULTILINE), block.line)


def _file(block: Block, page: str, player: Player) -> None:
    """A block that is a file: it can be read, and something on the page uses it."""
    for text in block.text.splitlines() if block.kind == "jsonl" else [block.text]:
        _READERS[block.kind](text)
    assert block.name, f'line {block.line}: say which file this is, title="FILE"'
    used = [each for each in blocks_of(page) if each.line != block.line and block.name in each.text]
    assert used, f"line {block.line}: nothing on the page uses {block.name}"
    player.file(block.name, block.text)


def rewrite(path: Path, folder: Path) -> None:
    """Write into a page what its commands print, where it shows anything of it."""
    page = path.read_text(encoding="utf-8")
    with player(folder, page) as playing:
        for block in blocks_of(page):
            if block.kind == "python":
                playing.python(block.text)
            elif block.kind in {"console", "sh", ""}:
                for command, printed in playing.block(_as_console(block)):
                    if command.shown and not same(command.shown, printed):
                        tidied = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())
                        assert command.shown in page, command
                        page = page.replace(command.shown, tidied, 1)
            elif block.name:
                playing.file(block.name, block.text)
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    from tests.docs_prepared import prepare

    for name in sys.argv[1:]:
        with TemporaryDirectory() as made:
            prepare(Path(name), Path(made))
            rewrite(Path(name), Path(made))
