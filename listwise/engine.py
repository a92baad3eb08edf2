"""The one driver for all strategies.

Plays a strategy against a model: renders each window, has it asked, and hands the permutations back. Whatever goes
wrong with a window, the ranking goes on: a window that was not answered keeps its order, and an exhausted budget
ends the play with the best order known.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from listwise.asking import Asker, Reply
from listwise.calls import Call, Sampling
from listwise.errors import ContextOverflow, InputError
from listwise.prompting import Prompter, RequestPrompts, WindowPrompt
from listwise.spend.money import usd_of
from listwise.spend.tab import Tab
from listwise.strategies.base import Strategy
from listwise.types import Request, Usage, WindowTrace

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
class Reading:
    """One window of the play: what was shown (positions in the request), and what came of it."""

    step: int
    window: tuple[int, ...]
    """What was shown: all of the window, or as much from its top as fits the model's context."""
    prompt: WindowPrompt | None
    reply: Reply
    left_out: int = 0
    """Passages from the window's end that were not shown."""
    overflows: int = 0
    """How often the server found the prompt too long before it took it."""

    @property
    def permutation(self) -> tuple[int, ...] | None:
        """The order of the whole window: what was not shown keeps its place."""
        order, n = self.reply.permutation, len(self.window)
        return order if order is None or not self.left_out else (*order, *range(n, n + self.left_out))


@dataclass(slots=True)
class Outcome:
    """What came of playing a strategy for one query."""

    order: tuple[int, ...]
    """Positions of all candidates in the request, best first."""
    calls: int = 0
    cache_hits: int = 0
    passages_read: int = 0
    truncated: int = 0
    repairs: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    """Why the play ended early, if it did."""
    kept: Counter[str] = field(default_factory=Counter)
    """Windows that kept their order, by reason."""
    overflowed: int = 0
    """Windows whose prompts the server found too long at first."""
    shortest: int | None = None
    """To how many ``units`` passages were shortened there, at the worst."""
    units: str = "words"
    left_out: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Windows of which only so many of so many passages were shown."""
    readings: list[Reading] = field(default_factory=list)
    """Every window, if a trace is wanted."""

    @property
    def degraded(self) -> tuple[str, ...]:
        """What could not be done as asked, in plain words."""
        said = [f"{count} window(s) kept their order: {why}" for why, count in self.kept.items()]
        if self.overflowed:
            said.append(
                f"{self.overflowed} prompt(s) did not fit the model's context: passages shortened to "
                f"{self.shortest} {self.units}"
            )
        said += [
            f"{count} window(s) did not fit the model's context: only {shown} of {n} passages shown"
            for (shown, n), count in self.left_out.items()
        ]
        if self.stopped is not None:
            said.append(f"stopped after {self.calls} calls: {self.stopped}")
        return tuple(said)

    def add(self, reading: Reading) -> None:
        """Count a window."""
        reply = reading.reply
        self.calls += reply.calls
        self.cache_hits += sum(answer.cached for answer in reply.answers)
        self.passages_read += len(reading.window) * reply.calls
        if reading.prompt is not None and reply.calls:
            self._add_shown(reading, reading.prompt)
        if reply.parsed is not None:
            self.repairs.update(reply.parsed.repairs)
        if reply.stops:
            self.stopped = self.stopped or reply.error
        elif reply.error is not None:
            self.kept[reply.error] += 1

    def _add_shown(self, reading: Reading, prompt: WindowPrompt) -> None:
        self.truncated += prompt.truncated
        if reading.overflows:
            self.overflowed += 1
            self.shortest = min(prompt.limit, self.shortest or prompt.limit)
        if reading.left_out:
            shown = len(reading.window)
            self.left_out[shown, shown + reading.left_out] += 1


class Engine:
    """Ranks requests with one model, one template and one strategy."""

    def __init__(
        self,
        asker: Asker,
        prompter: Prompter,
        strategy: Strategy,
        sampling: Callable[[int], Sampling],
        count: Count | None = None,
    ) -> None:
        """``sampling`` says how to draw an answer for a window of so many passages; with ``count``, prompts that
        fit only by an estimate are counted by the model itself before they are sent."""
        self._asker = asker
        self._prompter = prompter
        self._strategy = strategy
        self._sampling = sampling
        self._count = count
        self._guesses = False

    async def rank(self, request: Request, prior: Sequence[int], tab: Tab, *, trace: bool = False) -> Outcome:
        """Order a request's candidates, taken in ``prior`` order (positions in the request, best first).

        Raises:
            AnswerError: a bad answer, under the policy ``raise``.
        """
        keep = self._prompter.template.rules.keep
        outcome = Outcome(tuple(prior), units="words" if keep == "head" else "tokens")
        prompts = self._prompter.for_request(request)
        play = self._strategy(len(prior))
        best: Sequence[int]
        number = 0
        try:
            step = next(play)
            while outcome.stopped is None:
                shown = [tuple(prior[at] for at in window) for window in step.windows]
                readings = await self._read_all(number, shown, prompts, tab)
                for reading in readings:
                    outcome.add(reading)
                if trace:
                    outcome.readings.extend(readings)
                step = play.send([reading.permutation for reading in readings])
                number += 1
            best = step.best
        except StopIteration as end:
            best = end.value
        finally:
            play.close()
        outcome.order = tuple(prior[at] for at in best)
        return outcome

    def call_for(self, request: Request, window: Sequence[int]) -> Call:
        """What a window (positions in the request) would be asked with, as far as an estimate tells that it fits.

        Raises:
            InputError: no prompt for the window fits.
        """
        n = len(window)
        prompt = self._prompter.for_request(request).window(window)
        return Call(prompt.messages, self._sampling(n), prompt.form, n)

    async def _read_all(
        self, step: int, windows: Sequence[tuple[int, ...]], prompts: RequestPrompts, tab: Tab
    ) -> list[Reading]:
        """The windows of one step, all at once."""
        if len(windows) == 1:
            return [await self._read(step, windows[0], prompts, tab)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._read(step, window, prompts, tab)) for window in windows]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]

    async def _read(self, step: int, window: tuple[int, ...], prompts: RequestPrompts, tab: Tab) -> Reading:
        """Ask one window; with shorter passages, and then fewer of them, where its prompt does not fit."""
        shown, scale, overflows = window, 1.0, 0
        while True:
            try:
                prompt, call = await self._fitted(shown, prompts, tab, scale)
            except InputError as error:
                if len(shown) <= FEWEST:
                    return Reading(step, window, None, Reply(error=error.message))
                shown = shown[: max(FEWEST, len(shown) // 2)]
                continue
            reply = await self._asker.ask(call, tab)
            if reply.overflow is None or overflows == MOST_OVERFLOWS:
                return Reading(step, shown, prompt, reply, len(window) - len(shown), overflows)
            overflows += 1
            scale = self._rescaled(scale, reply.overflow, call)

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
        self, window: tuple[int, ...], prompts: RequestPrompts, tab: Tab, scale: float = 1.0
    ) -> tuple[WindowPrompt, Call]:
        """A prompt for a window that fits the model's context by its own count, as far as it gives one.

        ``scale`` is how many real tokens there are to a counted one, as far as is known.

        Raises:
            InputError: no prompt for the window fits.
        """
        n = len(window)
        while True:
            prompt = prompts.window(window, scale)
            call = Call(prompt.messages, self._sampling(n), prompt.form, n)
            if prompt.certain or self._count is None:
                return prompt, call
            tokens = await self._count(call, tab)
            if tokens is None or (overrun := self._prompter.overrun(tokens, n)) <= 1:
                return prompt, call
            scale *= max(overrun, LEAST_SHRINK)


def _power_of_two_below(number: int) -> int:
    return 1 << max(0, (number - 1).bit_length() - 1)


def trace_of(request: Request, reading: Reading, model: str) -> WindowTrace:
    """The record of one window."""
    reply = reading.reply
    answer = reply.answers[-1] if reply.answers else None
    return WindowTrace(
        qid=request.query.qid,
        step=reading.step,
        docids=tuple(request.candidates[at].docid for at in reading.window),
        prompt_sha256=reading.prompt.sha256 if reading.prompt else None,
        model=model,
        served_by=answer.completion.served_by if answer else None,
        answer=answer.completion.text if answer else None,
        permutation=reply.permutation,
        repairs=dict(reply.parsed.repairs) if reply.parsed else {},
        usage=sum((each.completion.usage for each in reply.answers), Usage()),
        usd=usd_of(sum(each.nano_usd for each in reply.answers)),
        cached=bool(reply.answers) and all(each.cached for each in reply.answers),
        error=reply.error,
    )
