"""A prompt template: as it stands in a YAML file, and ready to be filled in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictInt, Tag, model_validator

from listwise.calls import LABELS, Message, PromptForm, Role
from listwise.errors import InputError
from listwise.prompting.fields import FieldText
from listwise.prompting.neutralise import Style

Key = Literal["title", "text"]
Keep = Literal["head", "head_tail"]
Shrink = Literal["largest", "rank_llm"]
Positive = Annotated[StrictInt, Field(ge=1)]
PASSAGES: Literal["passages"] = "passages"


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ContentRules(_Checked):
    """How a passage becomes ``{content}``."""

    keys: tuple[Key, ...] = ("title", "text")
    """Which fields of a candidate, joined by a space."""
    words: Positive = 300
    """Words kept at most, by whitespace."""
    keep: Keep = "head"
    """``head``: the first words; ``head_tail``: the first and last tokens, by the model's count."""
    head_tokens: Positive = 200
    tail_tokens: Positive = 100
    floor: Positive = 10
    """A passage is cut no shorter than this (words; tokens for ``head_tail``) to fit a context."""
    shrink: Shrink = "largest"
    """How the limit shrinks until a prompt fits: the largest that does, or by rank_llm's rule."""
    strip_prefix: str = ""
    """Dropped where a passage begins with it."""
    neutralise: Style = "brackets"

    @property
    def limit(self) -> int:
        """What a passage may have at most: words for ``head``, tokens for ``head_tail``."""
        return self.words if self.keep == "head" else self.head_tokens + self.tail_tokens

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if not self.keys:
            raise ValueError("keys is empty, so nothing of a passage would be shown")
        if self.floor > self.limit:
            raise ValueError(f"floor is {self.floor}, more than the {self.limit} that are kept at most")
        return self


class TurnFile(_Checked):
    """One chat message of a template."""

    role: Role
    content: str = Field(min_length=1)


def _kind(entry: object) -> str:
    return "place" if isinstance(entry, str) else "turn"


def _block_kind(block: object) -> str:
    return "text" if isinstance(block, str) else "turns"


MessageEntry = Annotated[
    Annotated[TurnFile, Tag("turn")] | Annotated[Literal["passages"], Tag("place")], Discriminator(_kind)
]
Block = Annotated[
    Annotated[str, Tag("text")] | Annotated[tuple[TurnFile, ...], Tag("turns")], Discriminator(_block_kind)
]
TAGS = frozenset({"turn", "place", "text", "turns"})
"""Names that pydantic puts into the place of an error in a union."""


class TemplateFile(_Checked):
    """A template as users write it; ``prompts/structured.yaml`` explains every field."""

    description: str = ""
    form: PromptForm = "text"
    answer: str | None = None
    """An example of the answer, which a model that writes an order as text is shown."""
    content: ContentRules = ContentRules()
    messages: tuple[MessageEntry, ...]
    """Turns, and the word ``passages`` where the turns of the passages come."""
    passages: Block
    """What is repeated for each passage: a text, for ``{passages}``, or turns."""

    @property
    def turns(self) -> tuple[TurnFile, ...]:
        """The messages without the place of the passages."""
        return tuple(entry for entry in self.messages if isinstance(entry, TurnFile))

    @property
    def block(self) -> tuple[TurnFile, ...]:
        """The turns repeated for each passage; none where passages stand inside a message."""
        return () if isinstance(self.passages, str) else self.passages

    def texts(self) -> Iterator[tuple[str, FieldText, bool]]:
        """Every text with fields: its place in the file, the text, and whether it is repeated for each passage."""
        for at, entry in enumerate(self.messages):
            if isinstance(entry, TurnFile):
                yield f"messages[{at}].content", FieldText.of(entry.content), False
        if isinstance(self.passages, str):
            yield "passages", FieldText.of(self.passages), True
        for at, turn in enumerate(self.block):
            yield f"passages[{at}].content", FieldText.of(turn.content), True


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to be filled in."""

    role: Role
    text: FieldText


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read and found in order, ready to be filled in."""

    name: str
    description: str
    form: PromptForm
    answer: str
    rules: ContentRules
    before: tuple[Turn, ...]
    """The turns before the passages; all turns, where passages stand inside one."""
    each: tuple[Turn, ...]
    """The turns of one passage."""
    after: tuple[Turn, ...]
    inline: FieldText | None
    """One passage, where passages stand inside a message."""
    labelled: bool = False
    """Whether passages are called by letters, so that letters, too, are neutralised in them."""

    @property
    def fewest(self) -> int:
        """Passages that a prompt has at least for its question to make sense."""
        return 1 if self.form == "relevance" else 2

    @classmethod
    def of(cls, name: str, file: TemplateFile) -> Template:
        """Prepare a template whose file has no problems."""
        place = file.messages.index(PASSAGES) if PASSAGES in file.messages else len(file.messages)
        inline = FieldText.of(file.passages) if isinstance(file.passages, str) else None
        return cls(
            name=name,
            description=file.description,
            form=file.form,
            answer=file.answer or "",
            rules=file.content,
            before=_turns(file.messages[:place]),
            each=_turns(file.block),
            after=_turns(file.messages[place + 1 :]),
            inline=inline,
            labelled=any("label" in text.fields for _, text, _ in file.texts()),
        )

    def fill(self, query: str, contents: Sequence[str]) -> tuple[Message, ...]:
        """The prompt for passages that are identified as 1, 2, ... or A, B, ... in the order given.

        Everything is filled in as it is: `listwise.prompting.render` neutralises and shortens first.

        Raises:
            InputError: there are more passages than labels.
        """
        if self.labelled and len(contents) > len(LABELS):
            raise InputError(f"the template {self.name} has labels for {len(LABELS)} passages, not {len(contents)}")
        values: dict[str, Any] = {"query": query, "num": len(contents), "answer": self.answer}
        if self.inline is not None:
            fill = self.inline.fill
            values["passages"] = "".join(
                [fill(**_called(at), content=content, **values) for at, content in enumerate(contents)]
            )
        messages = [Message(turn.role, turn.text.fill(**values)) for turn in self.before]
        for at, content in enumerate(contents):
            for turn in self.each:
                messages.append(Message(turn.role, turn.text.fill(**_called(at), content=content, **values)))
        messages += [Message(turn.role, turn.text.fill(**values)) for turn in self.after]
        return tuple(messages)


def _called(at: int) -> dict[str, Any]:
    """What a passage at a position (from 0) may be called."""
    return {"id": at + 1, "label": LABELS[at : at + 1]}


def _turns(entries: Sequence[object]) -> tuple[Turn, ...]:
    return tuple(Turn(entry.role, FieldText.of(entry.content)) for entry in entries if isinstance(entry, TurnFile))
