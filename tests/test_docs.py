"""Every page of the documentation is played, and so is the README."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
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
from tests import docs_blocks, docs_checks, docs_play, docs_player
from tests.cli.conftest import Shell, make_collection
from tests.conftest import CHECKOUT
from tests.eval.results_folder import make

DOCS = CHECKOUT / "docs"
ELSEWHERE = {
    "adapters": ("tests/adapters/test_docs.py", {"", "python", "text", "json"}),
    "observability": ("tests/telemetry/test_docs.py", {"console", "python"}),
    "serve": ("tests/serve/test_docs.py", {"console", "json", "jsonl", "python"}),
}
"""Pages that need other libraries or a service that runs: who plays them, and the kinds of blocks that it plays."""
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


@pytest.mark.parametrize("path", [page for page in PAGES if page.stem not in ELSEWHERE], ids=lambda path: path.stem)
def test_a_page_does_what_it_shows(path: Path, tmp_path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    if "listwise eval" in page or "experiment" in page:
        pytest.importorskip("ir_measures", reason="needs the extra listwise[eval]")
    if "$ listwise serve" in page:
        pytest.importorskip("fastapi", reason="needs the extra listwise[serve]")
    if "import cohere" in page:
        pytest.importorskip("cohere", reason="needs Cohere's SDK: pip install cohere")
    prepare(path, tmp_path)
    with docs_player.player(tmp_path, page) as player:
        docs_play.play(page, player)


@pytest.mark.parametrize("path", [page for page in PAGES if page.is_relative_to(DOCS)], ids=lambda path: path.stem)
def test_every_block_is_one_that_is_played(path: Path) -> None:
    """What a new block needs: a kind that is played, and a fence that is seen."""
    page = path.read_text(encoding="utf-8")
    blocks = docs_blocks.blocks_of(page)
    assert page.count("```") == 2 * sum(block.kind != "" for block in blocks), "a fence has no kind, or is indented"
    if path.stem in ELSEWHERE:
        test, kinds = ELSEWHERE[path.stem]
        assert path.name in (CHECKOUT / test).read_text(encoding="utf-8")
        assert {block.kind for block in blocks} <= kinds
    else:
        assert [block.line for block in blocks if not block.kind] == [], "fence it, and say what it is"


def test_blocks_are_found_with_their_kinds_and_lines() -> None:
    page = "One\n\n    $ listwise doctor\n\n    more\n\n```python\nx = 1\n```\n\n| a |\n    no block\n"
    assert docs_blocks.blocks_of(page) == [
        docs_blocks.Block("", "$ listwise doctor\n\nmore\n", 3),
        docs_blocks.Block("python", "x = 1\n", 7),
    ]


def test_commands_have_their_output_and_here_documents() -> None:
    block = (
        "$ cat > f.tsv <<'END'\nq1\tone\nEND\n$ listwise a \\\n    --b 'c d'  # why\nout\n\nmore\n$ listwise x\n"
    )
    assert docs_blocks.commands_of(block) == [
        docs_blocks.Command(("cat", ">", "f.tsv"), "", "q1\tone\n"),
        docs_blocks.Command(("listwise", "a", "--b", "c d"), "out\n\nmore\n"),
        docs_blocks.Command(("listwise", "x"), ""),
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
    assert docs_blocks.same(shown, printed) is expected


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
        docs_checks.check_command(line, 3)


@pytest.mark.parametrize(
    "line",
    [
        "pip install 'listwise[no-such-extra]'",
        "make no-such-target",
        "python -m eval.benchmarks.no_such",
        "python -m eval.benchmarks.bounds --no-such-option",
        "python -m pytest tests/no_such",
    ],
)
def test_a_command_of_another_program_is_checked(line: str) -> None:
    with pytest.raises(AssertionError):
        docs_checks.check_program(line.replace("'", "").split(), 3)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ini", "[Service]\nExecStart=/opt/listwise/bin/listwise serve --no-such-option\n"),
        ("dockerfile", 'RUN pip install listwise[no-such]\nENTRYPOINT ["listwise", "serve"]\n'),
        ("dockerfile", 'RUN pip install listwise[serve]\nENTRYPOINT ["listwise", "sreve"]\n'),
        ("nginx", "server { location / {\n  proxy_pass http://127.0.0.1:8000;\n }\n"),
        ("ruby", "puts 1\n"),
    ],
)
def test_a_file_for_another_program_is_checked(kind: str, text: str) -> None:
    with pytest.raises(AssertionError):
        docs_checks.check_file(kind, text, 3)


@pytest.mark.parametrize(
    "page",
    [
        "```console\n$ listwise prompts list\nnothing of the kind\n```\n",
        "```console\n$ listwise nonsense\n```\n",
        "```console\n$ rm -r folder\n```\n",
        "```python\nprint(1 + 1)  # 3\n```\n",
        "```bash\necho\n```\n",
        "```toml\nwindow = 3\n```\n",
        '```toml title="unused.toml"\nwindow = 3\n```\n',
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```console\nno command\n```\n",
        "A page\n\n    with words that are no command\n",
    ],
)
def test_a_page_that_says_what_is_not_so_fails(page: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError), docs_player.player(tmp_path, page) as player:
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


def test_notes_that_are_explained_are_printed_by_something() -> None:
    """What stands in code in the first column of the table of notes, `...` and N aside, is in the source."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    notes = re.findall(r"^\| (?:many )?`([^`]+)`", page[page.index("## A run that ends") :], re.MULTILINE)
    sources = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "listwise").rglob("*.py")]
    source = " ".join(re.sub(r'"\s+f?"', "", " ".join(sources)).split())
    assert len(notes) >= 8
    for note in notes:
        for part in re.split(r" ?\.\.\. ?|\bN\b ?|\b\d+\b", note):
            assert part.strip() in source, note


def test_the_reference_has_every_variable_of_the_environment() -> None:
    page = (DOCS / "reference" / "formats.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[A-Z][A-Z_]{4,}", page[page.index("## Environment") :]))
    read = {variable for variable in _variables(CHECKOUT / "listwise") if not variable.startswith("OTEL_")}
    assert read - named == set()
    of_ours = {variable for variable in named if variable.startswith("LISTWISE_")}
    assert of_ours <= read, "a variable that nothing reads"


def _variables(package: Path) -> set[str]:
    """Names that look like variables, and whatever the environment is asked for."""
    names = re.compile(
        r'"((?:LISTWISE|XDG|IR_DATASETS|OMP|PROMETHEUS|TIKTOKEN|DATA_GYM)_[A-Z_]+|COLUMNS'
        r'|[A-Z]+_(?:API_KEY|AUTH_TOKEN|BASE_URL))"'
    )
    found: set[str] = set()
    others: set[str] = set()
    for path in package.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        found |= set(names.findall(source))
        others |= set(re.findall(r'environ(?:\.get\(|\.setdefault\(|\[)"(\w+)"', source))
    return found | others


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
    with docs_player.player(tmp_path, "") as player, pytest.raises(json.JSONDecodeError):
        docs_play.play("```jsonl title=\"f.jsonl\"\n{'a': 1}\n```\n", player)
