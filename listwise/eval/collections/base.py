"""What every collection can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection as Docids
from collections.abc import Iterator, Mapping, Sequence

from listwise.errors import InputError
from listwise.formats import Passage, Qrels, Run
from listwise.types import Candidate, Query, Request


class Collection(ABC):
    """Queries, passages, judgements and first-stage runs. Whatever is asked for is read then, and not kept."""

    name: str
    """How tables and errors call it."""

    @abstractmethod
    def queries(self) -> Mapping[str, str]:
        """Texts by qid, those without judgements included."""

    @abstractmethod
    def qrels(self) -> Qrels:
        """Judgements; empty where there are none."""

    @abstractmethod
    def runs(self) -> Sequence[str]:
        """The names of the runs that come with it, in a fixed order."""

    @abstractmethod
    def run(self, name: str) -> Run:
        """One of its runs.

        Raises:
            InputError: it has none of that name.
        """

    @abstractmethod
    def passages(self, docids: Docids[str]) -> Mapping[str, Passage]:
        """The passages of some docids, without those that it lacks; memory is that of the passages asked for."""

    @abstractmethod
    def stream(self) -> Iterator[tuple[str, Passage]]:
        """Docids with all passages, in the order of the corpus."""

    def passage_count(self) -> int | None:
        """How many passages it is known to have without reading them; None where that is not known."""
        return None

    def requests(self, run: str | Run, *, depth: int | None = None, judged: bool = False) -> list[Request]:
        """The candidates of a run with their texts, in the order of `queries`.

        Args:
            run: the name of one of its own, or another one.
            depth: only the first so many candidates of each query.
            judged: only queries with judgements.

        Raises:
            InputError: there is no such run, or the corpus lacks a document of it.
        """
        texts, ranked = self.queries(), self.run(run) if isinstance(run, str) else run
        kept = self.qrels() if judged else texts
        candidates = {qid: ranked.get(qid, ())[:depth] for qid in texts if qid in kept}
        found = self.passages({entry.docid for entries in candidates.values() for entry in entries})
        for qid, entries in candidates.items():
            if lost := [entry.docid for entry in entries if entry.docid not in found]:
                raise InputError(f"document {lost[0]!r} of the run is not in the corpus", path=self.name, qid=qid)
        return [
            Request(
                Query(qid, texts[qid]),
                tuple(
                    Candidate(docid, found[docid].text, score, found[docid].title) for docid, score, _ in entries
                ),
            )
            for qid, entries in candidates.items()
        ]

    def _no_run(self, name: str) -> InputError:
        known = ", ".join(self.runs()) or "none"
        return InputError(f"no run {name!r}: there is {known}", path=self.name)
