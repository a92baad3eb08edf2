"""A guard around a running play: it notices models that repeat the order shown, and has leaps confirmed.

Two things can make an order worthless though every answer is well formed. A model may repeat the order that it is
shown, whichever it is; and a passage may have talked its way to the top. Both are told by asking for the head of
the order once more: turned round, and shuffled. No play is asked more than `MOST_WINDOWS` beyond its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, Self

from listwise.strategies.base import Answers, Play, Step

GuardName = Literal["off", "suspicious", "leaps"]
"""What must be confirmed: nothing; leaps of passages whose text seems to address the model; every leap."""

FEWEST_PASSAGES = 4
"""Of a window whose echo says anything: two passages are in the right order half of the time."""
FEWEST_WINDOWS, ECHOED = 3, 0.75
"""A play of so many windows or more is suspicious if this share of them was echoed."""
TOP = 10
"""A leap is a climb into so many first places,"""
LEAP = 10
"""by so many places or more;"""
SUSPICIOUS_LEAP = 3
"""for a passage that seems to address the model, by so many."""
SECOND_LOOK = 1_000_000
"""The sample number of the guard's own windows: no vote has it."""
MOST_WINDOWS = 2
"""That the guard asks of one play: the head turned round, and the head shuffled."""
RANKS_NOTHING = (
    "the model repeats the order it is shown, even turned round: it ranks nothing, and the order before it stands"
)
MAY_RANK_NOTHING = (
    "the model repeats the order it is shown; a window turned round, to tell whether it ranks, had no answer"
)


class Repaired(tuple[int, ...]):
    """A permutation of which the model gave only the first part: what it left out kept the order shown."""

    named: int
    """Positions that the model gave."""

    def __new__(cls, order: Iterable[int], named: int = 0) -> Self:
        """An order, and how much of it is the model's."""
        self = super().__new__(cls, order)
        self.named = named
        return self


@dataclass(slots=True)
class Findings:
    """What a guard has found out about one play; candidates are indices."""

    ranks_nothing: bool = False
    """The model repeats whatever order it is shown."""
    unchecked: bool = False
    """It seems so, but there was no answer to the window that would tell."""
    confirmed: tuple[int, ...] = ()
    """Leaps that the second window confirmed."""
    refuted: tuple[int, ...] = ()
    """Those that it did not."""
    fallen: tuple[int, ...] = ()
    """Those that it was not asked about, or did not answer, and that are not believed: back in their old places."""
    believed: tuple[int, ...] = ()
    """Likewise, but believed."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look out for."""

    window: int
    """Passages that a window may show."""
    suspect: Callable[[int], bool]
    """Whether the text of a candidate seems to address the model."""
    every_leap: bool = False
    """Whether leaps of other candidates must be confirmed, too."""
    top: int = TOP


def echoes(window: Sequence[int], answer: Sequence[int] | None) -> bool:
    """Whether a window of some size was answered, by the model and not by repair, in exactly the order shown."""
    if answer is None or isinstance(answer, Repaired):
        return False
    return len(window) >= FEWEST_PASSAGES and tuple(answer) == tuple(range(len(window)))


def suspicious(asked: int, echoed: int) -> bool:
    """Whether so many echoes among so many windows must be looked into."""
    return asked >= FEWEST_WINDOWS and echoed >= ECHOED * asked


def guarded(play: Play, n: int, watch: Watch, findings: Findings) -> Play:
    """The same play under guard; ``findings`` are filled in as it goes.

    A suspect's leap is in no step's ``best`` before it is confirmed: whatever ends the play early, it is not
    believed.
    """
    order = yield from _cautious(_attentive(play, n, watch, findings), watch, findings)
    leapers = _leapers(order, watch)
    suspects = tuple(at for at in leapers if watch.suspect(at))
    findings.fallen = suspects
    cautious = _fall_back(order, suspects)
    if not leapers:
        return order
    shown = _shuffled(order[: watch.window], leapers)
    (answer,) = yield Step((shown,), cautious, samples=(SECOND_LOOK,), wary=True)
    named = answer or () if not isinstance(answer, Repaired) else answer[: answer.named]
    found = {shown[position]: place for place, position in enumerate(named)}
    earned = min(watch.top, len(shown) // 2)
    findings.confirmed = tuple(at for at in leapers if found.get(at, earned) < earned)
    findings.refuted = tuple(at for at in leapers if found.get(at, -1) >= earned)
    findings.fallen = tuple(at for at in suspects if at not in found)
    findings.believed = tuple(at for at in leapers if at not in found and at not in suspects)
    back = {at for at in suspects if at not in findings.confirmed}
    return _lowered(order, {at: at if at in back else found[at] for at in leapers if at in back or at in found})


def most_windows(asked: int, n: int, watch: Watch) -> int:
    """How many windows a guard may ask of a play over ``n`` candidates that asks ``asked`` of its own, in whatever
    prior order they come."""
    confirms = (watch.every_leap and n > LEAP) or (n > SUSPICIOUS_LEAP and any(map(watch.suspect, range(n))))
    return (asked >= FEWEST_WINDOWS) + confirms


def _attentive(play: Play, n: int, watch: Watch, findings: Findings) -> Play:
    """Where hardly any window was answered but by an echo, the head of the result is asked for turned round.

    A right order is repeated rightly, but not both ways round; windows far down may well be equally bad both ways
    round, so it is the whole play that counts.
    """
    asked = echoed = 0
    with closing(play):
        step, best = _advance(play)
        while step is not None:
            answers = yield step
            told = [
                (window, answer)
                for window, answer in zip(step.windows, answers, strict=True)
                if answer is not None and len(window) >= FEWEST_PASSAGES
            ]
            asked += len(told)
            echoed += sum(echoes(*both) for both in told)
            step, best = _advance(play, answers)
    turned = tuple(best[: watch.window])[::-1]
    if not suspicious(asked, echoed) or len(turned) < FEWEST_PASSAGES:
        return best
    (answer,) = yield Step((turned,), best, samples=(SECOND_LOOK,))
    findings.unchecked = answer is None
    findings.ranks_nothing = echoes(turned, answer)
    return tuple(range(n)) if findings.ranks_nothing else best


def _cautious(play: Play, watch: Watch, findings: Findings) -> Play:
    """No suspect's leap is in the best order of any step."""
    with closing(play):
        step, best = _advance(play)
        while step is not None:
            findings.fallen = tuple(filter(watch.suspect, _leapers(best, watch)))
            answers = yield step._replace(best=_fall_back(best, findings.fallen))
            step, best = _advance(play, answers)
    return best


def _advance(play: Play, answers: Answers | None = None) -> tuple[Step | None, Sequence[int]]:
    """The next step of a play and its best order; where it has ended, no step and the final order."""
    try:
        step = next(play) if answers is None else play.send(answers)
    except StopIteration as end:
        return None, end.value
    return step, step.best


def _leapers(order: Sequence[int], watch: Watch) -> tuple[int, ...]:
    """Candidates whose places must be confirmed, best first; those that come up as suspects before them fall
    included."""
    leapers: list[int] = []
    suspects = 0
    for above, at in enumerate(order):
        place = above - suspects
        if place >= min(watch.top, watch.window):
            break
        suspect = at - place >= SUSPICIOUS_LEAP and watch.suspect(at)
        suspects += suspect
        if suspect or (watch.every_leap and at - place >= LEAP):
            leapers.append(at)
    return tuple(leapers)


def _shuffled(head: Sequence[int], leapers: Sequence[int]) -> tuple[int, ...]:
    """The head in another order, always the same one; no leaper keeps its place."""
    shown = list(head)
    rng = random.Random(repr(tuple(head)))
    while any(shown[place] == at for place, at in enumerate(head) if at in leapers):
        rng.shuffle(shown)
    return tuple(shown)


def _fall_back(order: Sequence[int], fallen: Sequence[int]) -> Sequence[int]:
    """With these candidates back in their places in the prior order."""
    return _lowered(order, {at: at for at in fallen})


def _lowered(order: Sequence[int], places: Mapping[int, int]) -> Sequence[int]:
    """With these candidates at the worse one of their place and a second one; the others close up."""
    worse = {at: max(place, places[at]) for place, at in enumerate(order) if at in places}
    lowered = [at for at in order if at not in worse]
    for at in sorted(worse, key=lambda at: worse[at]):
        lowered.insert(worse[at], at)
    return lowered
