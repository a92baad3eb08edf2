"""Asks a model for a study of bias: what it costs, progress, what was spent, the trace."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from listwise.cli.outputs import plain
from listwise.cli.screen import Totals, console, following
from listwise.errors import InputError
from listwise.reranker import Reranker
from listwise.types import Ranking, Request

if TYPE_CHECKING:
    from listwise.eval.bias.live import Asked, Design, Way
    from listwise.eval.bias.mending import Played, System
    from listwise.eval.bias.observations import Observation
    from listwise.eval.bias.positions import Grades
    from listwise.planning import Plan
    from listwise.policy import Policy

TRACE = "trace.jsonl"


class Asking:
    """The questions of one study; a context in which they may be asked."""

    def __init__(
        self,
        requests: Sequence[Request],
        design: Design,
        qrels: Mapping[str, Mapping[str, int]],
        settings: Mapping[str, Any],
        run_id: str | None,
    ) -> None:
        """Work out what is to be asked.

        Raises:
            ConfigError: a setting cannot be.
            InputError: there is nothing to ask.
        """
        from listwise.eval.bias.live import ways, window_policy, windows_asked

        self._requests, self._design, self._run_id = requests, design, run_id
        self._windows: list[Asked] = windows_asked(requests, design, qrels)
        self._policy: Policy = window_policy(design, settings)
        self._groups: list[list[Way]] = ways(design, settings)
        self._totals = Totals("windows")
        self._open = ExitStack()
        self._first: Reranker | None = None

    def __enter__(self) -> Self:
        self._first = self._open.enter_context(Reranker(self._policy, run_id=self._run_id, trace=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def simulated(self) -> bool:
        """Whether the model is a simulation."""
        return self._policy.simulated

    @property
    def lengths(self) -> dict[tuple[str, str], float]:
        """Words by qid and docid."""
        return {
            (request.query.qid, each.docid): float(len(each.content.split()))
            for request in self._requests
            for each in request.candidates[: self._design.depth]
        }

    def show_plan(self) -> None:
        """What it will cost, at most."""
        screen = console()
        plans = [("windows", self._plan(self._policy, [each.request for each in self._windows]))]
        plans += [(way.name, self._plan(way.policy, self._starts(way))) for group in self._groups for way in group]
        for name, plan in plans:
            for line in plan.strategies[:1]:
                cost = f"expected ${line.usd.expected:.4f}, at most ${line.usd.high:.4f}"
                priced = cost if plan.price_source else "no price"
                screen.print(f"{name}: {line.calls:,} calls ({line.cached:,} cached), {priced}")
        if all(plan.price_source for _, plan in plans):
            most = sum(line.usd.high for _, plan in plans for line in plan.strategies[:1])
            cap = self._policy.budget_total_usd
            high = most if cap is None else min(most, float(cap))
            label = " simulated" if self.simulated else ""
            screen.print(f"the whole study: at most ${high:.4f}{label}")

    def observe(self, folder: Path | None) -> list[Observation]:
        """Ask for all windows; their trace goes into ``folder``, if there is one."""
        from listwise.eval.bias.live import observation_of

        assert self._first is not None
        found: list[Observation] = []
        with _trace_in(folder) as trace:
            rankings = self._ranked(self._first, [each.request for each in self._windows])
            for asked, ranking in zip(self._windows, rankings, strict=True):
                if trace is not None:
                    _write(trace, asked, ranking)
                if (observation := observation_of(asked, ranking)) is not None:
                    found.append(observation)
        if len(found) < len(self._windows):
            missing = len(self._windows) - len(found)
            said = f"{missing} of {len(self._windows)} windows have no answer and are left out"
            console().print(said, style="yellow")
        return found

    def compare(self, grades: Grades | None, persistence: float) -> list[System]:
        """Ask for the rankings that are compared."""
        from listwise.eval.bias.live import played_of, whole
        from listwise.eval.bias.mending import compare_systems

        systems: list[System] = []
        for group in self._groups:
            played: dict[str, list[Played]] = {}
            for way in group:
                with self._again(way.policy) as reranker:
                    rankings = map(played_of, self._ranked(reranker, self._starts(way)))
                    played[way.name] = [each for each in rankings if each is not None]
            kept = whole(played)
            if any(kept.values()):
                systems += compare_systems(kept, grades, self._design.seed, persistence)
            left_out = sum(len(self._starts(way)) - len(kept[way.name]) for way in group)
            if left_out:
                said = f"{left_out} rankings are left out: they, or others of their query, are not whole"
                console().print(said, style="yellow")
        return systems

    def show_spent(self) -> None:
        """What it did cost."""
        totals, screen = self._totals, console()
        calls, hits = totals.sum("calls"), totals.sum("cache_hits")
        spent = totals.spent if totals.priced else "no price"
        screen.print(f"{calls:,} calls, {hits:,} of them from the cache, {spent}, {totals.seconds:.1f} s")
        for said in totals.degraded.values():
            ((what, _),) = said.most_common(1)
            screen.print(f"degraded, {said.total()} times: {what}", style="yellow")

    def _ranked(self, reranker: Reranker, requests: Sequence[Request]) -> Iterator[Ranking]:
        before = self._totals.seconds
        with following(len(requests), self._totals) as follower:
            for ranking in reranker.rerank_many(requests):
                self._totals.add(ranking.receipt)
                follower.advance()
                yield ranking
        self._totals.seconds += before

    def _again(self, policy: Policy) -> Reranker:
        """Another one under the same caps."""
        assert self._first is not None
        return Reranker(policy, ledger=self._first.purse.ledger, run_id=self._first.purse.run, trace=True)

    def _starts(self, way: Way) -> list[Request]:
        from listwise.eval.bias.live import starts_asked

        return starts_asked(self._requests, self._design, way)

    def _plan(self, policy: Policy, requests: Sequence[Request]) -> Plan:
        from listwise.cli.plan_command import unasked

        with Reranker(policy, model=[unasked(policy)]) as reranker:
            return reranker.plan(requests)


def _write(trace: IO[str], asked: Asked, ranking: Ranking) -> None:
    """The records of a window, which say in what kind of order it was shown."""
    for window in ranking.windows:
        record = {**asdict(window), "order": asked.shown.order, "sample": asked.shown.sample}
        trace.write(json.dumps(record, ensure_ascii=False, default=plain) + "\n")


@contextmanager
def _trace_in(folder: Path | None) -> Iterator[IO[str] | None]:
    """A file of answers is for its owner only; it comes to its place when it is whole."""
    if folder is None:
        yield None
        return
    path = folder / TRACE
    partial = path.with_name(f"{TRACE}.partial")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=path) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
