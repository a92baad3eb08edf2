"""A small collection on disk, and the command line as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli import forked
from tests.loopback import Asked

QUERIES = 4
CANDIDATES = 30


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs ``listwise`` in a folder, as a user does."""

    folder: Path

    def environment(self) -> dict[str, str]:
        own = {"LISTWISE_CACHE": str(self.folder / "cache"), "LISTWISE_LEDGER": str(self.folder / "ledger.db")}
        return {**os.environ, **own, "COLUMNS": "140"}

    def start(self, *arguments: str | Path, stdin: int | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "listwise", *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Until it ends, which is soon."""
        given = list(map(str, arguments))
        status, out, err = forked.run(given, self.folder, self.environment(), stdin, timeout_s=240)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(given, status, out, err)

    def rerank(self, base_url: str, *more: str | Path) -> tuple[str | Path, ...]:
        """Arguments that send every query to a model of OpenAI's at an address."""
        return (
            *("rerank", "--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec"),
            *("--out", "out.trec", "--local", "none", "--llm", "openai/gpt-4o", "--base-url", base_url),
            *("--escalate", "always", *more),
        )

    def lines(self, name: str) -> list[str]:
        return (self.folder / name).read_text(encoding="utf-8").splitlines()

    def records(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines(name)]


def make_collection(folder: Path) -> None:
    """Queries, a corpus, a run and judgements; each query's last candidate is the relevant one."""
    qids = [f"q{at}" for at in range(QUERIES)]
    (folder / "queries.tsv").write_text("".join(f"{qid}\twhat is {qid}\n" for qid in qids))
    docids = [f"{qid}d{at}" for qid in qids for at in range(CANDIDATES)]
    records = [json.dumps({"id": docid, "text": f"text {docid}"}) for docid in docids]
    (folder / "corpus.jsonl").write_text("\n".join(records) + "\n")
    run = [f"{qid} Q0 {qid}d{at} {at + 1} {99 - at} first\n" for qid in qids for at in range(CANDIDATES)]
    (folder / "run.trec").write_text("".join(run))
    (folder / "qrels.txt").write_text("".join(f"{qid} 0 {qid}d{CANDIDATES - 1} 1\n" for qid in qids))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with a small collection."""
    make_collection(tmp_path)
    return Shell(tmp_path)


def last_first(asked: Asked) -> str:
    """A model that prefers the passage with the highest number."""
    numbers = {int(at): int(doc) for at, doc in re.findall(r"^\[(\d+)\] text q\d+d(\d+)$", asked.prompt, re.M)}
    order: Sequence[int] = sorted(numbers, key=lambda at: -numbers[at])
    return " > ".join(f"[{at}]" for at in order)
