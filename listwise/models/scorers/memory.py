"""Representations of passages, kept between requests: a passage that returns is not encoded again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np

from listwise.models.scorers.passages import Array

MEMORY_BYTES = 256 << 20
"""What a scorer keeps at most; the passage that was not asked for longest goes first."""
ENTRY_BYTES = 200
"""What an entry takes besides its numbers."""


class Memory:
    """Arrays by the token ids that they were made of, bounded in bytes. Safe to share between threads."""

    def __init__(self, most_bytes: int = MEMORY_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._kept: OrderedDict[bytes, Array] = OrderedDict()
        self._lock = Lock()

    @property
    def held_bytes(self) -> int:
        """What is kept now."""
        return self._held

    def recall(
        self,
        pieces: Sequence[Sequence[int]],
        encode: Callable[[Sequence[Sequence[int]]], Iterator[tuple[int, Array]]],
    ) -> Iterator[tuple[int, Array]]:
        """The representation of each piece, in no certain order.

        Args:
            pieces: token ids.
            encode: called once with what is not known, each content once; gives the place in its argument and the
                representation, as they come.

        Yields:
            The place of a piece and its representation, not to be written to.
        """
        places: dict[bytes, list[int]] = {}
        for place, ids in enumerate(pieces):
            places.setdefault(_key(ids), []).append(place)
        missing = []
        for key, wanted in places.items():
            known = self._get(key)
            if known is None:
                missing.append(key)
            else:
                yield from ((place, known) for place in wanted)
        if missing:
            for at, made in encode([pieces[places[key][0]] for key in missing]):
                self._put(missing[at], made)
                yield from ((place, made) for place in places[missing[at]])

    def _get(self, key: bytes) -> Array | None:
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
            return known

    def _put(self, key: bytes, made: Array) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = made
            self._held += made.nbytes + ENTRY_BYTES
            while self._held > self._most:
                _, gone = self._kept.popitem(last=False)
                self._held -= gone.nbytes + ENTRY_BYTES


def _key(ids: Sequence[int]) -> bytes:
    return blake2b(np.array(ids, np.int64).tobytes(), digest_size=16).digest()
