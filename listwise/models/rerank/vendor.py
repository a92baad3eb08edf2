"""What the rerank APIs differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from listwise.models.failures import Failures


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold."""

    documents: int
    document_tokens: int | None = None
    """Of a document, those beyond are not sent; None where the server cuts by itself, at a length of its own."""
    request_tokens: int | None = None
    """Query tokens times documents, and the tokens of all documents, together; None where no limit is stated."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An answer as it was read, not yet checked: the rest of the project never sees it."""

    pairs: Sequence[tuple[int, float]]
    """Positions of documents in the request, from 0, with their scores; in any order."""
    served_by: str | None = None
    tokens: int | None = None
    """Input tokens billed; None where the answer does not say."""
    search_units: int | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """One rerank API."""

    keys: tuple[str, ...]
    """Environment variables that may hold its key, the first one first."""
    needs_key: bool
    address: str
    """The environment variable that may hold its address."""
    base_url: str | None
    """Its own address; None for servers of one's own."""
    default_path: str
    """What is added to an address without a path."""
    hosts: tuple[str, ...]
    """The domains that are its own, and so may see its key and nobody else's."""
    limits: Callable[[str], Limits]
    """Of a model."""
    request: Callable[[str, str, Sequence[str]], dict[str, Any]]
    """The body that asks a model for the scores of some documents for a query."""
    read: Callable[[bytes, Mapping[str, str], Failures], Ranked]
    """Reads the body of an answer, and its headers with names in lower case.

    Raises:
        Garbled: it is no such answer.
    """
