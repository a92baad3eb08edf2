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
from listwise.errors import InputError
from listwise.prompting import Prompter, RequestPrompts, WindowPrompt
from listwise.spend.money import usd_of
from listwise.spend.tab import Tab
from listwise.strategies.base import Strategy
from listwise.types import Request, Usage, WindowTrace

Count = Callable[[Call, Tab], Awaitable[int | None]]
"""A model's own count of a call's input tokens; None where it cannot say."""


LEAST_SHRINK = 1.02
"""By how much, at least, a prompt that is too long is shortened at a time: fitting ends, one way or the other."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One window of the play: what was shown (positions in the request), and what came of it."""

    step: int
    window: tuple[int, ...]
    prompt: WindowPrompt | None
    reply: Reply


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
    readings: list[Reading] = field(default_factory=list)
    """Every window, if a trace is wanted."""

    @property
    def degraded(self) -> tuple[str, ...]:
        """What could not be done as asked, in plain words."""
        kept = tuple(f"{count} window(s) kept their order: {why}" for why, count in self.kept.items())
        return kept if self.stopped is None else (*kept, f"stopped after {self.calls} calls: {self.stopped}")

    def add(self, reading: Reading) -> None:
        """Count a window."""
        reply = reading.reply
        self.calls += reply.calls
        self.cache_hits += sum(answer.cached for answer in reply.answers)
        self.passages_read += len(reading.window) * reply.calls
        self.truncated += reading.prompt.truncated if reading.prompt is not None and reply.calls else 0
        if reply.parsed is not None:
            self.repairs.update(reply.parsed.repairs)
        if reply.stops:
            self.stopped = self.stopped or reply.error
        elif reply.error is not None:
            self.kept[reply.error] += 1


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

    async def rank(self, request: Request, prior: Sequence[int], tab: Tab, *, trace: bool = False) -> Outcome:
        """Order a request's candidates, taken in ``prior`` order (positions in the request, best first).

        Raises:
            AnswerError: a bad answer, under the policy ``raise``.
        """
        outcome = Outcome(tuple(prior))
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
                step = play.send([reading.reply.permutation for reading in readings])
                number += 1
            best = step.best
        except StopIteration as end:
            best = end.value
        finally:
            play.close()
        outcome.order = tuple(prior[at] for at in best)
        return outcome

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
        try:
            prompt, call = await self._fitted(window, prompts, tab)
        except InputError as error:
            return Reading(step, window, None, Reply(error=error.message))
        return Reading(step, window, prompt, await self._asker.ask(call, tab))

    async def _fitted(
        self, window: tuple[int, ...], prompts: RequestPrompts, tab: Tab
    ) -> tuple[WindowPrompt, Call]:
        """A prompt for a window that fits the model's context by its own count, as far as it gives one.

        Raises:
            InputError: no prompt for the window fits.
        """
        n, scale = len(window), 1.0
        while True:
            prompt = prompts.window(window, scale)
            call = Call(prompt.messages, self._sampling(n), prompt.form, n)
            if prompt.certain or self._count is None:
                return prompt, call
            tokens = await self._count(call, tab)
            if tokens is None or (overrun := self._prompter.overrun(tokens, n)) <= 1:
                return prompt, call
            scale *= max(overrun, LEAST_SHRINK)


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
