"""Text files, line by line: plain or gzip, any line ends, and errors that name file and line."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from listwise.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Source = str | Path | BinaryIO
"""A file's path, or an open binary stream such as standard input."""


def name_of(source: Source) -> str:
    """How errors call a source."""
    return str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "standard input"))


def raw_lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Line numbers, from 1, with their bytes, without line ends; empty lines are left out.

    Raises:
        InputError: the file is missing, no file, a damaged gzip, or cannot be read to its end.
    """
    number = 0
    with _opened(source) as stream:
        try:
            for number, line in enumerate(stream, 1):
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)  # noqa: PLW2901
                if stripped := line.rstrip(b"\r\n"):
                    yield number, stripped
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"damaged gzip file: {error}", path=name_of(source), line=number + 1) from error
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=name_of(source), line=number + 1) from error


def decoded(line: bytes, source: Source, number: int) -> str:
    """A line's text.

    Raises:
        InputError: it is not UTF-8, or holds NUL bytes.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text at byte {error.start} of the line", path=name_of(source), line=number
        ) from error
    if "\0" in text:
        raise InputError("a NUL byte: is this a text file?", path=name_of(source), line=number)
    return text


def text_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Line numbers with text; see `raw_lines` and `decoded` for errors."""
    for number, line in raw_lines(source):
        yield number, decoded(line, source, number)


def json_object(line: bytes, source: Source, number: int) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        InputError: there is none.
    """
    try:
        record = _DECODER.decode(decoded(line, source, number))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", path=name_of(source), line=number) from error
    if not isinstance(record, dict):
        raise InputError("expected a JSON object", path=name_of(source), line=number)
    return record


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def json_lines(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers with the JSON object on each."""
    for number, line in raw_lines(source):
        yield number, json_object(line, source, number)


def not_empty(entries: Iterable[Any], source: Source, what: str) -> None:
    """Refuse a file without a single entry.

    Raises:
        InputError: it has none.
    """
    if not entries:
        raise InputError(f"no {what} in it: the file is empty", path=name_of(source))


def within(path: str | Path, name: str) -> Path:
    """A file, or the file of that name in a BEIR folder, plain or gzip.

    Raises:
        InputError: a folder without it.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for candidate in (path / name, path / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise InputError(f"a folder without {name}", path=path)


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if not isinstance(source, str | Path):
        yield source
        return
    path = Path(source)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except ValueError as error:  # a NUL in its name
        raise InputError(f"cannot be read: {error}", path=path) from error
    with file:
        if _zipped(file, path):
            with gzip.open(file) as unzipped:
                yield io.BufferedReader(unzipped)
        else:
            yield file


def _zipped(file: BinaryIO, path: Path) -> bool:
    """By its first bytes; a pipe, whose bytes can be had only once, by its name."""
    if not file.seekable():
        return path.suffix == ".gz"
    try:
        magic = file.read(2)
        file.seek(0)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    return magic == GZIP_MAGIC
