"""The pages of the reference that are read off the code: the command line, and the settings of a policy.

They are made when the site is built (`hooks.py`), so they cannot differ from what is installed.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, ByteSize
from pydantic_core import PydanticUndefined

COLUMNS = 100
_NAMES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` | `false`",
    Decimal: "USD",
    Path: "file",
    ByteSize: "size",
}


EXIT = """\

| exit status | means |
|---|---|
| 0 | done |
| 1 | failed: a file cannot be written, or whoever read the output has gone |
| 1 | done, and not all is well: the LLM answered none of the calls put to it, an experiment lacks answers, \
`route check` says refit, `cache verify` found damage |
| 2 | bad input or settings, said on standard error; nothing was asked, nothing spent |
| 130, 143 | interrupted, by Ctrl-C or by SIGTERM; what was finished is written |

Results go to standard output, everything else to standard error. Variables of the environment stand \
[with the file formats](formats.md#environment).
"""


def command_line() -> str:
    """The help of every command, as the terminal shows it."""
    from listwise.cli import cli

    sections = [
        f"{'#' * min(2 + depth, 4)} {name}\n\n```text\n{shown}\n```\n"
        for name, depth, shown in _helps(cli, "listwise", 0)
    ]
    return "\n".join(
        [
            "# Command line\n",
            "What `--help` says of each command of this version.",
            EXIT,
            *sections,
        ]
    )


def _helps(command: click.Command, name: str, depth: int) -> Iterator[tuple[str, int, str]]:
    context = click.Context(command, info_name=name, help_option_names=["-h", "--help"], terminal_width=COLUMNS)
    yield name, depth, command.get_help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from _helps(inner, f"{name} {each}", depth + 1)


def settings() -> str:
    """Every setting of a policy and of its parts, with type, default, option and what it means."""
    from listwise.policy import Policy
    from listwise.settings import Fallback, StageSettings

    options = _options()
    return "\n".join(
        [
            "# Settings\n",
            "Every setting of a [policy](../policies.md): a line of its TOML file, a keyword of `Reranker(...)`",
            "and of `Policy(...)`, and, where one is named, an option of `listwise rerank` and `listwise plan`.\n",
            *(_setting(Policy, name, options.get(name)) for name in Policy.model_fields),
            "## Scorers\n",
            f"{_summary(StageSettings)} In a file, `[[local]]` tables.\n",
            *(_setting(StageSettings, name, None) for name in StageSettings.model_fields),
            "## Fallbacks\n",
            f"{_summary(Fallback)} In a file, `[[fallback]]` tables, with these settings of their own:\n",
            ", ".join(f"`{name}`" for name in Fallback.model_fields) + ".",
        ]
    )


def _summary(model: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").split())


def _setting(model: type[BaseModel], name: str, option: str | None) -> str:
    field = model.model_fields[name]
    default = field.get_default(call_default_factory=True)
    facts = [_type(field.annotation)]
    facts += ["required"] if default is PydanticUndefined else []
    facts += [f"default `{_shown(default)}`"] if default not in (PydanticUndefined, None, ()) else []
    facts += [f"`{option}`"] if option else []
    return f"### `{name}`\n\n{_docstrings(model)[name]}\n\n{' · '.join(facts)}\n"


def _shown(default: Any) -> str:
    """As a file would have it."""
    if isinstance(default, tuple):
        return ", ".join(each.scorer for each in default)
    if isinstance(default, ByteSize):
        return default.human_readable()
    return str(default).lower() if isinstance(default, bool) else str(default)


def _type(annotation: Any) -> str:
    """A type in the words of a file: values for a choice; what may be left out has no None there."""
    if get_origin(annotation) is Literal:
        return " | ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(_type(each) for each in get_args(annotation) if each is not NoneType)
    if get_origin(annotation) is tuple:
        return f"list of {_type(get_args(annotation)[0])}"
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    return _NAMES.get(annotation) or str(annotation.__name__)


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field, that of the nearest class first."""
    found: dict[str, str] = {}
    for home in (each for each in model.__mro__ if issubclass(each, BaseModel) and each is not BaseModel):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(home))).body
        assert isinstance(body, ast.ClassDef)
        for here, after in pairwise(body.body):
            if (
                isinstance(here, ast.AnnAssign)
                and isinstance(here.target, ast.Name)
                and isinstance(after, ast.Expr)
            ):
                found.setdefault(here.target.id, inspect.cleandoc(str(ast.literal_eval(after.value))))
    return found


def _options() -> dict[str, str]:
    """The option that goes before each setting."""
    from listwise.cli.options import POLICY_OPTIONS

    found = {}
    for name, option in POLICY_OPTIONS.items():
        parameter = click.command()(option(lambda **_: None)).params[0]
        found[name] = " / ".join([*parameter.opts, *parameter.secondary_opts])
    return found
