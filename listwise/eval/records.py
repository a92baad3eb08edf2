"""JSON lines read into the dataclasses that they were written from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from listwise.errors import InputError
from listwise.formats.lines import json_lines

Read = TypeVar("Read")


def read_records(path: str | Path, adapter: TypeAdapter[Read], what: str) -> Iterator[tuple[int, Read]]:
    """Line numbers, from 1, with the record on each; what a record has besides is passed over.

    Args:
        path: JSON lines, plain or gzip.
        adapter: of a dataclass.
        what: how an error calls a record, without article.

    Raises:
        InputError: the file cannot be read, or a line is no such record; names the line and the field.
    """
    for number, record in json_lines(path):
        yield number, checked(record, adapter, what, path, number)


def checked(
    record: object, adapter: TypeAdapter[Read], what: str, path: str | Path, line: int | None = None
) -> Read:
    """One record.

    Raises:
        InputError: it is none; names the field.
    """
    try:
        return adapter.validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(f"no {what}: {where}: {said}", path=path, line=line) from error
