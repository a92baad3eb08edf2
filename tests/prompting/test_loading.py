"""Templates of users: read, checked, and refused in words that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from listwise.calls import Message
from listwise.errors import TemplateError
from listwise.prompting import check, describe, load_template, render, template_names

LEGAL = """\
answer: "[2] > [1]"
messages:
  - role: user
    content: |-
      Which statute settles {query}? Write like {answer}, or in JSON: {"order": [2, 1]}, for {{query}}.
      {passages}
passages: |
  [{id}] {content}
"""

TURNS = """\
answer: "[2] > [1]"
messages:
  - {role: user, content: "{query} of {num}"}
  - passages
  - {role: user, content: "like {answer}"}
passages:
  - {role: user, content: "[{id}] {content} for {query}"}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_template_of_ones_own_takes_ten_lines(tmp_path: Path) -> None:
    template = load_template(write(tmp_path, LEGAL))
    assert (template.name, template.form, template.rules.words) == ("own", "text", 300)
    assert render(template, "{passages}", ["{query}", "b"]) == (
        Message(
            "user",
            'Which statute settles {passages}? Write like [2] > [1], or in JSON: {"order": [2, 1]}, for {query}.\n'
            "[1] {query}\n[2] b\n",
        ),
    )


def test_passages_can_be_turns_of_their_own(tmp_path: Path) -> None:
    template = load_template(str(write(tmp_path, TURNS)))
    contents = [message.content for message in render(template, "q", ["a", "b"])]
    assert contents == ["q of 2", "[1] a for q", "[2] b for q", "like [2] > [1]"]


def test_every_shipped_template_is_in_order_and_described() -> None:
    assert {"rankgpt", "rankzephyr", "structured"} <= set(template_names())
    for name in template_names():
        assert check(name) == []
        described = describe(load_template(name))
        assert name in described
        assert "first 300 words" in described


def test_head_and_tail_are_described(tmp_path: Path) -> None:
    path = write(tmp_path, LEGAL + "content: {keep: head_tail, floor: 30}\n")
    described = describe(load_template(path))
    assert "first 200 and last 100 tokens" in described
    assert "to 30 tokens at the least" in described


def test_an_unknown_name_lists_those_there_are_and_the_closest() -> None:
    with pytest.raises(TemplateError, match=r"no template 'rankgtp'.* one of .*rankgpt.*did you mean 'rankgpt'\?"):
        load_template("rankgtp")
    with pytest.raises(TemplateError, match=r"no template 'no/such\.yaml'"):
        check("no/such.yaml")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("answer:", "anwser:", "anwser: unknown field; did you mean 'answer'?"),
        (
            "    content: |-",
            "    contnet: x\n    content: |-",
            "messages[0].contnet: unknown field; did you mean 'content'?",
        ),
        ("role: user", "role: human", "messages[0].role: must be 'system', 'user' or 'assistant'"),
        ("role: user", "role: assistant", "messages: the first after the system's must be the user's"),
        ("{query}?", "it?", "messages: the placeholder {query} is missing"),
        ("{answer}", "so", "messages: the placeholder {answer} is missing"),
        ("{answer}", "{anwser}", "messages[0].content: unknown placeholder {anwser}; did you mean {answer}?"),
        ('answer: "[2] > [1]"\n', "", "answer: is missing, but {answer} stands in a message"),
        ("[2] > [1]", "the best", "answer: must be an order of the passages 1 and 2"),
        ("{passages}", "", "messages: passages is a text, so the placeholder {passages} must stand once"),
        ("{passages}", "{passages}{passages}", "must stand once in a message"),
        ("[{id}] ", "", "passages: the placeholder {id} is missing"),
        ("{content}", "", "passages: the placeholder {content} is missing"),
        ("{content}", "{content}{content}", "passages: the placeholder {content} occurs 2 times"),
        ("{content}", "{text}", "passages: unknown placeholder {text}"),
        ("messages:", "messages:\n  - passages", "and no lone `- passages`"),
        ("passages: |\n  [{id}] {content}\n", "", "passages: is missing"),
        ("passages: |\n  [{id}] {content}\n", "passages: 3\n", "passages: must be a list, or a text"),
        ("answer: ", "form: json\nanswer: ", "form: must be 'text', 'order', 'first', 'choice' or 'relevance'"),
        ("answer: ", "content: {words: '300'}\nanswer: ", "content.words: must be a whole number, without quotes"),
        ("answer: ", "content: {words: 0}\nanswer: ", "content.words: Input should be greater than or equal to 1"),
        ("answer: ", "content: {words: 5}\nanswer: ", "content: floor is 10, more than the 5 that are kept"),
        ("answer: ", "content: {keys: [body]}\nanswer: ", "content.keys[0]: must be 'title' or 'text'"),
        ("answer: ", "content: {keys: []}\nanswer: ", "content: keys is empty"),
        ("answer: ", "content: {neutralise: none}\nanswer: ", "content.neutralise: must be 'brackets' or 'markup'"),
        ("answer: ", "content: [1]\nanswer: ", "content: must be a mapping with the fields keys, words"),
        ("answer: ", "answer: 'x'\nanswer: ", "line 2: not YAML: the field 'answer' stands there twice"),
        ('"[2] > [1]"', "[2, 1]", "answer: must be text; put it in quotes"),
        ("  - role: user", "  - role: 'user", "not YAML"),
        ("messages:", "messages:\n  - 3", "messages[0]: must be a mapping with the fields role, content"),
        ("messages:", "messages:\n  - query", "messages[0]: must be 'passages'"),
        ("Which", '{query}\n  - role: system\n    content: "\\ud800', "not YAML"),
    ],
)
def test_each_problem_names_file_and_field(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in LEGAL
    path = write(tmp_path, LEGAL.replace(old, new, 1))
    assert problem in "; ".join(check(path))
    with pytest.raises(TemplateError) as caught:
        load_template(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("  - passages\n", "", "a lone `- passages` must stand once among the messages"),
        ('  - {role: user, content: "like {answer}"}', "  - passages", "a lone `- passages` must stand once"),
        ("of {num}", "{passages}", "and no placeholder {passages}"),
        ("passages:\n  - {role: user", "passages:\n  - {role: system", "passages[0].role: a passage's turn"),
        ('like {answer}"}', 'like {answer}"}\n  - {role: assistant, content: ok}', "messages: the last must be"),
        (
            '  - {role: user, content: "like',
            '  - {role: system, content: "like',
            "messages[2].role: only the first",
        ),
        ("{id}", "{num}", "passages: the placeholder {id} is missing"),
        ('content: "{query} of', 'content: "\\ud800{query} of', "messages[0].content: holds half of a surrogate"),
    ],
)
def test_problems_of_templates_with_turns(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in TURNS
    assert problem in "; ".join(check(write(tmp_path, TURNS.replace(old, new, 1))))


LETTERS = """\
form: choice
messages:
  - role: user
    content: "Which answers {query}? {passages}"
passages: "{label}: {content}"
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{label}: ", "", "the placeholder {label} is missing: `form: choice` reads the letters"),
        ("{label}", "{id}", "the placeholder {label} is missing"),
        ("{label}", "{labl}", "unknown placeholder {labl}; did you mean {label}?"),
        ("form: choice", "form: order", "the placeholder {id} is missing"),
        ("form: choice", "form: first\nanswer: 2 > 1", "answer: must be an order of the passages A and B"),
    ],
)
def test_problems_of_templates_with_labels(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert check(write(tmp_path, LETTERS)) == []
    assert problem in "; ".join(check(write(tmp_path, LETTERS.replace(old, new, 1))))


def test_one_passage_needs_no_name_and_text_may_use_letters(tmp_path: Path) -> None:
    alone = LETTERS.replace("form: choice", "form: relevance").replace("{label}: ", "")
    assert check(write(tmp_path, alone)) == []
    text = LETTERS.replace("form: choice", 'form: text\nanswer: "B > A"').replace("? {", "? {answer} {")
    assert check(write(tmp_path, text)) == []
    assert load_template(write(tmp_path, text)).labelled
    assert not load_template(write(tmp_path, alone)).labelled


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    broken = LEGAL.replace("{query}?", "it?").replace("{id}", "").replace("[2] > [1]", "x")
    assert len(check(write(tmp_path, broken))) == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must be a mapping"),
        (b"messages: []\npassages: []\n", "messages: the first after the system's must be the user's"),
        (b"- a\n- b\n", "must be a mapping"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: \x00", "not YAML"),
        (b"a: !!python/object/apply:os.system [id]\n", "not YAML: could not determine a constructor"),
        (b"a: &a [*a]\nmessages: *a\n", "messages[0]: must be a mapping"),
        (b"[" * 10_000, "not YAML"),
        (b"a: 2020-99-99\n", "not YAML"),
        (b"? [a, b]\n: c\n", "not YAML"),
        (b"1: c\n", "messages: is missing"),
        (b"#" * (1 << 20) + b"#", "larger than"),
    ],
)
def test_what_is_no_template_at_all_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    assert problem in "; ".join(check(path))
    with pytest.raises(TemplateError, match=r"own\.yaml"):
        load_template(path)


def test_a_small_file_that_unfolds_to_gigabytes_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    problems = check(write(tmp_path, "\n".join([*lines, "messages: *a11", "passages: *a11"])))
    assert all(len(problem) < 300 for problem in problems)
    assert any(problem.startswith("a0: unknown field") for problem in problems)


def test_a_directory_is_no_template_and_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="is a directory"):
        load_template(tmp_path)
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + LEGAL.replace("\n", "\r\n").encode())
    assert "[1] a\n" in render(load_template(path), "q", ["a"])[0].content
