"""An upper bound of Claude's tokens, from those of o200k.

Claude's vocabulary is not published. ``ctok`` (Sander Land, MIT, unofficial) is the one offline counter of it
that is kept well: vocabularies reconstructed from what the count endpoint said, exact on all but one of 960,000
texts in 350 languages. It needs Python 3.12 and 3 ms for 1,000 characters, so it is no dependency; what is kept
here is a table made with it (``python -m eval.benchmarks.claude_costs``): for each token of o200k, the most
tokens that it becomes for Claude, whatever stands around it. Their sum is never less than ctok's count.
"""

from __future__ import annotations

import gzip
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

from listwise.spend.vocabularies import REMEMBERED_TEXTS, tokens

VOCABULARY = "o200k_base"
"""Whose tokens the tables are about."""
EARLIER = "claude-3"
"""The table for Claude 3 to Opus 4.6 (ctok's family v3)."""
LATER = "claude-4.7"
"""The table for Opus 4.7 and later, and all of Claude 5 (ctok's family v4.7)."""


def table_file(table: str) -> Path:
    """Where a table lies: compressed, a byte for each token."""
    return Path(__file__).with_name(f"{table}.gz")


@lru_cache(maxsize=REMEMBERED_TEXTS)
def most_tokens(text: str, table: str) -> int:
    """Claude's tokens of a text at most. Claude reads composed characters, so those are counted."""
    most = _most(table)
    return sum(most[token] for token in tokens(unicodedata.normalize("NFC", text), VOCABULARY))


@cache
def _most(table: str) -> bytes:
    return gzip.decompress(table_file(table).read_bytes())
