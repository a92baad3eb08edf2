"""The forms of answers: which question each answers, how long it is, how it is read, and how it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from listwise.calls import LABELS, Alternatives, AnswerForm, Completion
from listwise.permutation import Parsed, parse, parse_choice, parse_first, parse_relevance
from listwise.strategies.base import Question

TOKENS_A_PASSAGE = 8
"""Output tokens that one identifier of an answer takes at most, with its separator."""
TOKENS_AROUND = 64
"""Output tokens for what a model says around its answer."""
FIRST_TOKENS = 4
"""Output tokens to draw where the first label counts: a bracket may come before it."""
WORD_TOKENS = 24
"""Output tokens for an answer of one word, in a sentence if need be."""


@dataclass(frozen=True, slots=True)
class Form:
    """What there is to know of one form, for windows of ``n`` passages."""

    question: Question
    """What it answers."""
    tokens: Callable[[int], int]
    """Output tokens that an answer takes at most, reasoning aside."""
    read: Callable[[Completion, int], Parsed]
    """Reads an answer; never raises."""
    is_whole: Callable[[Parsed], bool]
    """Whether an answer says all that it was asked for."""
    reask: Callable[[int], str] | None
    """What a bad answer is answered with; None where no better one is to be had."""
    as_shown: Callable[[int], tuple[str, tuple[Alternatives, ...] | None]]
    """The answer that keeps the order shown: its text, and what might have stood at its first places."""


def _names_all(parsed: Parsed) -> bool:
    return parsed.failure is None and len(parsed.identifiers) == parsed.n


def _is_read(parsed: Parsed) -> bool:
    return parsed.failure is None


def _order_again(n: int) -> str:
    return (
        f"That answer does not name every passage once. Answer again with nothing but the identifiers of all {n} "
        "passages, the most relevant first, for example [2] > [1]."
    )


def _choose_again(n: int) -> str:
    labels = " or ".join(LABELS[:n]) if n <= 2 else f"one letter from A to {LABELS[:n][-1]}"
    return f"That answer does not name one passage. Answer again with nothing but its label: {labels}."


def _judge_again(n: int) -> str:
    return "That answer says neither yes nor no. Answer again with nothing but Yes or No."


def _judged(said: Completion, n: int) -> Parsed:
    return parse_relevance(said.text, said.leading) if n == 1 else Parsed.failed(n, "unreadable")


def _shown_labels(n: int) -> tuple[str, tuple[Alternatives, ...]]:
    return LABELS[0], ({label: -1.0 - at for at, label in enumerate(LABELS[:n])},)


_ORDER = Form(
    question="order",
    tokens=lambda n: TOKENS_AROUND + TOKENS_A_PASSAGE * n,
    read=lambda said, n: parse(said.text, n),
    is_whole=_names_all,
    reask=_order_again,
    as_shown=lambda n: (" > ".join(f"[{number}]" for number in range(1, n + 1)), None),
)

FORMS: Mapping[AnswerForm, Form] = MappingProxyType(
    {
        "text": _ORDER,
        "order": _ORDER,
        "first": Form(
            question="first",
            tokens=lambda n: FIRST_TOKENS,
            read=lambda said, n: parse_first(said.leading, n),
            is_whole=_is_read,
            reask=None,
            as_shown=_shown_labels,
        ),
        "choice": Form(
            question="choice",
            tokens=lambda n: WORD_TOKENS,
            read=lambda said, n: parse_choice(said.text, n, said.leading),
            is_whole=_is_read,
            reask=_choose_again,
            as_shown=lambda n: (LABELS[0], None),
        ),
        "relevance": Form(
            question="relevance",
            tokens=lambda n: WORD_TOKENS,
            read=_judged,
            is_whole=_is_read,
            reask=_judge_again,
            as_shown=lambda n: ("Yes", None),
        ),
    }
)


def forms_for(question: Question) -> tuple[AnswerForm, ...]:
    """The forms that answer a question."""
    return tuple(name for name, form in FORMS.items() if form.question == question)
