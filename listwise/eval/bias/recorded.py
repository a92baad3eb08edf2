"""Observations from files: traces that ``listwise rerank --trace`` or ``listwise bias --out`` wrote, and recorded
answers of other tools. Nothing is asked, and nothing is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from listwise.errors import InputError
from listwise.eval.bias.observations import Observation, Order
from listwise.formats.lines import json_lines
from listwise.models.simulated.model import SERVED_BY
from listwise.permutation import complete, parse
from listwise.strategies.guard import SECOND_LOOK


class _Place(NamedTuple):
    """Where a record stands."""

    path: str | Path
    line: int

    def wrong(self, message: str) -> InputError:
        """What to raise."""
        return InputError(message, path=self.path, line=self.line)


def read_trace(path: str | Path) -> Iterator[tuple[Observation, bool]]:
    """The windows of a trace, and whether each was answered by a simulation.

    Windows of one passage and those without an answer are left out; so are second looks of the guard, whose orders
    were made from the answers before them.

    Raises:
        InputError: a line is not a window of a trace.
    """
    for number, record in json_lines(path):
        place = _Place(path, number)
        docids = _docids(record, place)
        sample = record.get("sample", 0)
        model, permutation = record.get("model"), record.get("permutation")
        repairs = record.get("repairs") or {}
        step = record.get("step", 0)
        numbers = isinstance(sample, int) and isinstance(step, int)
        if not isinstance(model, str) or not numbers or not isinstance(repairs, dict):
            raise place.wrong("not a window of a trace: no model, step, sample or repairs")
        if permutation is not None and (
            not isinstance(permutation, list) or sorted(permutation, key=str) != sorted(range(len(docids)), key=str)
        ):
            raise place.wrong(f"the permutation is not one of {len(docids)} positions from 0")
        if len(docids) < 2 or sample >= SECOND_LOOK or record.get("answer") is None:
            continue
        order: Any = record.get("order", "shuffled" if sample else "asked")
        if order not in get_args(Order):
            raise place.wrong(f"no order {order!r}: there are {', '.join(get_args(Order))}")
        answered = None if permutation is None else tuple(permutation)
        found = Observation(model, _qid(record, place), docids, answered, repairs, order, sample, step)
        yield found, record.get("served_by") == SERVED_BY or model.startswith("sim/")


def read_answers(path: str | Path) -> Iterator[Observation]:
    """Recorded answers, a JSON object a line: ``model``, ``qid``, ``docids`` in the order shown, and ``response``,
    the raw answer, which this library's own parser reads; and ``call``, from 0, which tells windows that earlier
    answers had a say in.

    Raises:
        InputError: a line lacks one of them.
    """
    for number, record in json_lines(path):
        place = _Place(path, number)
        docids = _docids(record, place)
        model, response, call = record.get("model"), record.get("response"), record.get("call", 0)
        if not isinstance(model, str) or not isinstance(response, str) or not isinstance(call, int):
            raise place.wrong("no recorded answer: it needs model, qid, docids and response")
        if len(docids) < 2:
            continue
        parsed = parse(response, len(docids))
        permutation = None if parsed.failure is not None else complete(parsed)
        yield Observation(model, _qid(record, place), docids, permutation, dict(parsed.repairs), step=call)


def _docids(record: Mapping[str, Any], place: _Place) -> tuple[str, ...]:
    """In the order shown; null stands for a passage that nobody knows, and is like no other."""
    docids = record.get("docids")
    if not isinstance(docids, list) or not all(each is None or isinstance(each, str) for each in docids):
        raise place.wrong("no docids: which passages were shown, in their order, must be known")
    named = tuple(f"line {place.line} [{at}]" if each is None else each for at, each in enumerate(docids, 1))
    if len(set(named)) < len(named):
        raise place.wrong("a passage is shown twice in this window")
    return named


def _qid(record: Mapping[str, Any], place: _Place) -> str:
    qid = record.get("qid")
    if not isinstance(qid, str):
        raise place.wrong("no qid")
    return qid
