"""How long passages are cut: every token is read once or, in an overlap, twice, and in order."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.models.base import LongPassages
from listwise.models.scorers.chunking import (
    MAX_CHUNKS,
    batches,
    excerpt,
    groups,
    most_tokens,
    overlap,
    pieces,
    spans,
)

ROOMS = st.integers(1, 600)
LENGTHS = st.integers(0, 5000)
WAYS: tuple[LongPassages, ...] = get_args(LongPassages)


@given(LENGTHS, ROOMS)
def test_chunks_cover_every_token_in_order(length: int, room: int) -> None:
    chunks = spans(length, room)
    assert chunks[0].start == 0
    assert chunks[-1].stop == length
    assert all(0 <= chunk.stop - chunk.start <= room for chunk in chunks)
    for before, after in pairwise(chunks):
        assert before.stop - before.start == room
        assert before.stop - after.start == overlap(room)
        assert after.stop > before.stop


@given(LENGTHS, ROOMS, st.sampled_from(WAYS))
def test_pieces_fit_and_say_what_was_cut(length: int, room: int, how: LongPassages) -> None:
    ids = list(range(length))
    found = pieces(ids, room, how)
    assert found.ids
    assert all(len(piece) <= room for piece in found.ids)
    assert all(piece == sorted(piece) for piece in found.ids)
    seen = {token for piece in found.ids for token in piece}
    assert found.cut == (seen != set(ids))
    assert len(seen) == min(length, most_tokens(room, how))


def test_first_reads_the_beginning_and_head_tail_both_ends() -> None:
    ids = list(range(10))
    assert pieces(ids, 4, "first").ids == [[0, 1, 2, 3]]
    assert pieces(ids, 5, "head_tail").ids == [[0, 1, 2, 8, 9]]
    assert pieces(ids, 1, "head_tail").ids == [[0]]
    assert pieces(ids, 4, "max").ids == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert pieces(ids, 10, "max").ids == [ids]


def test_no_more_than_so_many_chunks_are_read() -> None:
    found = pieces(list(range(100_000)), 100, "max")
    assert found.cut
    assert len(found.ids) == MAX_CHUNKS


@pytest.mark.parametrize("how", WAYS)
def test_a_text_of_any_length_is_tokenized_in_part(how: LongPassages) -> None:
    text = "ab" * 10_000_000
    parts, cut = excerpt(text, 100, how)
    assert cut
    assert sum(map(len, parts)) <= 2 * most_tokens(100, how) * 16
    assert text.startswith(parts[0])
    assert len(parts) == (2 if how == "head_tail" else 1)
    assert excerpt("short", 100, how) == (("short",), False)


@given(st.lists(st.integers(0, 50)), st.integers(1, 100))
def test_groups_keep_order_and_bounds(sizes: list[int], most: int) -> None:
    runs = list(groups(sizes, most))
    assert [place for run in runs for place in run] == list(range(len(sizes)))
    assert all(run and (len(run) == 1 or sum(sizes[place] for place in run) <= most) for run in runs)


@given(st.lists(st.integers(1, 300)).map(sorted), st.integers(1, 1000))
def test_batches_keep_every_text_once_and_within_bounds(lengths: list[int], tokens: int) -> None:
    runs = [lengths[run] for run in batches(lengths, tokens)]
    assert [length for run in runs for length in run] == lengths
    assert all(run for run in runs)
    assert all(len(run) == 1 or max(run) * len(run) <= tokens for run in runs)
