"""What is known of model families by their names: context, reasoning, and whether they take a temperature.

Windows come from ``genai-prices`` where it has the model, as its table is kept up to date; those of open models,
and of what is too new or too old for it, stand here. Sources: model cards, and the providers' model and migration
pages: a temperature is an error for OpenAI's reasoning models, and for Claude from 4.7 on; Claude thinks by itself
from 5 on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN_CONTEXT_TOKENS = 8192
"""For a model that nobody knows and whose server does not say: small enough for nearly all of them."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What an adapter must know of a model before it asks."""

    context_tokens: int | None
    """Tokens that prompt and answer share; None where unknown."""
    reasons: bool = False
    """Whether it thinks before it answers without being told to, so that an answer needs more tokens."""
    takes_temperature: bool = True
    """Whether it accepts a temperature; those that do not answer with an error."""

    @property
    def gives_logprobs(self) -> bool:
        """Whether it may be asked for log-probabilities: a model that reasons answers with an error, or with those
        of its thoughts."""
        return not self.reasons


_OPENAI_PLAIN = re.compile(r"gpt-5-chat")
_OPENAI_REASONING = re.compile(r"o\d|gpt-(?:[5-9]|\d\d)|codex|computer-use")
_CLAUDE_SAMPLING = re.compile(r"claude-(?:instant|v?[123]\b|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?!-?\d{1,2}(?!\d)))")
_CLAUDE_THINKING = re.compile(r"claude-(?:fable|mythos|(?:opus|sonnet|haiku)-(?:[5-9]|\d\d))")
_OPEN_REASONING = re.compile(
    r"gpt-oss|deepseek-r|qwq|qwen3(?!.*instruct)|magistral|-thinking|-reasoning|phi-4-reason"
)

_CONTEXTS = {
    r"^gpt-(?:[6-9]|\d\d)": 1_050_000,
    r"^gpt-5": 400_000,
    r"^(?:o\d|codex)": 200_000,
    r"^gpt-4(?:o|\.\d|-turbo)": 128_000,
    r"^gpt-4": 8192,
    r"^gpt-3\.5": 16_385,
    r"^claude": 200_000,
    r"rank_(?:zephyr|vicuna)|vicuna": 4096,
    r"zephyr|mistral-7b": 32_768,
    r"smollm2": 8192,
    r"qwen2\.5": 32_768,
    r"qwen3": 40_960,
    r"llama-3\.[1-3]": 131_072,
    r"llama-?3": 8192,
    r"gemma-3": 131_072,
    r"gemma": 8192,
    r"gpt-oss": 131_072,
}


def traits_of(provider: str, model: str) -> Traits:
    """What is known of a model; fine-tuned names (``ft:...``) and folders (``org/...``) count as their base."""
    name = model.lower().removeprefix("ft:").partition(":")[0].rpartition("/")[2]
    context = _table_context(provider, name) or _family_context(name)
    if provider == "anthropic" and name.startswith("claude"):
        plain = _CLAUDE_SAMPLING.match(name) is not None
        return Traits(context, reasons=_CLAUDE_THINKING.match(name) is not None, takes_temperature=plain)
    if provider == "openai" and _OPENAI_REASONING.match(name) and not _OPENAI_PLAIN.match(name):
        return Traits(context, reasons=True, takes_temperature=False)
    return Traits(context, reasons=_OPEN_REASONING.search(name) is not None)


def _family_context(name: str) -> int | None:
    return next((tokens for pattern, tokens in _CONTEXTS.items() if re.search(rf"(?<![a-z]){pattern}", name)), None)


def _table_context(provider: str, name: str) -> int | None:
    if provider not in {"openai", "anthropic"}:
        return None
    from genai_prices.data import providers

    found = next((entry for entry in providers if entry.id == provider), None)
    model = found.find_model(name) if found else None
    return model.context_window if model else None
