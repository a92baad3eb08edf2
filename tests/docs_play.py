"""Pages of the documentation are played from top to bottom, so that what they show is what happens.

Two kinds of blocks, told apart by how they are written:

- **A fenced block is played.** Of ``console``, each line that begins with ``$`` is a command (`Player.command`),
  and what stands below it is compared with what it prints. With nothing below, it must only succeed; ``...`` stands
  for anything. A command that shows a line beginning with ``listwise:``, or is followed by ``echo $?``, must fail.
  ``sh`` is to be pasted, and makes files: ``cat > FILE <<'END'``.
  ``python`` runs, and ``print(...)  # this`` must print this. ``toml``, ``json``, ``jsonl``, ``yaml`` are parsed.
- **An indented block is not run**: it needs a key, money, or files of the reader's own. It is checked: every
  command exists, with its options and their choices (``...`` stands for options left out), and so does every name
  that is imported from listwise.

``python -m tests.docs_play docs/PAGE.md`` writes what the commands print into the page.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import click
import yaml

from tests.cli.conftest import Shell
from tests.loopback import Asked, ScriptedServer

COLUMNS = 100
SERVED = "http://127.0.0.1:8000"
"""The address at which pages say that a server of the reader's own is."""
_VARIES = (
    (re.compile(r" +\d+\.\d\d(?= +\$)"), " s"),
    (re.compile(r"\d+(\.\d+)? ?(ms|s)\b"), "N s"),
    (re.compile(r'(?<="seconds": )[\d.e-]+'), "N"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?"), "WHEN"),
)
"""Figures that differ from run to run: seconds, moments."""
_FAILED = re.compile(r"^listwise: (?!WARNING)", re.MULTILINE)
"""How a command ends that fails, unless the next one shows its exit status."""
_STATUS = ("echo", "$?")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that are no prose; ``kind`` is the fence's word, empty for an indented block."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a block; ``shown`` is what the page has below it, ``given`` a here-document."""

    words: tuple[str, ...]
    shown: str
    given: str | None = None


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = re.finditer(
        r"^```(?P<kind>\w*)\n(?P<fenced>.*?)^```$|(?<=\n\n)(?P<indented>(?:    [^\n]*\n|\n(?=    ))+)",
        page,
        re.MULTILINE | re.DOTALL,
    )
    return [
        Block(
            each["kind"] or "",
            each["fenced"]
            if each["indented"] is None
            else re.sub("^    ", "", each["indented"], flags=re.MULTILINE),
            page.count("\n", 0, each.start()) + 1,
        )
        for each in found
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


class Player:
    """Plays pages in a folder, one after the other, with a server of one's own at hand."""

    def __init__(self, folder: Path, served_at: str) -> None:
        self._shell = Shell(folder)
        self._folder = folder
        self._served_at = served_at
        self._own = {**self._shell.environment(), "COLUMNS": str(COLUMNS)}
        self._status = 0

    def block(self, block: Block) -> Iterator[tuple[Command, str]]:
        """Run the commands of a block, each with what it prints."""
        commands = commands_of(block.text)
        for command, after in pairwise([*commands, Command((), "")]):
            printed = self.command(command)
            fails = _FAILED.search(command.shown) is not None or after.words == _STATUS
            assert (self._status != 0) == fails, (command.words, self._status, printed)
            yield command, printed
            if after.words != _STATUS:
                self._status = 0

    def command(self, command: Command) -> str:
        """What a command prints: on standard output, or on standard error if that is nothing."""
        program, *arguments = command.words
        match program:
            case "listwise":
                return self._listwise(arguments)
            case "echo" if command.words == _STATUS:
                shown, self._status = self._status, 0
                return f"{shown}\n"
            case "cat" if command.given is not None:
                assert arguments[0] == ">", "a here-document is written to a file"
                return self._write(arguments[1], command.given)
            case "cat" if not (self._folder / arguments[0]).exists():
                return self._write(arguments[0], command.shown) + command.shown
            case "cat":
                return (self._folder / arguments[0]).read_text(encoding="utf-8")
            case "head":
                number, name = int(arguments[0].lstrip("-")), arguments[1]
                lines = (self._folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
                return "".join(lines[:number])
            case "printf":
                text, _, name = arguments
                return self._write(name, text.encode().decode("unicode_escape"))
            case "export":
                name, value = arguments[0].split("=", 1)
                self._own[name] = value.replace(SERVED, self._served_at)
                return ""
        raise AssertionError(f"{program} is none of the commands that a page may show")

    def python(self, code: str) -> str:
        """What a block of Python prints, in the folder."""
        code = code.replace(SERVED, self._served_at)
        printed = io.StringIO()
        with contextlib.chdir(self._folder), contextlib.redirect_stdout(printed):
            exec(compile(code, "page", "exec"), {"__name__": "__main__"})
        return printed.getvalue()

    def _write(self, name: str, text: str) -> str:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return ""

    def _listwise(self, arguments: list[str]) -> str:
        into = None
        if ">" in arguments:
            *arguments, _, into = arguments
        from tests.cli import forked

        given = [each.replace(SERVED, self._served_at) for each in arguments]
        self._status, out, err = forked.run(given, self._folder, self._own, None, timeout_s=120)
        assert "Traceback" not in err, err
        out, err = (text.replace(self._served_at, SERVED) for text in (out, err))
        if into is not None:
            return self._write(into, out)
        return out or err


def play(page: str, player: Player) -> int:
    """Play a page.

    Returns:
        How many commands and blocks of Python ran.
    """
    played = 0
    for block in blocks_of(page):
        match block.kind:
            case "console" | "sh":
                for command, printed in player.block(block):
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
            case "toml":
                tomllib.loads(block.text)
            case "json":
                json.loads(block.text)
            case "jsonl":
                assert all(json.loads(line) for line in block.text.splitlines())
            case "yaml":
                yaml.safe_load(block.text)
            case "":
                check(block)
            case other:
                raise AssertionError(f"line {block.line}: a block of {other!r} is neither played nor checked")
    return played


def check(block: Block) -> None:
    """An indented block is such that it could run."""
    if block.text.startswith(("from ", "import ")):
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("listwise"):
                spec = find_spec(node.module or "")  # not imported: it may need an extra
                assert spec is not None, f"line {block.line}: there is no {node.module}"
                source = Path(str(spec.origin)).read_text(encoding="utf-8")
                missing = [each.name for each in node.names if not re.search(rf"\b{each.name}\b", source)]
                assert not missing, f"line {block.line}: {node.module} has no {missing}"
    for line in re.findall(r"^(?:\$ )?(listwise (?:.*\\\n)*.*)$", block.text, re.MULTILINE):
        if not line.startswith("listwise: "):
            check_command(line, block.line)


def check_command(line: str, at: int) -> None:
    """That a command exists, with its options and their choices; files need not be there."""
    from listwise.cli import cli

    words = shlex.split(line.replace("\\\n", " "), comments=True)[1:]
    for end in ("|", ">", ">>", "&&"):
        words = words[: words.index(end)] if end in words else words
    partial = "..." in words
    words = [word for word in words if word != "..."]
    command: click.Command = cli
    context = click.Context(cli, info_name="listwise", resilient_parsing=True)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"line {at}: there is no command {words[0]!r} in {line!r}"
        command, context = found, click.Context(found, parent=context, info_name=words.pop(0))
    try:
        given, rest, _ = command.make_parser(context).parse_args(words)
        assert not rest or isinstance(command, click.Group), f"line {at}: {rest} is too much in {line!r}"
        for parameter in command.params:
            values = given.get(parameter.name)
            if isinstance(parameter.type, click.Choice):
                for value in values if isinstance(values, list) else [values]:
                    if isinstance(value, str):
                        parameter.type.convert(value, parameter, context)
            needed = parameter.required and not partial
            assert not (needed and parameter.name not in given), f"line {at}: {line!r} lacks {parameter.opts}"
    except click.UsageError as error:
        raise AssertionError(f"line {at}: {line!r}: {error.format_message()}") from error


def in_order(asked: Asked) -> str:
    """A model that answers, and changes nothing."""
    numbers = sorted({int(each) for each in re.findall(r"^\[(\d+)\] ", asked.prompt, re.MULTILINE)}) or [
        1,
        2,
        3,
        4,
        5,
    ]
    return json.dumps({"order": numbers}) if "JSON" in asked.prompt else " > ".join(f"[{each}]" for each in numbers)


@contextlib.contextmanager
def player(folder: Path, page: str) -> Iterator[Player]:
    """A player whose server has the models that the page names."""
    models = tuple(set(re.findall(r"vllm/([\w./-]+\w)", page))) or ("loopback-1",)
    with ScriptedServer(in_order, models=models, max_model_len=8192) as server:
        yield Player(folder, server.root)


def rewrite(path: Path, folder: Path) -> None:
    """Write into a page what its commands print, where it shows anything of it."""
    page = path.read_text(encoding="utf-8")
    with player(folder, page) as playing:
        for block in blocks_of(page):
            if block.kind == "python":
                playing.python(block.text)
            for command, printed in playing.block(block) if block.kind in ("console", "sh") else []:
                if command.shown and not same(command.shown, printed):
                    tidied = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())
                    assert command.shown in page
                    page = page.replace(command.shown, tidied, 1)
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    from tests.test_docs import prepare

    for name in sys.argv[1:]:
        with TemporaryDirectory() as made:
            prepare(Path(name), Path(made))
            rewrite(Path(name), Path(made))
