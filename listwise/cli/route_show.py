"""``listwise route show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listwise.routing.gain import GainModel


@click.command("show")
@click.argument("router", default="default")
@click.option("--json", "as_json", is_flag=True, help="The file itself.")
def show(router: str, as_json: bool) -> None:
    """What a fitted router knows, and how well it knows it.

    ROUTER is a name or a file. [default]

    \b
    Examples:
      listwise route show
      listwise route show router.json --json
    """
    from listwise.routing.gain import GainModel

    model = GainModel.read(router)
    click.echo(model.model_dump_json(indent=1) if as_json else "\n".join(card(model)))


def card(model: GainModel) -> Iterator[str]:
    """A text for people."""
    from listwise.routing.decisions import POINT
    from listwise.routing.signals import MEANINGS

    yield f"router {model.name}: gains of {model.llm}"
    yield f"fitted on {model.fitted_on}, by scores of {model.scorer}"
    if model.note:
        yield model.note
    skill = model.skill
    yield ""
    yield (
        f"On queries it was not fitted to (cross-fitted, {skill.queries} queries) predicted and realised gains "
        f"correlate by {skill.correlation:.2f} (95 %: {skill.low:.2f} to {skill.high:.2f}; chance does as well in "
        f"{skill.chance:.1%} of permutations); predictions are off by "
        f"{skill.error / POINT:.1f} points of nDCG@10 in the mean of five groups."
    )
    if not model.told:
        yield "That is not told apart from chance: the router expects the mean gain of every query."
    yield ""
    for line in model.options:
        votes = f", {line.votes} votes" if line.votes > 1 else ""
        yield f"  {line.tier}, depth {line.depth}{votes}: gains {line.mean / POINT:.1f} points in the mean"
    if model.told:
        yield ""
        yield "More than the mean is expected of a query the more (+) or the less (-) these are:"
        for name, weight in model.leaning():
            yield f"  {'+' if weight > 0 else '-'} {name}: {MEANINGS.get(name, '')}"
