"""Finds, reads and checks templates: those that are shipped, by name, and a user's own, by file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from listwise.calls import PromptForm
from listwise.errors import TemplateError
from listwise.prompting.problems import examine
from listwise.prompting.template import Template
from listwise.resources import shipped, shipped_or_own

LARGEST_FILE_BYTES = 1 << 20
_SUFFIX = ".yaml"
_ANSWERS: Mapping[PromptForm, str] = {
    "text": "text",
    "order": "an order the server constrains",
    "first": "an order, read from the log-probabilities of its first label",
    "choice": "the label of the most relevant passage, by log-probabilities where there are some",
    "relevance": "yes or no to one passage, by log-probabilities where there are some",
}


def template_names() -> tuple[str, ...]:
    """The names of the templates that are shipped."""
    return shipped("prompts", _SUFFIX)


def load_template(name_or_path: str | Path) -> Template:
    """The template of a name, or in a file of the user's.

    Raises:
        TemplateError: it does not exist, cannot be read, or has problems: names the file and each field.
    """
    path = template_path(name_or_path)
    file, problems = examine(_read(path))
    if file is None:
        raise TemplateError(f"{path}: {'; '.join(problems)}")
    return Template.of(path.stem, file)


def check(name_or_path: str | Path) -> list[str]:
    """Every problem of a template, each naming its field; empty where it is in order.

    Raises:
        TemplateError: it does not exist.
    """
    path = template_path(name_or_path)
    try:
        data = _read(path)
    except TemplateError as error:
        return [str(error).removeprefix(f"{path}: ")]
    return examine(data)[1]


def describe(template: Template) -> str:
    """What a template does, a line a fact, for people."""
    rules = template.rules
    kept = (
        f"first {rules.words} words"
        if rules.keep == "head"
        else f"first {rules.head_tokens} and last {rules.tail_tokens} tokens"
    )
    unit = "words" if rules.keep == "head" else "tokens"
    how = "by rank_llm's rule" if rules.shrink == "rank_llm" else "as little as needed"
    facts = {
        "name": template.name,
        "what": template.description or "(no description)",
        "answer": _ANSWERS[template.form] + (f" such as {template.answer}" if template.form == "text" else ""),
        "passages": "one turn or more each" if template.each else "all in one message",
        "content": f"{' + '.join(rules.keys)}, {kept}",
        "to fit": f"cut further {how}, to {rules.floor} {unit} at the least",
        "defused": "identifiers and control tokens"
        + (", labels" if template.labelled else "")
        + (", tags" if rules.neutralise == "markup" else ""),
    }
    return "\n".join(f"{name:<9} {fact}" for name, fact in facts.items())


def template_path(name_or_path: str | Path) -> Path:
    """The file of a template; a shipped name goes before a file of that name.

    Raises:
        TemplateError: there is neither; lists the names there are.
    """
    return shipped_or_own("prompts", _SUFFIX, name_or_path, "template", TemplateError)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise TemplateError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST_FILE_BYTES:
        raise TemplateError(f"{path}: larger than {LARGEST_FILE_BYTES} bytes: not a template")
    try:
        return yaml.load(raw.decode("utf-8-sig"), Loader=_OnceLoader)
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise TemplateError(f"{path}: {where}not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise TemplateError(f"{path}: not YAML: {str(error).splitlines()[0]}") from error


class _OnceLoader(yaml.SafeLoader):
    """Reads plain data only, and no field twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the field {name!r} stands there twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)
