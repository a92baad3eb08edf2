"""The one driver for all strategies.

Plays a strategy against a chain of models: has each window read, and hands the permutations back. Whatever goes
wrong with a window, the ranking goes on: a window that was not answered keeps its order, and an exhausted budget
ends the play with the best order known.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

from listwise.chain import Chain
from listwise.prompting import WindowPrompt, addresses_the_model
from listwise.reading import Reading, Window, WindowReader
from listwise.spend.money import usd_of
from listwise.spend.tab import Tab
from listwise.strategies.base import Graded, Step, Strategy
from listwise.strategies.guard import (
    MAY_RANK_NOTHING,
    RANKS_NOTHING,
    Findings,
    GuardName,
    Repaired,
    Watch,
    echoes,
    guarded,
    most_windows,
)
from listwise.types import Request, StepTrace, Usage, Watcher, WindowTrace

Read = Callable[[Window], Coroutine[Any, Any, Reading]]
"""Has a window read."""


@dataclass(slots=True)
class Outcome:
    """What came of playing a strategy for one query."""

    order: tuple[int, ...]
    """Positions of all candidates in the request, best first."""
    asked: set[str] = field(default_factory=set)
    """Models that were asked anything."""
    calls: int = 0
    cache_hits: int = 0
    passages_read: int = 0
    truncated: int = 0
    repairs: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    """Why the play ended early, if it did."""
    kept: Counter[str] = field(default_factory=Counter)
    """Windows that kept their order, by reason."""
    ordered_by: Counter[str] = field(default_factory=Counter)
    """Windows by the model that put them in order."""
    passed_on: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Of these, how many one model left to another, and why."""
    overflowed: int = 0
    """Windows whose prompts the server found too long at first."""
    shortest: int | None = None
    """To how many ``units`` passages were shortened there, at the worst."""
    units: str = "words"
    left_out: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Windows of which only so many of so many passages were shown."""
    notes: list[str] = field(default_factory=list)
    """What the strategy and the guard noticed."""
    echoes: int = 0
    """Windows of some size that were answered in exactly the order shown."""
    findings: Findings = field(default_factory=Findings)
    """What the guard found out."""
    readings: list[Reading] = field(default_factory=list)
    """Every reading of every window, if a trace is wanted."""

    @property
    def degraded(self) -> tuple[str, ...]:
        """What could not be done as asked, in plain words."""
        said = [
            f"{count} window(s) passed on from {first} to {then}: {why.removeprefix(f'{first}: ')}"
            for (first, then, why), count in self.passed_on.items()
        ]
        said += [f"{count} window(s) kept their order: {why}" for why, count in self.kept.items()]
        if self.overflowed:
            said.append(
                f"{self.overflowed} prompt(s) did not fit the model's context: passages shortened to "
                f"{self.shortest} {self.units}"
            )
        said += [
            f"{count} window(s) did not fit the model's context: only {shown} of {n} passages shown"
            for (shown, n), count in self.left_out.items()
        ]
        if self.findings.ranks_nothing:
            said.append(RANKS_NOTHING)
        if self.findings.unchecked:
            said.append(MAY_RANK_NOTHING)
        if self.stopped is not None:
            said.append(f"stopped after {self.calls} calls: {self.stopped}")
        return tuple(said)

    def add(self, reading: Reading) -> None:
        """Count a window, with all that came of it."""
        chain = (*reading.before, reading)
        for each in chain:
            self._add_asked(each)
        reply = reading.reply
        if reply.permutation is not None:
            answer = _answer(reading)
            self.echoes += echoes(range(len(answer or ())), answer)
            self.ordered_by[reading.model] += 1
            for first, then in pairwise(chain):
                self.passed_on[first.model, then.model, first.reply.error or ""] += 1
        elif reply.stops is not None:
            self.stopped = self.stopped or reply.error
        elif reply.error is not None:
            self.kept[reply.error] += 1

    def add_findings(self, docids: Sequence[str]) -> None:
        """Note what became of leaps; ``docids`` are the candidates', in prior order."""
        found = self.findings
        said = (
            (found.confirmed, "confirmed by a second window"),
            (found.refuted, "not confirmed by a second window: lowered"),
            (found.fallen, "could not be checked, of passages that seem to address the model: taken back"),
            (found.believed, "could not be checked: believed"),
        )
        for leapers, what in said:
            if leapers:
                named = ", ".join(docids[at] for at in leapers)
                self.notes.append(f"{len(leapers)} leap(s) to the top {what}: {named}")

    def _add_asked(self, reading: Reading) -> None:
        reply = reading.reply
        if reply.calls:
            self.asked.add(reading.model)
        self.calls += reply.calls
        self.cache_hits += sum(answer.cached for answer in reply.answers)
        self.passages_read += len(reading.window) * reply.calls
        if reading.prompt is not None and reply.calls:
            self._add_shown(reading, reading.prompt)
        if reply.parsed is not None:
            self.repairs.update(reply.parsed.repairs)

    def _add_shown(self, reading: Reading, prompt: WindowPrompt) -> None:
        self.truncated += prompt.truncated
        if reading.overflows:
            self.overflowed += 1
            if self.shortest is None or prompt.limit < self.shortest:
                self.shortest, self.units = prompt.limit, reading.units
        if reading.left_out:
            shown = len(reading.window)
            self.left_out[shown, shown + reading.left_out] += 1


@dataclass(frozen=True, slots=True)
class Guard:
    """How plays are guarded (`listwise.strategies.guard`)."""

    name: GuardName
    window: int
    """Passages that a window may show."""
    top: int
    """Places at the head that must be earned."""

    def watch(self, request: Request, prior: Sequence[int]) -> Watch:
        """What to look out for in a play over these candidates."""

        @cache
        def suspect(at: int) -> bool:
            return addresses_the_model(request.candidates[prior[at]].content)

        return Watch(self.window, suspect, every_leap=self.name == "leaps", top=self.top)

    def most_windows(self, asked: int, request: Request, prior: Sequence[int]) -> int:
        """How many windows it may ask beyond the ``asked`` ones of a play."""
        return 0 if self.name == "off" else most_windows(asked, len(prior), self.watch(request, prior))


class Engine:
    """Ranks requests with one strategy and a chain of models, first choice first."""

    def __init__(self, readers: Sequence[WindowReader], strategy: Strategy, guard: Guard | None = None) -> None:
        self._readers = readers
        self._strategy = strategy
        self._guard = guard if guard is not None and guard.name != "off" else None

    async def rank(
        self,
        request: Request,
        prior: Sequence[int],
        tab: Tab,
        *,
        scores: Sequence[float] | None = None,
        trace: bool = False,
        watch: Watcher | None = None,
    ) -> Outcome:
        """Order a request's candidates, taken in ``prior`` order (positions in the request, best first).

        ``scores`` are the prior's, in that order, where it has any. ``watch`` is told of those candidates alone.

        Raises:
            AnswerError: a bad answer, under the policy ``raise``.
        """
        outcome = Outcome(tuple(prior))
        chain = Chain(self._readers, request, tab)
        read = chain.read if watch is None else _watched(chain.read, request, watch)
        play = self._strategy(len(prior), scores)
        if self._guard is not None:
            play = guarded(play, len(prior), self._guard.watch(request, prior), outcome.findings)
        best: Sequence[int]
        number = 0
        try:
            step = next(play)
            while outcome.stopped is None:
                windows = _windows(step, number, prior)
                if watch is not None:
                    watch(_step_trace(request, number, [prior[at] for at in step.best], windows))
                readings = await _read_all(read, windows)
                outcome.notes.extend(step.notes)
                for reading in readings:
                    outcome.add(reading)
                if trace:
                    outcome.readings.extend(each for last in readings for each in (*last.before, last))
                step = play.send([_answer(reading) for reading in readings])
                number += 1
            best = step.best
        except StopIteration as end:
            best = end.value
        finally:
            play.close()
        outcome.order = tuple(prior[at] for at in best)
        outcome.add_findings([request.candidates[at].docid for at in prior])
        return outcome


def _answer(reading: Reading) -> tuple[int, ...] | None:
    """What a play is sent for a window."""
    order, parsed, prompt = reading.permutation, reading.reply.parsed, reading.prompt
    if order is None or parsed is None or prompt is None:
        return order
    graded = isinstance(order, Graded)
    if graded and prompt.form != "first":
        return order
    named = len(parsed.identifiers) - (parsed.repairs.get("missing", 0) if graded else 0)
    return order if named == len(order) else Repaired(order, named)


def _windows(step: Step, number: int, prior: Sequence[int]) -> list[Window]:
    samples = step.samples or (0,) * len(step.windows)
    return [
        Window(number, tuple(prior[at] for at in shown), sample, step.wary)
        for shown, sample in zip(step.windows, samples, strict=True)
    ]


async def _read_all(read: Read, windows: Sequence[Window]) -> list[Reading]:
    """The windows of one step, all at once."""
    if len(windows) == 1:
        return [await read(windows[0])]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(window)) for window in windows]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


def _watched(read: Read, request: Request, watch: Watcher) -> Read:
    """The same, and every reading is told."""

    async def told(window: Window) -> Reading:
        reading = await read(window)
        for each in (*reading.before, reading):
            watch(trace_of(request, each))
        return reading

    return told


def _step_trace(request: Request, number: int, best: Sequence[int], windows: Sequence[Window]) -> StepTrace:
    def named(places: Sequence[int]) -> tuple[str, ...]:
        return tuple(request.candidates[at].docid for at in places)

    return StepTrace(number, named(best), tuple(named(window.shown) for window in windows))


def trace_of(request: Request, reading: Reading) -> WindowTrace:
    """The record of one window, as one model read it."""
    reply = reading.reply
    answer = reply.answers[-1] if reply.answers else None
    return WindowTrace(
        qid=request.query.qid,
        step=reading.step,
        docids=tuple(request.candidates[at].docid for at in reading.window),
        prompt_sha256=reading.prompt.sha256 if reading.prompt else None,
        model=reading.model,
        served_by=answer.completion.served_by if answer else None,
        answer=answer.completion.text if answer else None,
        permutation=reply.permutation and tuple(reply.permutation),
        scores=reply.parsed.scores if reply.parsed else None,
        repairs=dict(reply.parsed.repairs) if reply.parsed else {},
        usage=sum((each.completion.usage for each in reply.answers), Usage()),
        usd=usd_of(sum(each.nano_usd for each in reply.answers)),
        cached=bool(reply.answers) and all(each.cached for each in reply.answers),
        error=reply.error,
        sample=reading.sample,
    )
