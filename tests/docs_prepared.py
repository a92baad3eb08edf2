"""What is in the folder of a page's reader before the page begins."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from tests import docs_blocks
from tests.cli.conftest import Shell, make_collection
from tests.conftest import CHECKOUT
from tests.eval.results_folder import make

DOCS = CHECKOUT / "docs"


def _bias(folder: Path) -> None:
    """Grades from 0 to 2, and another tool's record of answers."""
    make_collection(folder)
    run = [line.split() for line in (folder / "run.trec").read_text().splitlines()]
    qrels = [f"{qid} 0 {docid} {int(rank) % 3}\n" for qid, _, docid, rank, *_ in run]
    (folder / "qrels.txt").write_text("".join(qrels))
    answer = {"model": "m", "docids": ["a", "b"], "response": "[2] > [1]", "call": 0}
    answers = [json.dumps({**answer, "qid": f"q{at}"}) + "\n" for at in range(8)]
    (folder / "answers.jsonl").write_text("".join(answers))


def _quickstart(folder: Path, renamed: str = "sky") -> None:
    """The files that a quickstart makes, in other forms, too; its query ``sky`` under another name."""
    page = (DOCS / "quickstart-production.md").read_text(encoding="utf-8")
    for block in docs_blocks.blocks_of(page):
        for command in docs_blocks.commands_of(block.text) if block.kind == "sh" else []:
            if command.given is not None and "/" not in command.words[2]:
                text = re.sub(r'^sky(?= )|(?<=\{"qid": ")sky', renamed, command.given, flags=re.MULTILINE)
                (folder / command.words[2]).write_text(text, encoding="utf-8")
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    (folder / "queries.tsv").write_text("".join(f"{each['qid']}\t{each['text']}\n" for each in queries))
    passages = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    texts = {each["id"]: each["text"] for each in passages}
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress((folder / "corpus.jsonl").read_bytes()))
    (folder / "passages.txt").write_text("\n".join(texts.values()) + "\n")
    run = [line.split() for line in (folder / "bm25.trec").read_text().splitlines()]
    for query in queries:
        found = [
            {"docid": docid, "doc": {"text": texts[docid]}} for qid, _, docid, *_ in run if qid == query["qid"]
        ]
        with (folder / "requests.jsonl").open("a") as file:
            file.write(json.dumps({"query": query, "candidates": found}) + "\n")


def _readme(folder: Path) -> None:
    """Windows are full, and there is something to choose from, as each query has forty more candidates."""
    _checkout(folder, "47923")
    more = {f"m{at}": f"What is said in passage {at} has little to do with it." for at in range(40)}
    texts = (folder / "corpus.jsonl").read_text()
    texts += "".join(json.dumps({"id": docid, "text": text}) + "\n" for docid, text in more.items())
    (folder / "corpus.jsonl").write_text(texts)
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(texts.encode()))
    with (folder / "bm25.trec").open("a") as run:
        for qid in ("47923", "bread", "rust"):
            run.writelines(f"{qid} Q0 {docid} {at} {1 / at} bm25\n" for at, docid in enumerate(more, start=4))


def _routing(folder: Path) -> None:
    """Cases to fit to, as a benchmark writes them."""
    _checkout(folder, "47923")
    fit = (
        "route",
        "fit",
        "--requests",
        "requests.jsonl",
        "--qrels",
        "qrels.txt",
        "--llm",
        "sim/weak,qrels=qrels.txt",
    )
    done = Shell(folder).run(*fit, "--out", "weak.json", "--keep-cases", "cases.jsonl")
    assert done.returncode == 0, done.stderr


def _checkout(folder: Path, renamed: str = "sky") -> None:
    """Beside them, what a command from the root of a checkout finds, and local models under made-up names."""
    _quickstart(folder, renamed)
    (folder / "eval").symlink_to(CHECKOUT / "eval")
    (folder / "models").mkdir()
    for name in ("colbert", "cross-encoder"):
        (folder / "models" / name).symlink_to(CHECKOUT / "listwise" / "embedded_cross")
    dl19 = folder / "DIR" / "dl19"
    (dl19 / "llm_runs").mkdir(parents=True)
    for name in ("queries.jsonl", "corpus.jsonl", "qrels.txt", "bm25.trec"):
        shutil.copy(folder / name, dl19)
    recorded = tomllib.loads((CHECKOUT / "eval" / "experiments" / "dl19.toml").read_text(encoding="utf-8"))
    shutil.copy(folder / "bm25.trec", dl19 / f"{recorded['first_stages']['SPLADE++']}.trec")
    for system in recorded["systems"].values():
        for at in range(5 if "*" in system.get("recorded", "") else "recorded" in system):
            name = system["recorded"].replace("*", str(at))
            (dl19 / name).write_bytes(gzip.compress((folder / "bm25.trec").read_bytes()))


def _experiments(folder: Path) -> None:
    _checkout(folder)
    for name in ("small", "mine"):
        shutil.copytree(folder / "DIR" / "dl19", folder / name)


def _novel_eval(folder: Path) -> None:
    (folder / "NovelEval").mkdir()
    (folder / "NovelEval" / "qrels.txt").write_text("1 0 a 2\n1 0 b 0\n2 0 c 1\n")


def _distill(folder: Path) -> None:
    """What was ranked before, and a model as if it had been trained, where nothing is."""
    _quickstart(folder)
    for name, other in {"new.tsv": "queries.tsv", "new.trec": "bm25.trec", "splade.trec": "bm25.trec"}.items():
        shutil.copy(folder / other, folder / name)
    if find_spec("torch") is None:
        (folder / "ours").symlink_to(CHECKOUT / "listwise" / "embedded_cross")


_BEGUN = (
    "cache", "comparing-runs", "deploying", "faults", "migrating", "own-router", "policies", "prices", "prompts",
    "providers", "rerank-apis", "resuming", "spending", "strategies", "teams", "troubleshooting", "vllm",
)  # fmt: skip
PREPARED: dict[str, Callable[[Path], object]] = {
    "README": _readme,
    "bias": _bias,
    "cascades": _checkout,
    "distill": _distill,
    "evaluation": _novel_eval,
    "experiments": _experiments,
    "report": lambda folder: make(folder / "results" / "made-up", 3),
    "routing": _routing,
    **dict.fromkeys(_BEGUN, _quickstart),
}
"""What is in the folder before a page is played, where it is more than the page itself makes."""


def prepare(page: Path, folder: Path) -> None:
    """Make what a page takes for granted."""
    if page.stem in PREPARED:
        PREPARED[page.stem](folder)
