"""Every page of the documentation is played, and so is the README."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
from tests.conftest import CHECKOUT
from tests.docs_prepared import DOCS, prepare

ELSEWHERE = {
    "adapters": ("tests/adapters/test_docs.py", {"", "python", "text", "json"}),
    "observability": ("tests/telemetry/test_docs.py", {"console", "python"}),
    "serve": ("tests/serve/test_docs.py", {"console", "json", "jsonl", "python"}),
}
"""Pages that need other libraries or a service that runs: who plays them, and the kinds of blocks that it plays."""
PAGES = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])


@pytest.mark.slow
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
