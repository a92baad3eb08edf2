"""Raw answers on disk: every answer that was paid for is kept, and found again by what was asked.

The key is the SHA-256 of canonical JSON; the value is JSON text under a checksum, in SQLite. Nothing is ever
pickled or unpickled. A cache that fails is slow money, never a failed query: what cannot be read is a miss, and a
database that is broken is set aside, its answers copied into a new one. ``docs/cache.md`` says what is defined to
happen when.
"""

from listwise.cache.answers import StoredAnswer
from listwise.cache.desk import Counts, Waits
from listwise.cache.keys import SPELLINGS, cache_key, default_directory
from listwise.cache.sizes import SIZE_LIMIT_BYTES, CacheSize
from listwise.cache.store import AnswerCache, AnswerStore

__all__ = [
    "SIZE_LIMIT_BYTES",
    "SPELLINGS",
    "AnswerCache",
    "AnswerStore",
    "CacheSize",
    "Counts",
    "StoredAnswer",
    "Waits",
    "cache_key",
    "default_directory",
]
