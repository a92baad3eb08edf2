"""What is wrong with a template file, in words that name the field and what to write there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from listwise.prompting.template import PASSAGES, TAGS, ContentRules, TemplateFile, TurnFile

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MESSAGE_FIELDS = ("query", "num", "answer", "passages")
PASSAGE_FIELDS = ("id", "label", "content", "query", "num")
LABEL_FORMS = frozenset({"first", "choice"})
"""Forms whose answers name passages by their labels."""

_WORDED = {
    "missing": "is missing",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "is empty",
    "int_type": "must be a whole number, without quotes",
    "string_unicode": "holds half of a surrogate pair, which no request can carry",
}


def examine(data: object) -> tuple[TemplateFile | None, list[str]]:
    """Read the content of a YAML file: the template, or None and every problem found."""
    if not isinstance(data, dict):
        return None, ["must be a mapping with the fields messages and passages at least"]
    try:
        file = TemplateFile.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=True)
        return None, [_worded(problem) for problem in details]
    problems = [
        *_unknown_fields(file),
        *_passages(file),
        *_query(file),
        *_answer(file),
        *_roles(file),
    ]
    return (None if problems else file), problems


def _worded(problem: ErrorDetails) -> str:
    """One finding of pydantic in our words."""
    place = [part for part in problem["loc"] if part not in TAGS]
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"{_dotted(place)}: unknown field{_closest(str(place[-1]), _fields_at(place))}"
    if kind in ("model_type", "dict_type"):
        known = _fields_at([*place, ""])
        return f"{_dotted(place)}: must be a mapping with the fields {', '.join(known)}"
    if kind == "literal_error":
        return f"{_dotted(place)}: must be {problem['ctx']['expected']}"
    if kind == "tuple_type":
        return f"{_dotted(place)}: must be a list" + (", or a text" if place == [PASSAGES] else "")
    message = problem["msg"].removeprefix("Value error, ")
    return f"{_dotted(place)}: {_WORDED.get(kind, message)}"


def _dotted(place: Sequence[int | str]) -> str:
    """``messages[1].content``, counted from 0 as programs do."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".") or "the file"


def _fields_at(place: Sequence[int | str]) -> tuple[str, ...]:
    """The fields that may stand beside the one at a place."""
    model: type[BaseModel] = TemplateFile
    if len(place) > 1:
        model = ContentRules if place[0] == "content" else TurnFile
    return tuple(model.model_fields)


def _closest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(known)}"


def _unknown_fields(file: TemplateFile) -> Iterator[str]:
    for place, text, repeated in file.texts():
        known = PASSAGE_FIELDS if repeated else MESSAGE_FIELDS
        for name in dict.fromkeys(text.fields):
            if name not in known:
                close = get_close_matches(name, known, 1)
                hint = f"did you mean {{{close[0]}}}?" if close else f"known here: {_braced(known)}"
                yield f"{place}: unknown placeholder {{{name}}}; {hint} (write {{{{{name}}}}} for the word itself)"


def _braced(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _passages(file: TemplateFile) -> Iterator[str]:
    """The passages stand in one place, each with its identifier and, once, its content."""
    used = _used(file, repeated=True)
    if file.form in LABEL_FORMS and not used["label"]:
        yield f"passages: the placeholder {{label}} is missing: `form: {file.form}` reads the letters of passages"
    elif not used["id"] and (file.form == "order" or (file.form == "text" and not used["label"])):
        yield "passages: the placeholder {id} is missing: without it, no answer can name a passage"
    if used["content"] != 1:
        how = "is missing" if not used["content"] else f"occurs {used['content']} times"
        yield f"passages: the placeholder {{content}} {how}; it must stand there once"
    within, apart = _used(file, repeated=False)["passages"], file.messages.count(PASSAGES)
    if isinstance(file.passages, str) and (within, apart) != (1, 0):
        yield "messages: passages is a text, so the placeholder {passages} must stand once in a message" + (
            ", and no lone `- passages`" if apart else ""
        )
    if not isinstance(file.passages, str) and (within, apart) != (0, 1):
        yield "messages: passages is a list of turns, so a lone `- passages` must stand once among the messages" + (
            ", and no placeholder {passages}" if within else ""
        )


def _query(file: TemplateFile) -> Iterator[str]:
    if not (_used(file, repeated=False) + _used(file, repeated=True))["query"]:
        yield "messages: the placeholder {query} is missing: the model would not know what to look for"


def _answer(file: TemplateFile) -> Iterator[str]:
    """A model that writes an order as text is shown how."""
    shown = _used(file, repeated=False)["answer"]
    if file.answer is None:
        if shown:
            yield 'answer: is missing, but {answer} stands in a message; write an example, such as "[2] > [1]"'
        elif file.form == "text":
            yield 'answer: is missing; write an example, such as "[2] > [1]", and show it in a message as {answer}'
        return
    one, two = ("1", "2") if _used(file, repeated=True)["id"] else ("A", "B")
    if file.form in {"text", "order", "first"} and not {one, two} <= set(re.findall(r"\d+|\b[A-Z]\b", file.answer)):
        yield f'answer: must be an order of the passages {one} and {two} at least, such as "[{two}] > [{one}]"'
    if file.form == "text" and not shown:
        yield "messages: the placeholder {answer} is missing: the model would not know how to answer"


def _roles(file: TemplateFile) -> Iterator[str]:
    """Every provider takes a conversation that the user begins and ends, after an optional system message."""
    for at, entry in enumerate(file.messages):
        if at and isinstance(entry, TurnFile) and entry.role == "system":
            yield f"messages[{at}].role: only the first message can be the system's"
    for at, turn in enumerate(file.block):
        if turn.role == "system":
            yield f"passages[{at}].role: a passage's turn can not be the system's"
    roles = [turn.role for entry in file.messages for turn in _spread(file, entry) if turn.role != "system"]
    if not roles or roles[0] != "user":
        yield "messages: the first after the system's must be the user's"
    elif roles[-1] != "user":
        yield "messages: the last must be the user's"


def _spread(file: TemplateFile, entry: object) -> Sequence[TurnFile]:
    return (entry,) if isinstance(entry, TurnFile) else file.block


def _used(file: TemplateFile, *, repeated: bool) -> Counter[str]:
    """How often each placeholder stands in the messages, or in what is repeated for each passage."""
    return Counter(name for _, text, each in file.texts() if each is repeated for name in text.fields)
