"""``listwise init``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import click

README = """\
# Policies and prompts, to be edited

Copied by `listwise init` from listwise {version}. What is edited here is used where it is named, and nowhere else;
only `listwise init --force` overwrites it.

    listwise rerank ... --policy {folder}/routing/balanced.toml --prompt {folder}/prompts/rankgpt.yaml

`--policy` and `--prompt` take a name (what is shipped) or a file (a copy). From Python:
`Reranker("{folder}/routing/balanced.toml", prompt="{folder}/prompts/rankgpt.yaml")`. Options go before the file.

## routing/: policies, what is asked of whom, when, and for how much

{routing}

Settings are those of `listwise rerank --help`; one that does not exist is refused, with the nearest that does.

## prompts/: templates, what the LLM is told

{prompts}

`listwise prompts check FILE` says what is wrong with a template, `listwise prompts show FILE` what it makes of a
query and its passages. A prompt that was edited is another question to the answer cache: it is paid anew.
"""


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
def command(folder: Path, force: bool) -> None:
    """Copy the shipped policies, fitted routers and prompt templates into a folder, for editing.

    Files that are there already are kept, unless --force is given. A README.md says which file is what.

    \b
    Examples:
      listwise init mine
      listwise rerank --requests requests.jsonl --policy mine/routing/balanced.toml --llm openai/gpt-4o
      listwise rerank --requests requests.jsonl --llm openai/gpt-4o --prompt mine/prompts/structured.yaml
    """
    written, kept = copy_into(folder, force=force)
    for path in written:
        click.echo(f"wrote {path}")
    for path in kept:
        click.echo(f"kept  {path}")
    if kept:
        click.echo(f"there already: {len(kept)}; --force overwrites what was kept", err=True)


def copy_into(folder: Path, *, force: bool = False) -> tuple[list[Path], list[Path]]:
    """Put everything that users edit into a folder; returns the files written, and those that were there and kept.

    Raises:
        InputError: the folder, or a file in it, cannot be written.
    """
    from listwise.errors import InputError

    written: list[Path] = []
    kept: list[Path] = []
    for path, content in _files(folder):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb" if force else "xb") as file:
                file.write(content)
            written.append(path)
        except OSError as error:
            if isinstance(error, FileExistsError) and path.is_file():
                kept.append(path)
                continue
            in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
            why = "there is a file where a folder is to be" if in_the_way else error.strerror
            raise InputError(f"cannot write: {why}", path=error.filename or path) from error
    return written, kept


def _files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    from listwise.resources import names, resource

    yield folder / "README.md", _readme(folder).encode()
    for kind in ("routing", "prompts"):
        for name in names(kind):
            yield folder / kind / name, resource(kind, name).read_bytes()


def _readme(folder: Path) -> str:
    from listwise import __version__
    from listwise.resources import names, resource

    def listed(kind: str, described: Iterator[tuple[str, str]]) -> str:
        return "\n".join(f"- `{kind}/{name}`: {what}" for name, what in described)

    routing = ((name, _said_of(resource("routing", name))) for name in names("routing"))
    prompts = ((name, _said_of(resource("prompts", name))) for name in names("prompts"))
    return README.format(
        version=__version__, folder=folder, routing=listed("routing", routing), prompts=listed("prompts", prompts)
    )


def _said_of(path: Path) -> str:
    """What a shipped file is: its own first words."""
    if path.suffix == ".yaml":
        from listwise.prompting import load_template

        return load_template(path).description or "a template"
    if path.suffix == ".json":
        return "a fitted router: what an LLM is expected to gain, by a query's signals"
    comment = itertools.takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    return " ".join(line.lstrip("# ") for line in comment)
