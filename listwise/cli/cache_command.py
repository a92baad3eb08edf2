"""``listwise cache``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("cache")
@click.option("--cache", "directory", metavar="DIR", help="The cache's directory. [user's cache folder]")
@click.pass_context
def command(context: click.Context, directory: str | None) -> None:
    """Look into the answer cache, or empty it.

    Every answer that was paid for is kept as it came, with its usage; it is found again by everything that was
    asked. A better reader of answers therefore needs no new spending.

    \b
    Examples:
      listwise cache info
      listwise cache clear --model openai/gpt-4o
    """
    from listwise.cache import default_directory

    context.obj = Path(directory) if directory else default_directory()


@command.command("info")
@click.pass_obj
def info(directory: Path) -> None:
    """Where it is, how many answers it holds, and how large it is."""
    from listwise.cache import AnswerCache

    cache = AnswerCache(directory)
    found = cache.info()
    cache.close()
    click.echo(f"{directory}: {found['answers']:,} answers, {found['bytes'] / 2**20:.1f} MiB")


@command.command("clear")
@click.option("--model", metavar="PROVIDER/NAME", help="Only this model's answers.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def clear(directory: Path, model: str | None, yes: bool) -> None:
    """Delete answers for good: asking again will cost money again."""
    from listwise.cache import AnswerCache

    what = f"the answers of {model}" if model else "all answers"
    if not yes:
        click.confirm(f"Delete {what} in {directory}?", abort=True)
    cache = AnswerCache(directory)
    deleted = cache.clear(model)
    cache.close()
    click.echo(f"{deleted:,} answers deleted")
