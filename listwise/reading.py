"""One window read by one model: a prompt that fits, the question, and what came of it.

Prompts that the server finds too long are shortened and asked again; what it lets on about its context is kept in
mind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from listwise.asking import Asker, Reply
from listwise.calls import Call, Sampling
from listwise.errors import ContextOverflow, InputError
from listwise.prompting import Prompter, RequestPrompts, WindowPrompt
from listwise.spend.tab import Tab
from listwise.strategies.base import Graded
from listwise.types import Request

Count = Callable[[Call, Tab], Awaitable[int | None]]
"""A model's own count of a call's input tokens; None where it cannot say."""


LEAST_SHRINK = 1.02
"""By how much, at least, a prompt that is too long is shortened at a time: fitting ends, one way or the other."""
FEWEST = 2
"""Passages that are still worth putting into an order."""
SHRINK = 1.5
"""By how much, where the server does not say how long it found the prompt."""
MOST_OVERFLOWS = 3
"""How often a window is shortened because the server found its prompt too long."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window that is to be read."""

    step: int
    """The strategy's step, from 0."""
    shown: tuple[int, ...]
    """Positions in the request, in the order to show them."""
    sample: int = 0
    """Tells it from others that ask the same on purpose."""
    wary: bool = False
    """Whether passages are shown without what might be an order to the model."""

    def cut(self, shown: tuple[int, ...]) -> Window:
        """The same with fewer passages."""
        return replace(self, shown=shown)


@dataclass(frozen=True, slots=True)
class Reading:
    """One window as one model read it: what was shown (positions in the request), and what came of it."""

    step: int
    model: str
    """``provider/name``."""
    window: tuple[int, ...]
    """What was shown: all of the window, or as much from its top as fits the model's context."""
    prompt: WindowPrompt | None
    reply: Reply
    left_out: int = 0
    """Passages from the window's end that were not shown."""
    overflows: int = 0
    """How often the server found the prompt too long before it took it."""
    units: str = "words"
    """What the prompt's ``limit`` counts."""
    sample: int = 0
    before: tuple[Reading, ...] = ()
    """What came of the models that the chain tried for this window before this one, in that order."""

    @property
    def permutation(self) -> tuple[int, ...] | None:
        """The order of the whole window: what was not shown keeps its place, and is graded below all that was."""
        order, n = self.reply.permutation, len(self.window)
        if order is None or not self.left_out:
            return order
        whole = (*order, *range(n, n + self.left_out))
        if isinstance(order, Graded):
            return Graded(whole, (*order.scores, *[min(order.scores) - 1] * self.left_out))
        return whole


class WindowReader:
    """Reads windows with one model and one template."""

    def __init__(
        self,
        name: str,
        asker: Asker,
        prompter: Prompter,
        sampling: Callable[[int], Sampling],
        count: Count | None = None,
    ) -> None:
        """``sampling`` says how to draw an answer for a window of so many passages; with ``count``, prompts that
        fit only by an estimate are counted by the model itself before they are sent."""
        self.name = name
        self._asker = asker
        self._prompter = prompter
        self._sampling = sampling
        self._count = count
        self._units = "words" if prompter.template.rules.keep == "head" else "tokens"
        self._guesses = False

    def prompts(self, request: Request) -> RequestPrompts:
        """The prompts of one request, to be passed to `read`."""
        return self._prompter.for_request(request)

    def call_for(self, request: Request, window: tuple[int, ...]) -> Call:
        """What a window (positions in the request) would be asked with, as far as an estimate tells that it fits.

        Raises:
            InputError: no prompt for the window fits.
        """
        return self._call(self.prompts(request).window(window), Window(0, window), request)

    def most_output(self, passages: int) -> int:
        """Tokens that the answer to so many passages may have."""
        return self._sampling(passages).max_output_tokens

    async def read(self, asked: Window, request: Request, prompts: RequestPrompts, tab: Tab) -> Reading:
        """Ask one window; with shorter passages, and then fewer of them, where its prompt does not fit.

        Raises:
            AnswerError: a bad answer, under the policy ``raise``.
        """
        window = shown = asked.shown
        scale, overflows = 1.0, 0
        while True:
            try:
                prompt, call = await self._fitted(asked.cut(shown), request, prompts, tab, scale)
            except InputError as error:
                if len(shown) <= FEWEST:
                    return self.unread(asked, Reply(error=error.message))
                shown = shown[: max(FEWEST, len(shown) // 2)]
                continue
            reply = await self._asker.ask(call, tab)
            if reply.overflow is None or overflows == MOST_OVERFLOWS:
                left_out = len(window) - len(shown)
                return Reading(
                    asked.step, self.name, shown, prompt, reply, left_out, overflows, self._units, asked.sample
                )
            overflows += 1
            scale = self._rescaled(scale, reply.overflow, call)

    def unread(self, asked: Window, reply: Reply) -> Reading:
        """A window that was not put to the model."""
        return Reading(asked.step, self.name, asked.shown, None, reply, sample=asked.sample)

    def _call(self, prompt: WindowPrompt, asked: Window, request: Request) -> Call:
        n = len(asked.shown)
        sampling = self._sampling(n)
        if asked.sample and sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + asked.sample)
        docids = tuple(request.candidates[at].docid for at in asked.shown)
        return Call(prompt.messages, sampling, prompt.form, n, asked.sample, qid=request.query.qid, docids=docids)

    def _rescaled(self, scale: float, overflow: ContextOverflow, call: Call) -> float:
        """How many real tokens there are to a counted one, judging by a prompt that the server found too long.

        What it says of its context is remembered for all prompts to come. Where it says nothing, the context is
        guessed to be the next smaller power of two, unless the prompt filled a context that is known: then its
        tokens were counted wrongly.
        """
        n, counted = call.passages, self._prompter.counted(call.messages)
        limit, tokens = overflow.limit_tokens, overflow.prompt_tokens
        if limit is None and (self._guesses or self._prompter.overrun(2 * counted, n) < 1):
            self._guesses = True
            limit = _power_of_two_below((tokens or counted) + call.sampling.max_output_tokens)
        if limit is not None and self._prompter.learn_context(limit):
            return scale
        real = tokens / counted if tokens else SHRINK / self._prompter.overrun(counted, n)
        return max(real, scale * LEAST_SHRINK)

    async def _fitted(
        self, asked: Window, request: Request, prompts: RequestPrompts, tab: Tab, scale: float
    ) -> tuple[WindowPrompt, Call]:
        """A prompt for a window that fits the model's context by its own count, as far as it gives one.

        ``scale`` is how many real tokens there are to a counted one, as far as is known.

        Raises:
            InputError: no prompt for the window fits.
        """
        n = len(asked.shown)
        while True:
            prompt = prompts.window(asked.shown, scale, wary=asked.wary)
            call = self._call(prompt, asked, request)
            if prompt.certain or self._count is None:
                return prompt, call
            tokens = await self._count(call, tab)
            if tokens is None or (overrun := self._prompter.overrun(tokens, n)) <= 1:
                return prompt, call
            scale *= max(overrun, LEAST_SHRINK)


def _power_of_two_below(number: int) -> int:
    return 1 << max(0, (number - 1).bit_length() - 1)
