"""Long passages through the embedded model: what is read, what is said about it, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import get_args

import pytest

from listwise.models.base import ChunkingScorer, LongPassages
from listwise.models.local import load_scorer
from listwise.models.scorers.chunking import MAX_CHUNKS

QUERY = "why is the sky blue"
ANSWER = "The sky looks blue because air molecules scatter short wavelengths of sunlight more than long ones."
FILLER = "Boil the potatoes for twenty minutes, mash them with butter, and add salt. "
WAYS: tuple[LongPassages, ...] = get_args(LongPassages)


@pytest.fixture(scope="module")
def scorers() -> dict[LongPassages, ChunkingScorer]:
    return {how: load_scorer("embedded", how) for how in WAYS}


def test_each_way_finds_the_answer_where_it_reads(scorers: dict[LongPassages, ChunkingScorer]) -> None:
    front, middle, end = ANSWER + FILLER * 40, FILLER * 20 + ANSWER + FILLER * 20, FILLER * 40 + ANSWER
    passages = [front, middle, end, FILLER * 40]
    first, most, both = (scorers[how].score(QUERY, passages) for how in ("first", "max", "head_tail"))
    assert first[0] > first[1] == first[2] == first[3]
    assert min(most[:3]) > most[3]
    assert min(both[0], both[2]) > both[1] == both[3]


def test_what_was_cut_and_chunked_is_counted(scorers: dict[LongPassages, ChunkingScorer]) -> None:
    passages = [ANSWER, FILLER * 40, FILLER * 4000, ""]
    accounts = {how: (seen.cut, seen.chunked) for how in WAYS if (seen := scorers[how].read(QUERY, passages))}
    assert accounts == {"first": (2, 0), "max": (1, 2), "head_tail": (2, 0)}


def test_a_short_passage_scores_the_same_in_every_way(scorers: dict[LongPassages, ChunkingScorer]) -> None:
    assert len({scorers[how].score(QUERY, [ANSWER])[0] for how in WAYS}) == 1


@pytest.mark.parametrize("how", WAYS)
def test_a_score_is_the_same_to_the_bit_in_any_company(
    scorers: dict[LongPassages, ChunkingScorer], how: LongPassages
) -> None:
    passages = [ANSWER, FILLER * 30, FILLER, "", ANSWER * 20]
    together = scorers[how].score(QUERY, [*passages, *passages[::-1]])
    alone = [scorers[how].score(QUERY, [passage])[0] for passage in passages]
    assert together == [*alone, *alone[::-1]]


@pytest.mark.parametrize(
    "text", ["sky " * 260_000, "x" * 1_000_000, " " * 1_000_000, "天" * 1_000_000, "!?" * 500_000]
)
def test_a_megabyte_is_read_in_a_bounded_number_of_chunks(
    scorers: dict[LongPassages, ChunkingScorer], text: str
) -> None:
    started = time.process_time()
    seen = scorers["max"].read(QUERY, [text])
    assert seen.cut == 1
    assert time.process_time() - started < MAX_CHUNKS


def test_a_query_of_a_megabyte_is_cut(scorers: dict[LongPassages, ChunkingScorer]) -> None:
    assert len(scorers["max"].score("sky " * 260_000, [ANSWER, FILLER])) == 2


MEGABYTES = """
import resource, sys
from listwise.models.local import load_scorer
load_scorer("embedded", "max").read("sky", ["sky " * 250_000] * int(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_long_passages() -> None:
    def peak(size: int) -> int:
        return int(subprocess.check_output([sys.executable, "-c", MEGABYTES, str(size)]))

    assert peak(12) < 1.2 * peak(3)
