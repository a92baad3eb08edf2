"""Sizes as people write them: ``4GiB``, ``500MB``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ByteSize, Field, TypeAdapter, ValidationError

SIZE_LIMIT_BYTES: Final = 4 * 2**30
LEAST_BYTES: Final = 2**20

CacheSize = Annotated[ByteSize, Field(ge=LEAST_BYTES)]
"""Bytes, or text such as ``4GiB`` (2**30) or ``500MB`` (10**6)."""

_size: TypeAdapter[ByteSize] = TypeAdapter(CacheSize)


def parse_size(text: str | None) -> int:
    """Bytes; the default limit for None.

    Raises:
        ValueError: it is no size, or less than 1 MiB.
    """
    if text is None:
        return SIZE_LIMIT_BYTES
    try:
        return int(_size.validate_python(text))
    except ValidationError:
        raise ValueError(f"{text!r} is no size of 1MiB or more, such as 500MB or 4GiB") from None
