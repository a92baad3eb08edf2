"""Reads answers out of the pages of a database that SQLite does not read any more.

Every page of a table's leaves stands by itself, so a broken header, index or inner page loses nothing: each record
that looks like an answer is taken if its checksum holds. Pages of the ``-wal`` file are read alike. Only what runs
over into pages of a ``-wal`` file is passed by. Format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from listwise.cache.answers import Row, unsealed
from listwise.cache.database import PAGE_BYTES

LEAF = 13
COLUMNS = 6
WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
MOST_LOCAL = PAGE_BYTES - 35
LEAST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23


def carved(path: Path) -> Iterator[Row | None]:
    """All answers whose pages survive in a database and its ``-wal`` file; None once a page without any.

    Raises:
        OSError: a file cannot be read.
    """
    with path.open("rb") as file:
        at = 0
        while page := _read(file.fileno(), at):
            yield from _answers(page, 100 if at == 0 else 0, file.fileno()) or [None]
            at += PAGE_BYTES
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        with wal.open("rb") as file:
            at = WAL_HEADER_BYTES + FRAME_HEADER_BYTES
            while page := _read(file.fileno(), at):
                yield from _answers(page, 0, None) or [None]
                at += FRAME_HEADER_BYTES + PAGE_BYTES


def _read(file: int, at: int) -> bytes:
    return os.pread(file, PAGE_BYTES, at)


def _answers(page: bytes, start: int, chains: int | None) -> list[Row | None]:
    if len(page) < start + 8 or page[start] != LEAF:
        return []
    (cells,) = struct.unpack_from(">H", page, start + 3)
    found: list[Row | None] = []
    for at in range(min(cells, (len(page) - start - 8) // 2)):
        (offset,) = struct.unpack_from(">H", page, start + 8 + 2 * at)
        try:
            row = _row(_payload(page, offset, chains))
        except (IndexError, struct.error):
            continue
        if row is not None:
            found.append(row)
    return found


def _payload(page: bytes, at: int, chains: int | None) -> bytes:
    """The record of a cell, with what runs over into other pages."""
    size, at = _varint(page, at)
    _, at = _varint(page, at)
    if size <= MOST_LOCAL:
        return page[at : at + size]
    local = LEAST_LOCAL + (size - LEAST_LOCAL) % (PAGE_BYTES - 4)
    local = local if local <= MOST_LOCAL else LEAST_LOCAL
    payload = bytearray(page[at : at + local])
    (following,) = struct.unpack_from(">I", page, at + local)
    while following and chains is not None and len(payload) < size:
        more = _read(chains, (following - 1) * PAGE_BYTES)
        (following,) = struct.unpack_from(">I", more)
        payload += more[4:]
    return bytes(payload[:size])


def _row(record: bytes) -> Row | None:
    """The answer in a record, if it is one and unharmed."""
    end, at = _varint(record, 0)
    types: list[int] = []
    while at < end and len(types) <= COLUMNS:
        kind, at = _varint(record, at)
        types.append(kind)
    if len(types) != COLUMNS:
        return None
    values: list[bytes] = []
    at = end
    for kind in types:
        values.append(record[at : at + _length(kind)])
        at += _length(kind)
    _, key, model, stored, value, seal = values
    if unsealed(key, model, value, seal) is None:
        return None
    return Row(key.decode(), model.decode(), _time(stored), value.decode(), seal)


def _time(value: bytes) -> float:
    return float(struct.unpack(">d", value)[0]) if len(value) == 8 else 0.0


def _length(kind: int) -> int:
    """Bytes of a value, by its serial type."""
    return (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A big-endian number of seven bits a byte, and where it ends."""
    number = 0
    for more in range(8):
        byte = data[at + more]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at + more + 1
    return number << 8 | data[at + 8], at + 9
