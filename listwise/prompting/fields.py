"""Texts with fields in braces, filled in one pass: what is filled in is never looked at again."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class FieldText:
    """A text that may hold fields, ``{query}``. ``{{query}}`` stands for the word in braces; all other braces for
    themselves, so that an example in JSON needs no escaping."""

    source: str
    fields: tuple[str, ...]
    """The names of the fields, in the order they stand, repeated where they repeat."""
    _format: str

    @classmethod
    def of(cls, source: str) -> FieldText:
        """Read a text."""
        pieces: list[str] = []
        fields: list[str] = []
        end = 0
        for match in _FIELD.finditer(source):
            pieces.append(_literal(source[end : match.start()]))
            escaped, name = match.groups()
            pieces.append(_literal(f"{{{escaped}}}") if name is None else f"{{{name}}}")
            if name is not None:
                fields.append(name)
            end = match.end()
        pieces.append(_literal(source[end:]))
        return cls(source, tuple(fields), "".join(pieces))

    def fill(self, **values: object) -> str:
        """The text with its fields filled in; values that it has no field for are left aside."""
        return self._format.format_map(values)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
