"""The stored form of an answer: JSON text under a checksum. Nothing is ever pickled."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import blake2b
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from listwise.cache.forking import undisturbed
from listwise.calls import Completion
from listwise.types import Usage

CHECKSUM_BYTES = 16


class StoredUsage(BaseModel):
    """Usage as it stands in the cache."""

    model_config = ConfigDict(strict=True, extra="ignore")

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    search_units: int = 0
    service_tier: str = ""


class StoredAnswer(BaseModel):
    """One value of the cache."""

    model_config = ConfigDict(strict=True, extra="ignore")

    version: Literal[1] = 1
    text: str
    usage: StoredUsage
    served_by: str
    finish: Literal["stop", "length", "refusal", "other"]
    leading: tuple[dict[str, float], ...] | None = None

    @classmethod
    def of(cls, completion: Completion) -> StoredAnswer:
        """The stored form of an answer."""
        return cls(
            text=completion.text,
            usage=StoredUsage(**asdict(completion.usage)),
            served_by=completion.served_by,
            finish=completion.finish,
            leading=None if completion.leading is None else tuple(map(dict, completion.leading)),
        )

    def completion(self) -> Completion:
        """The answer."""
        return Completion(self.text, Usage(**dict(self.usage)), self.served_by, self.finish, self.leading)


class Row(NamedTuple):
    """An answer as it stands in the database. ``checksum`` covers key, model and value."""

    key: str
    model: str
    """``provider/name``, for ``listwise cache``."""
    stored: float
    """Unix seconds."""
    value: str
    checksum: bytes


def checksum(key: bytes, model: bytes, value: bytes) -> bytes:
    """What stands beside a value: so that it is told from one that was altered, cut, or stored for another key."""
    return blake2b(b"\0".join((key, model, value)), digest_size=CHECKSUM_BYTES).digest()


def sealed(key: str, completion: Completion, model: str, stored: float) -> Row:
    """The row of an answer.

    Raises:
        ValueError: the answer is not Unicode text (a lone surrogate), so it cannot be kept.
    """
    with undisturbed:
        value = StoredAnswer.of(completion).model_dump_json(exclude_none=True)
    return Row(key, model, stored, value, checksum(key.encode(), model.encode(), value.encode()))


def unsealed(key: bytes, model: object, value: object, seal: object) -> Completion | None:
    """The answer in a row that was read under ``key``, or None if it is not what was once stored there."""
    if not (isinstance(model, bytes) and isinstance(value, bytes)) or seal != checksum(key, model, value):
        return None
    return readable(value)


def readable(value: bytes) -> Completion | None:
    """The answer in a value, or None if it is none; of its checksum nothing is known."""
    try:
        with undisturbed:
            return StoredAnswer.model_validate_json(value).completion()
    except ValidationError:
        return None
