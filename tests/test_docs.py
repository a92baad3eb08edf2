"""Every page of the documentation is played, and so is the README."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import yaml

import listwise
from docs._site import reference
from docs._site.network import loaded_from_elsewhere
from listwise.cli.options import POLICY_OPTIONS
from listwise.policy import Policy
from listwise.settings import StageSettings
from tests import docs_play
from tests.cli.conftest import make_collection
from tests.conftest import CHECKOUT
from tests.eval.results_folder import make

DOCS = CHECKOUT / "docs"
ELSEWHERE = {"adapters", "observability", "serve"}
"""Pages that need other libraries or a service that runs: tests/adapters, serve and telemetry play them."""
PAGES = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])


def _bias(folder: Path) -> None:
    """Grades from 0 to 2, and another tool's record of answers."""
    make_collection(folder)
    run = [line.split() for line in (folder / "run.trec").read_text().splitlines()]
    qrels = [f"{qid} 0 {docid} {int(rank) % 3}\n" for qid, _, docid, rank, *_ in run]
    (folder / "qrels.txt").write_text("".join(qrels))
    answer = {"model": "m", "docids": ["a", "b"], "response": "[2] > [1]", "call": 0}
    answers = [json.dumps({**answer, "qid": f"q{at}"}) + "\n" for at in range(8)]
    (folder / "answers.jsonl").write_text("".join(answers))


def _quickstart(folder: Path) -> None:
    """The files that a quickstart makes, in other forms, too."""
    page = (DOCS / "quickstart-production.md").read_text(encoding="utf-8")
    for block in docs_play.blocks_of(page):
        for command in docs_play.commands_of(block.text) if block.kind == "sh" else []:
            if command.given is not None and "/" not in command.words[2]:
                (folder / command.words[2]).write_text(command.given, encoding="utf-8")
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    (folder / "queries.tsv").write_text("".join(f"{each['qid']}\t{each['text']}\n" for each in queries))
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress((folder / "corpus.jsonl").read_bytes()))


_BEGUN = (
    "comparing-runs", "own-router", "prompts", "resuming", "spending", "teams", "troubleshooting", "vllm",
)  # fmt: skip
PREPARED: dict[str, Callable[[Path], object]] = {
    "bias": _bias,
    "report": lambda folder: make(folder / "results" / "made-up", 3),
    **dict.fromkeys(_BEGUN, _quickstart),
}
"""What is in the folder before a page is played, where it is more than the page itself makes."""


def prepare(page: Path, folder: Path) -> None:
    """Make what a page takes for granted."""
    if page.stem in PREPARED:
        PREPARED[page.stem](folder)


@pytest.mark.parametrize("path", [page for page in PAGES if page.stem not in ELSEWHERE], ids=lambda path: path.stem)
def test_a_page_does_what_it_shows(path: Path, tmp_path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    if "listwise eval" in page or "experiment" in page:
        pytest.importorskip("ir_measures", reason="needs the extra listwise[eval]")
    prepare(path, tmp_path)
    with docs_play.player(tmp_path, page) as player:
        docs_play.play(page, player)


def test_blocks_are_found_with_their_kinds_and_lines() -> None:
    page = "One\n\n    $ listwise doctor\n\n    more\n\n```python\nx = 1\n```\n\n| a |\n    no block\n"
    assert docs_play.blocks_of(page) == [
        docs_play.Block("", "$ listwise doctor\n\nmore\n", 3),
        docs_play.Block("python", "x = 1\n", 7),
    ]


def test_commands_have_their_output_and_here_documents() -> None:
    block = (
        "$ cat > f.tsv <<'END'\nq1\tone\nEND\n$ listwise a \\\n    --b 'c d'  # why\nout\n\nmore\n$ listwise x\n"
    )
    assert docs_play.commands_of(block) == [
        docs_play.Command(("cat", ">", "f.tsv"), "", "q1\tone\n"),
        docs_play.Command(("listwise", "a", "--b", "c d"), "out\n\nmore\n"),
        docs_play.Command(("listwise", "x"), ""),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("a\nb\n", "a  \nb\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("took 0.3 s\n", "took 12 s\n", True),
        ("a\n", "a\nb\n", False),
        ("1.0\n", "1.1\n", False),
    ],
)
def test_what_is_shown_is_compared_line_by_line(shown: str, printed: str, expected: bool) -> None:
    assert docs_play.same(shown, printed) is expected


@pytest.mark.parametrize(
    "line",
    [
        "listwise rank --out f",
        "listwise rerank ... --shufle balanced",
        "listwise rerank ... --strategy slidin",
        "listwise route fitt",
        "listwise eval run.trec",  # lacks --qrels
        "listwise cache clear everything",
    ],
)
def test_a_command_that_cannot_run_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match="line 3"):
        docs_play.check_command(line, 3)


@pytest.mark.parametrize(
    "text",
    [
        "from listwise import Rerankr\n",
        "from listwise.policy import Police\n",
        "$ listwise rerank ... \\\n    --no-such-option\n",
    ],
)
def test_what_is_not_run_is_checked(text: str) -> None:
    with pytest.raises(AssertionError):
        docs_play.check(docs_play.Block("", text, 1))


@pytest.mark.parametrize(
    "page",
    [
        "```console\n$ listwise prompts list\nnothing of the kind\n```\n",
        "```console\n$ listwise nonsense\n```\n",
        "```console\n$ rm -r folder\n```\n",
        "```python\nprint(1 + 1)  # 3\n```\n",
        "```bash\necho\n```\n",
    ],
)
def test_a_page_that_says_what_is_not_so_fails(page: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError), docs_play.player(tmp_path, page) as player:
        docs_play.play(page, player)


def test_every_page_has_its_place_on_the_site() -> None:
    site = yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = set(_names(site["nav"]))
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert named - {"reference/command-line.md", "reference/settings.md"} == written  # which are made of the code


def _names(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list | dict):
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from _names(each)


def test_the_reference_has_every_command_with_its_options() -> None:
    text = reference.command_line()
    for command in ("listwise rerank", "listwise route fit", "listwise experiment report", "listwise spend cap"):
        assert re.search(rf"^##+ {command}$", text, re.MULTILINE)
    for options in (POLICY_OPTIONS["shuffle"], POLICY_OPTIONS["budget_total_usd"]):
        (option,) = click.command()(options(lambda **_: None)).params
        assert option.opts[0] in text


def test_the_reference_explains_every_setting() -> None:
    text = reference.settings()
    for name in {**Policy.model_fields, **StageSettings.model_fields}:
        assert re.search(rf"^### `{name}`\n\n[A-Z`]", text, re.MULTILINE), name
    assert "\n\n`first` | `max` | `head_tail` · default `first` · `--long-passages`\n" in text


def test_the_reference_has_every_public_name() -> None:
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: listwise\.(\w+)$", page, re.MULTILINE)) == sorted(listwise.__all__)


@pytest.mark.parametrize(
    "text",
    [
        '<script async src="https://cdn.example/a.js"></script>',
        "<img alt=a src=//img.example/a.png>",
        '<link rel="stylesheet" href="http://fonts.example/css">',
        "a { background: url('https://img.example/a.png') }",
        '@import "//fonts.example/css";',
    ],
)
def test_what_the_site_would_load_from_elsewhere_is_found(text: str) -> None:
    assert loaded_from_elsewhere(f"<p>{text}</p>")


@pytest.mark.parametrize(
    "text", ['<a href="https://example.org">', '<script src="assets/a.js">', "a { background: url(a.png) }"]
)
def test_links_and_its_own_files_are_fine(text: str) -> None:
    assert loaded_from_elsewhere(text) is None


def test_json_lines_are_parsed(tmp_path: Path) -> None:
    with docs_play.player(tmp_path, "") as player, pytest.raises(json.JSONDecodeError):
        docs_play.play("```jsonl\n{'a': 1}\n```\n", player)
