"""OpenAI's vocabularies, without ever downloading one.

tiktoken fetches a vocabulary at first use and keeps it in a folder: ``$TIKTOKEN_CACHE_DIR``, else
``$DATA_GYM_CACHE_DIR``, else ``data-gym-cache`` among the temporary files; an empty variable turns the folder off
(``tiktoken/load.py`` of 0.14). A file that lies there whole is used; else ``bpe-openai`` brings along the two that
current models use, and agrees with tiktoken on them.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any, Protocol

LONGEST_TEXT = 500_000
"""Characters that are counted at a time: the embedded encoder takes less than a million."""
REMEMBERED_TEXTS = 512
"""How many texts' counts are remembered, and with them the texts: much of a prompt is in every other, too."""

EMBEDDED = frozenset({"cl100k_base", "o200k_base"})
"""What ``bpe-openai`` brings along."""

_SAME_TEXT_AS = {"o200k_harmony": "o200k_base", "p50k_edit": "p50k_base"}
"""Vocabularies that differ from another in special tokens only, which a text never becomes."""

_FILES = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
_SHA256 = {
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""Of the files that tiktoken keeps, as in its own ``tiktoken_ext/openai_public.py``."""


class Encoding(Protocol):
    """What tiktoken and bpe-openai have in common."""

    def encode_ordinary(self, text: str) -> list[int]:
        """The tokens of a text, in which nothing is special."""
        ...


def vocabulary_of(model: str) -> str | None:
    """The vocabulary of one of OpenAI's models by its name; None where it is unknown, or not to be had offline."""
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    name = _SAME_TEXT_AS.get(name, name)
    return name if name in EMBEDDED or _is_kept(name) else None


@lru_cache(maxsize=REMEMBERED_TEXTS)
def count(text: str, vocabulary: str) -> int:
    """How many `tokens` a text has."""
    return size(text, vocabulary)


def size(text: str, vocabulary: str) -> int:
    """The same for texts that will not be counted again."""
    encoder = encoding(vocabulary)
    if isinstance(encoder, _Embedded) and len(text) <= LONGEST_TEXT:
        return encoder.count(text)
    return len(tokens(text, vocabulary))


def tokens(text: str, vocabulary: str) -> list[int]:
    """Tokens of a text; one longer than `LONGEST_TEXT` is cut there, which changes a few tokens a cut at most."""
    encode = encoding(vocabulary).encode_ordinary
    if len(text) <= LONGEST_TEXT:
        return encode(text)
    cuts = range(0, len(text), LONGEST_TEXT)
    return [token for at in cuts for token in encode(text[at : at + LONGEST_TEXT])]


@cache
def encoding(vocabulary: str) -> Encoding:
    """The encoder of a vocabulary: tiktoken's, if its file is at hand, else the embedded one."""
    if _is_kept(vocabulary):
        import tiktoken

        return tiktoken.get_encoding(vocabulary)
    try:
        return _Embedded(_bindings().tokenizer_for_encoding(vocabulary))
    except (ImportError, AttributeError):
        import bpe_openai

        embedded: Encoding = bpe_openai.get_encoding(vocabulary)
        return embedded


class _Embedded:
    """An encoder of ``bpe-openai`` that does not decode."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode_ordinary(self, text: str) -> list[int]:
        """See `Encoding`."""
        try:
            return list(self._tokenizer.encode(text))
        except UnicodeEncodeError:
            return list(self._tokenizer.encode(_whole(text)))

    def count(self, text: str) -> int:
        """How many tokens those are; takes two thirds of the time."""
        try:
            return int(self._tokenizer.count(text))
        except UnicodeEncodeError:
            return int(self._tokenizer.count(_whole(text)))


def _whole(text: str) -> str:
    """The text with its lone surrogates replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _bindings() -> Any:
    """The part of ``bpe-openai`` that counts, without the package around it: that one reads every vocabulary into
    dictionaries as it is imported, which takes a second, and only decoding needs them.

    Raises:
        ImportError: it is not where it is expected.
    """
    name = "bpe_openai._bindings"
    if name not in sys.modules:
        package = find_spec("bpe_openai")
        folders = package.submodule_search_locations if package else None
        spec = PathFinder.find_spec(name, folders)
        if spec is None or spec.loader is None:
            raise ImportError(name)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


@cache
def _is_kept(vocabulary: str) -> bool:
    folder = _folder()
    return folder is not None and kept_file(vocabulary, folder) is not None


def kept_file(vocabulary: str, folder: Path) -> Path | None:
    """tiktoken's file of a vocabulary in its folder; None where it is missing or not whole: it would be fetched."""
    if vocabulary not in _SHA256:
        return None
    file = file_in(folder, vocabulary)
    try:
        kept = file.read_bytes()
    except OSError:
        return None
    return file if hashlib.sha256(kept).hexdigest() == _SHA256[vocabulary] else None


def file_in(folder: Path, vocabulary: str) -> Path:
    """Where tiktoken looks for a vocabulary in its folder: a name made of the address that it would fetch."""
    address = _FILES.format(name=vocabulary)
    return folder / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()


def _folder() -> Path | None:
    """Where tiktoken keeps its vocabularies; None where it keeps none."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if (named := os.environ.get(variable)) is not None:
            return Path(named) if named else None
    return Path(tempfile.gettempdir()) / "data-gym-cache"
