"""One window put to a model: ask through the layers, read the raw answer, and say what came of it.

Nothing that a model or a network does raises from here, except under the policy ``raise``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from listwise.calls import Call, Completion, Message
from listwise.errors import (
    AnswerError,
    Auth,
    BadRequest,
    BudgetExceeded,
    CallError,
    ContextOverflow,
    LedgerFailed,
    Unreadable,
)
from listwise.forms import FORMS, Form
from listwise.layers import Answer, Layer
from listwise.permutation import Parsed, complete
from listwise.policy import OnBadAnswer
from listwise.spend.tab import Tab
from listwise.strategies.base import Graded


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking one window."""

    permutation: tuple[int, ...] | None = None
    """Positions in the window, best first (a `Graded` one, where the answer grades them); None: keep its order."""
    error: str | None = None
    """Why there is no permutation."""
    stops: Literal["model", "query"] | None = None
    """Of whom asking anything more for this query is pointless: of this model, or of any."""
    keeps: bool = False
    """Whether the policy has the window keep its order after such an answer."""
    calls: int = 0
    answers: Sequence[Answer] = ()
    """The raw answers that came; the last is the one that was read."""
    parsed: Parsed | None = None
    overflow: ContextOverflow | None = None
    """Set where the prompt did not fit the model's context; a shorter one may."""

    @property
    def settled(self) -> bool:
        """Whether no other model need be asked."""
        return self.permutation is not None or self.keeps


class Asker:
    """Asks one model about windows, under one policy for bad answers."""

    def __init__(self, layer: Layer, on_bad_answer: OnBadAnswer = "repair") -> None:
        self._layer = layer
        self._on_bad_answer = on_bad_answer

    async def ask(self, call: Call, tab: Tab) -> Reply:
        """Ask for what the form of a call says about the ``call.passages`` passages of a rendered window.

        Raises:
            AnswerError: the answer is incomplete or unreadable, and the policy is ``raise``.
        """
        try:
            answer = await self._layer.ask(call, tab)
        except BudgetExceeded as error:  # another model may be cheaper
            return Reply(error=str(error), stops="model" if error.unit == "USD" else "query")
        except LedgerFailed as error:
            return Reply(error=str(error), stops="query")
        except CallError as error:
            overflow = error if isinstance(error, ContextOverflow) else None
            stops: Literal["model"] | None = "model" if isinstance(error, Auth | BadRequest) else None
            return Reply(error=str(error), stops=stops, calls=int(error.sent), overflow=overflow)
        form = FORMS[call.form]
        parsed = _parse(answer.completion, form, call.passages)
        reply = Reply(calls=1, answers=(answer,), parsed=parsed)
        if self._on_bad_answer == "reask" and form.reask is not None and not form.is_whole(parsed):
            question = form.reask(call.passages)
            reply = await self._ask_again(call, question, reply, tab)
        return self._read(tab.qid, form, reply)

    async def _ask_again(self, call: Call, question: str, first: Reply, tab: Tab) -> Reply:
        """Show the bad answer and ask once more; the better of both counts."""
        bad = first.answers[-1].completion.text.strip() or "(no answer)"
        turns = (Message("assistant", bad), Message("user", question))
        try:
            answer = await self._layer.ask(replace(call, messages=(*call.messages, *turns)), tab)
        except (BudgetExceeded, LedgerFailed):
            return first
        except CallError as error:
            return replace(first, calls=1 + error.sent)
        parsed = _parse(answer.completion, FORMS[call.form], call.passages)
        both = (*first.answers, answer)
        if first.parsed is not None and len(parsed.identifiers) < len(first.parsed.identifiers):
            return replace(first, calls=2, answers=both[::-1])
        return Reply(calls=2, answers=both, parsed=parsed)

    def _read(self, qid: str, form: Form, reply: Reply) -> Reply:
        """Turn the parsed answer into a permutation, or say why not, as the policy has it."""
        parsed = reply.parsed
        assert parsed is not None
        whole = form.is_whole(parsed)
        if not whole and self._on_bad_answer == "raise":
            raise _complaint(qid, parsed)
        keeps = not whole and self._on_bad_answer == "keep"
        if (why := parsed.error) is not None:
            return replace(reply, error=str(why), keeps=keeps)
        if keeps:
            return replace(reply, error="the answer does not name every passage", keeps=True)
        order = complete(parsed)
        return replace(reply, permutation=order if parsed.scores is None else Graded(order, parsed.scores))


def _parse(completion: Completion, form: Form, n: int) -> Parsed:
    """Read a raw answer; one that the server itself calls a refusal is one, if it ranks nothing."""
    parsed = form.read(completion, n)
    return Parsed.failed(n, "refused") if parsed.failure and completion.finish == "refusal" else parsed


def _complaint(qid: str, parsed: Parsed) -> AnswerError:
    """What to raise for an answer that is no whole ranking; names the query."""
    why = parsed.error or Unreadable(f"the answer names {len(parsed.identifiers)} of {parsed.n} passages")
    return type(why)(f"query {qid!r}: {why}")
