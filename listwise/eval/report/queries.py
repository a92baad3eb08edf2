"""What the page knows of each query: texts, rankings, and the windows that an LLM read. Texts stand in it once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from listwise.eval.report.entries import Entry, entries
from listwise.eval.report.folder import Folder
from listwise.eval.report.markup import visible
from listwise.eval.traces import Traces, read_receipts, read_traces, replayed
from listwise.formats import Run, fetch_passages, read_run
from listwise.prompting.neutralise import reread
from listwise.types import Receipt, WindowTrace

TOP = 20
"""Places of a ranking that are shown."""
LONGEST_ANSWER = 1500
"""Characters of an answer that are kept."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an entry left for its queries: of several seeds the first."""

    entry: Entry
    run: Run
    traces: Traces
    receipts: Mapping[str, Receipt]


def index(folder: Folder) -> dict[str, Any]:
    """What is needed to find a query: systems by collection, and the values of every query in their order.

    A value is a whole number, of ten-thousandths; None where there is none.
    """
    collections = {}
    for collection in folder.collections:
        shown = entries(folder, collection)
        queries = folder.queries[collection]
        judged = [
            qid for qid in queries if any(qid in score.by_query for each in shown for score in each.scores.values())
        ]
        collections[collection] = {
            "systems": [
                {
                    "name": entry.label,
                    "kind": entry.first.kind,
                    "model": visible(entry.first.model or ""),
                    "simulated": entry.simulated,
                    "seeds": len(entry.members),
                    "baseline": entry.baseline,
                    "values": {
                        measure: [_whole(score.by_query.get(qid)) for qid in judged]
                        for measure, score in entry.scores.items()
                    },
                }
                for entry in shown
            ],
            "qids": [visible(qid) for qid in judged],
            "texts": [visible(reread(queries[qid])) for qid in judged],
        }
    return {"measures": folder.measures, "collections": collections}


def records(folder: Folder, collection: str) -> Iterator[dict[str, Any]]:
    """One for each query of the index, in its order. Passages go by their number within the query.

    Raises:
        InputError: a run, a trace or a text cannot be read.
    """
    shown = [_shown(folder, entry) for entry in entries(folder, collection)]
    by_name = {each.entry.first.system: each for each in shown}
    grades = folder.judged(collection)
    path = folder.path / "texts" / f"{collection}.jsonl"
    wanted = {
        docid
        for each in shown
        for entries_ in each.run.values()
        for docid in (entry.docid for entry in entries_[:TOP])
    }
    wanted |= {
        docid for each in shown for windows in each.traces.values() for window in windows for docid in window.docids
    }
    texts = {docid: each.text for docid, each in fetch_passages(path, wanted).items()} if path.exists() else {}
    for qid in folder.queries[collection]:
        if any(qid in score.by_query for each in shown for score in each.entry.scores.values()):
            query = _Query(qid, grades.get(qid, {}), texts)
            systems = [query.system(each, by_name.get(each.entry.first.first_stage or "")) for each in shown]
            yield {**query.passages(), "systems": systems}


def cut(record: Mapping[str, Any], length: int) -> dict[str, Any]:
    """A record whose passages are cut at so many characters."""
    return {**record, "texts": [text if len(text) <= length else f"{text[:length]}…" for text in record["texts"]]}


@dataclass
class _Query:
    """Numbers the passages of a query as they occur."""

    qid: str
    grades: Mapping[str, int]
    texts: Mapping[str, str]
    numbers: dict[str, int] = field(default_factory=dict)

    def passages(self) -> dict[str, Any]:
        """Docids, texts (UTF-8 that was misread is read again, as for prompts) and grades (None: not judged)."""
        return {
            "docids": [visible(docid) for docid in self.numbers],
            "texts": [" ".join(visible(reread(self.texts.get(docid, ""))).split()) for docid in self.numbers],
            "grades": [self.grades.get(docid) for docid in self.numbers],
            "relevant": sum(grade > 0 for grade in self.grades.values()),
        }

    def system(self, shown: Shown, first_stage: Shown | None) -> dict[str, Any]:
        """The first places of a ranking, the places they had before, and what an LLM read for it."""
        ranking = [entry.docid for entry in shown.run.get(self.qid, ())]
        windows = shown.traces.get(self.qid, ())
        receipt = shown.receipts.get(self.qid)
        before = self._before(windows, receipt, first_stage, ranking)
        places = {docid: place for place, docid in enumerate(before or (), 1)}
        record: dict[str, Any] = {"top": self._numbers(ranking[:TOP])}
        if places:
            record["was"] = [places.get(docid) for docid in ranking[:TOP]]
        if windows:
            record["windows"] = [self._window(window, shown.entry.first.model) for window in windows]
        if receipt is not None:
            record["receipt"] = _receipt(receipt)
        return record

    def _before(
        self,
        windows: Sequence[WindowTrace],
        receipt: Receipt | None,
        first_stage: Shown | None,
        ranking: Sequence[str],
    ) -> Sequence[str] | None:
        """The order that was re-ranked, where it is known: what the windows tell, as a local model may have had a
        part before them, or the first stage's."""
        told = replayed(windows, receipt.strategy if receipt else None) if windows else None
        if told is not None and len(told[0]) == len(ranking):
            return told[0]
        return None if first_stage is None else [entry.docid for entry in first_stage.run.get(self.qid, ())]

    def _window(self, window: WindowTrace, model: str | None) -> dict[str, Any]:
        """What goes without saying is left out: an answer that is its permutation, written as asked, and the model,
        where it is the system's own."""
        record: dict[str, Any] = {
            "step": window.step,
            "shown": self._numbers(window.docids),
            "tokens": [window.usage.input_tokens, window.usage.output_tokens],
            "usd": float(window.usd),
        }
        if window.permutation is not None:
            record["order"] = list(window.permutation)
        if window.permutation is None or window.answer != " > ".join(f"[{at + 1}]" for at in window.permutation):
            answer = window.answer
            record["answer"] = None if answer is None else visible(answer[:LONGEST_ANSWER])
            if answer is not None and len(answer) > LONGEST_ANSWER:
                record["longer"] = len(answer)
        optional = {
            "repairs": {visible(kind): count for kind, count in window.repairs.items()},
            "error": None if window.error is None else visible(window.error),
            "cached": window.cached,
            "sample": window.sample,
            "model": "" if window.model == model else visible(window.model),
        }
        return record | {name: value for name, value in optional.items() if value}

    def _numbers(self, docids: Sequence[str]) -> list[int]:
        return [self.numbers.setdefault(docid, len(self.numbers)) for docid in docids]


def _shown(folder: Folder, entry: Entry) -> Shown:
    system = entry.first
    return Shown(
        entry,
        read_run(folder.file(system.run)) if system.run else {},
        _read_if_filled(folder, system.trace, read_traces, defaultdict(list)),
        _read_if_filled(folder, system.receipts, read_receipts, {}),
    )


def _read_if_filled(folder: Folder, name: str | None, read: Any, otherwise: Any) -> Any:
    """A system may have asked nothing: its file is empty, then, or not there."""
    if name is None:
        return otherwise
    path = folder.file(name)
    return read(path) if path.exists() and path.stat().st_size else otherwise


def _receipt(receipt: Receipt) -> dict[str, Any]:
    figures = {
        "route": receipt.route,
        "reason": visible(receipt.reason),
        "strategy": receipt.strategy,
        "calls": receipt.calls,
        "cached": receipt.cache_hits,
        "passages": receipt.passages_read,
        "tokens": [receipt.input_tokens, receipt.output_tokens],
        "usd": float(receipt.usd) if receipt.priced else None,
        "seconds": round(receipt.seconds, 3),
        "degraded": [visible(what) for what in receipt.degraded],
        "notes": [visible(what) for what in receipt.notes],
    }
    return {name: value for name, value in figures.items() if value not in ([], None)}


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value * 10_000)
