"""Which template a strategy is asked with, and whether a model can answer it."""

from __future__ import annotations

from typing import NamedTuple

from listwise.calls import LABELS
from listwise.errors import ConfigError
from listwise.forms import FORMS, forms_for
from listwise.models.base import LikelihoodModel, Model
from listwise.prompting import Template, load_template, template_names
from listwise.strategies import Question, Strategy, play
from listwise.strategies.base import windows_of

ENOUGH = 2 * len(LABELS)
"""Candidates that are enough to see whether a strategy's windows have more passages than there are labels."""

_DEFAULTS: dict[Question, str] = {"first": "first", "choice": "setwise", "relevance": "pointwise"}


class Asked(NamedTuple):
    """What a strategy asks of its windows."""

    strategy: str
    """Its name."""
    question: Question
    widest: int
    """Passages in its largest window; `ENOUGH` stands for more."""

    @classmethod
    def by(cls, name: str, question: Question, strategy: Strategy, depth: int) -> Asked:
        """What a strategy asks over ``depth`` candidates, judging by a play that changes no order."""
        steps = play(strategy, min(depth, ENOUGH), lambda window: None)
        return cls(name, question, max(map(len, windows_of(steps)), default=0))


def template_for(asked: Asked, model: Model, prompt: str | None = None) -> Template:
    """The template that is named, or the default one.

    Raises:
        ConfigError: it cannot be used, does not answer what the strategy asks, has fewer labels than a window has
            passages, or needs log-probabilities that the model does not give.
    """
    name = model.identity.name
    template = load_template(prompt or default_prompt(name, asked.question, asked.widest))
    if FORMS[template.form].question != asked.question:
        fitting = [each for each in template_names() if load_template(each).form in forms_for(asked.question)]
        raise ConfigError(
            f"the template {template.name} (form: {template.form}) does not answer what the strategy "
            f"{asked.strategy} asks; these do: {', '.join(fitting)}"
        )
    if template.labelled and asked.widest > len(LABELS):
        raise ConfigError(
            f"the template {template.name} has labels for {len(LABELS)} passages, and the strategy "
            f"{asked.strategy} shows more at once: use a smaller window"
        )
    if template.form == "first" and not gives_logprobs(model):
        raise ConfigError(
            f"{name} gives no log-probabilities, from which the template {template.name} reads the order: use a "
            "model that does not reason, through Chat Completions (api: chat), or another strategy"
        )
    return template


def default_prompt(model: str, question: Question = "order", widest: int = 0) -> str:
    """The template for a question where none is named.

    An order is asked for as the model was trained to be, if it was trained to rank, and in RankGPT's words
    otherwise; a choice among windows of at most ``widest`` 2 passages in those of pairwise ranking.
    """
    if question == "choice" and widest == 2:
        return "pairwise"
    if question != "order":
        return _DEFAULTS[question]
    name = model.lower()
    return "rankzephyr" if "rank_zephyr" in name or "rank_vicuna" in name else "rankgpt"


def gives_logprobs(model: Model) -> bool:
    """Whether a model may give log-probabilities, as far as is known before it is asked."""
    return isinstance(model, LikelihoodModel) and model.gives_logprobs
