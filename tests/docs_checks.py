"""What pages show and no test can do, installing for instance, is such that it could be done."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from tests.conftest import CHECKOUT

NOT_RUN = {
    "docker": "builds a container with a network",
    "llama-server": "needs llama.cpp and a model of gigabytes",
    "ollama": "needs Ollama and a model of gigabytes",
    "systemctl": "needs root and systemd",
    "useradd": "needs root",
    "vllm": "needs a GPU and a model of 14 GB",
}
"""Programs whose commands nothing plays or checks, and why."""


def check_command(line: str, at: int) -> None:
    """That a command of listwise exists, with its options and their choices; files need not be there."""
    from listwise.cli import cli

    words = shlex.split(line.replace("\\\n", " "), comments=True)[1:]
    for end in ("|", ">", ">>", "&&", "&"):
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


def check_program(words: Sequence[str], at: int) -> bool:
    """Check a command of another program than ours.

    Returns:
        Whether it is one that is only checked.
    """
    program, *arguments = (word for word in words if "=" not in word.partition("/")[0] or word.startswith("-"))
    if Path(program).name in NOT_RUN:
        return True
    check = _PROGRAMS.get(Path(program).name)
    if check is not None:
        check(arguments, at)
    return check is not None


def _pip(arguments: Sequence[str], at: int) -> None:
    """Only of this package is known what it can be asked for."""
    assert arguments[0] == "install", f"line {at}: pip {arguments[0]}"
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for wanted in re.findall(r"^listwise\[(.*)\]", "\n".join(arguments), re.MULTILINE):
        unknown = set(wanted.split(",")) - project["optional-dependencies"].keys()
        assert not unknown, f"line {at}: there is no extra {unknown}"


def _make(arguments: Sequence[str], at: int) -> None:
    (target,) = arguments
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"line {at}: there is no {target!r} to make"


def _python(arguments: Sequence[str], at: int) -> None:
    """Of a module of ours, that it is there, with its options."""
    if arguments[:1] != ["-m"] or arguments[1] in {"venv", "pip"}:
        assert arguments[:1] == ["-m"], f"line {at}: python {' '.join(arguments)} is not known"
        return
    _, module, *rest = arguments
    if module == "pytest":
        assert all((CHECKOUT / path).exists() for path in rest if path.startswith("tests")), rest
        return
    spec = find_spec(module)
    assert spec is not None, f"line {at}: there is no {module}"
    source = Path(str(spec.origin)).read_text(encoding="utf-8")
    missing = [each for each in rest if each.startswith("--") and f'"{each}"' not in source]
    assert not missing, f"line {at}: {module} has no {missing}"


_PROGRAMS: dict[str, Callable[[Sequence[str], int], None]] = {"pip": _pip, "make": _make, "python": _python}


def check_file(kind: str, text: str, at: int) -> None:
    """A file of a kind that another program reads has the form of its kind, and names commands that there are."""
    match kind:
        case "ini":
            unit = configparser.ConfigParser(interpolation=None, strict=False)
            unit.read_string(text)
            check_command(unit["Service"]["ExecStart"].partition("/bin/")[2], at)
        case "dockerfile":
            for run in re.findall(r"^RUN (.*)$", text, re.MULTILINE):
                assert check_program(shlex.split(run), at), f"line {at}: {run}"
            (words,) = re.findall(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE)
            check_command(shlex.join(tomllib.loads(f"words = {words}")["words"]), at)
        case "nginx":
            assert text.count("{") == text.count("}"), f"line {at}: a brace is missing"
            assert re.search(r"^ *proxy_pass http://127\.0\.0\.1:\d+;$", text, re.MULTILINE), f"line {at}"
        case _:
            raise AssertionError(f"line {at}: a block of {kind!r} is neither played nor checked")
