"""Agreement, habits, quality by input order, sizes and lengths, votes; all of it in words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import permutations

import ir_measures
import numpy as np
import pytest

from listwise.eval.bias.agreement import agreement_of, kendall_tau, overlap_by_chance, rank_biased_overlap
from listwise.eval.bias.habits import habits_of
from listwise.eval.bias.mending import Played, compare_systems
from listwise.eval.bias.observations import Observation, Order
from listwise.eval.bias.quality import by_input_order, ndcg
from listwise.eval.bias.study import study_of
from listwise.eval.bias.words import TOO_FEW, verdict
from listwise.eval.simulate import Traits
from tests.eval.bias.made_up import shuffled, world


def test_agreement_of_known_orders() -> None:
    rank = np.array([[0, 1, 2], [0, 2, 1], [2, 1, 0]])
    assert kendall_tau(rank) == pytest.approx(np.array([[1, 1 / 3, -1], [1 / 3, 1, -1 / 3], [-1, -1 / 3, 1]]))
    two = np.array([[0, 1], [1, 0]])
    assert rank_biased_overlap(two, 0.9) == pytest.approx(np.array([[1, 0.9], [0.9, 1]]))
    # A(1) = 1, A(2) = 1/2, A(3) = 1; p = 1/2: 1/2 + 1/8 * 1/2 * ... = (1/2) + (1/2)(1/4) + (1/8) + 1/8
    assert rank_biased_overlap(rank[:2], 0.5)[0, 1] == pytest.approx(0.5 + 0.125 + 0.125 + 0.125)


def test_overlap_by_chance_is_the_mean_over_all_orders() -> None:
    every = np.array(list(permutations(range(4))))
    assert overlap_by_chance(4, 0.8) == pytest.approx(rank_biased_overlap(every, 0.8).mean())


def test_agreement_tells_a_mind_from_an_echo() -> None:
    windows = [(f"q{at}", [f"d{number}" for number in range(8)]) for at in range(20)]
    sure = agreement_of(shuffled(windows, lambda _, docids, __: np.argsort(docids).tolist(), 5), 8, seed=0)
    none = agreement_of(shuffled(windows, lambda _, docids, __: range(len(docids)), 5), 8, seed=0)
    assert sure is not None
    assert none is not None
    assert sure.tau.value == sure.overlap.value == 1
    assert sure.tau.p == sure.overlap.p
    assert sure.tau.p is not None
    assert sure.tau.p < 0.001
    assert none.tau.p is not None
    assert none.tau.p > 0.05
    assert none.overlap.value == pytest.approx(none.overlap_by_chance, abs=0.03)
    assert agreement_of([], 8, seed=0) is None


def test_habits() -> None:
    shown = ("a", "b", "c")
    answers: list[tuple[tuple[int, ...] | None, dict[str, int]]] = [
        ((0, 1, 2), {}),
        ((2, 1, 0), {}),
        ((1, 0, 2), {"missing": 2}),
        (None, {}),
    ]
    habits = habits_of(
        [Observation("m", qid, shown, order, repairs) for qid in "pq" for order, repairs in answers], seed=0
    )
    assert habits.echoed.value == habits.reversed.value == pytest.approx(1 / 3)
    assert habits.mended.value == habits.unreadable.value == 1 / 4
    assert habits.repairs == {"missing": 2}
    assert habits_of([Observation("m", "q", shown, None)], seed=0).unreadable.value == 1


def test_ndcg_is_trec_evals() -> None:
    draw = random.Random(3)
    grades = [[draw.choice([0, 0, 1, 2, 3]) for _ in range(15)] for _ in range(20)]
    qrels = [
        ir_measures.Qrel(str(at), f"d{rank}", grade)
        for at, line in enumerate(grades)
        for rank, grade in enumerate(line)
    ]
    run = [ir_measures.ScoredDoc(str(at), f"d{rank}", float(-rank)) for at in range(20) for rank in range(15)]
    measured = {each.query_id: each.value for each in ir_measures.iter_calc([ir_measures.nDCG @ 10], qrels, run)}
    assert ndcg(np.array(grades, dtype=float)) == pytest.approx([measured[str(at)] for at in range(20)])
    assert np.isnan(ndcg(np.zeros(4)))


def test_quality_by_the_order_shown() -> None:
    """A model that repeats what it is shown is as good as that."""
    shown: dict[Order, tuple[str, ...]] = {
        "shuffled": ("b", "a", "c"),
        "first": ("a", "b", "c"),
        "last": ("c", "b", "a"),
    }
    observations = [
        Observation("m", qid, docids, (0, 1, 2), order=order) for qid in "pq" for order, docids in shown.items()
    ] + [Observation("m", "p", ("b", "c", "a"), None, order="reversed")]
    grades = {(qid, "a"): 1.0 for qid in "pq"}
    rows = {each.order: each for each in by_input_order(observations, 3, grades, seed=0)}
    assert list(rows) == ["reversed", "shuffled", "first", "last"]
    assert rows["first"].answered.value == rows["first"].shown == 1
    assert rows["last"].answered.value == rows["reversed"].answered.value == 0.5
    assert rows["shuffled"].over_shuffled is None
    assert rows["first"].over_shuffled is not None
    assert rows["first"].over_shuffled.value == pytest.approx(1 - 1 / np.log2(3))
    assert not by_input_order(observations, 3, {}, seed=0)


def test_sizes_and_lengths_are_compared_by_query() -> None:
    """In windows of 8 it echoes, in those of 4 it ranks; and only long passages stay where they are shown."""
    windows = [(f"q{at}", [f"d{number}" for number in range(8)]) for at in range(12)]

    def small(_: str, docids: Sequence[str], __: int) -> Sequence[int]:
        return sorted(range(len(docids)), key=lambda at: docids[at])

    observations = shuffled(windows, lambda _, docids, __: range(len(docids)), 4)
    observations += shuffled([(qid, docids[:4]) for qid, docids in windows], small, 4)
    lengths = {(qid, docid): float(at) for qid, docids in windows for at, docid in enumerate(docids)}
    study = study_of(observations, lengths=lengths, size=4)
    assert [each.size for each in study.positions] == [4, 8]
    (contrast,) = study.sizes
    assert contrast.less.value == pytest.approx(0, abs=1e-9)
    assert contrast.more.value == contrast.difference.value == pytest.approx(1)
    assert contrast.difference.p is not None
    assert contrast.difference.p < 0.01
    assert study.length is not None
    assert study.length.difference.value == pytest.approx(0, abs=1e-9)
    assert study_of(observations).positions[0].size == 8


def test_systems_are_compared_with_the_first_of_their_group() -> None:
    first = [Played(qid, docids, 1) for qid in "pqr" for docids in (("a", "b", "c"), ("c", "b", "a"))]
    better = [Played(qid, ("a", "b", "c"), 5) for qid in "pqr" for _ in range(2)]
    one, five = compare_systems({"one": first, "five": better}, {(qid, "a"): 1.0 for qid in "pqr"}, seed=0)
    assert (one.tau.value, five.tau.value, five.calls, five.starts, five.candidates) == (-1, 1, 5, 2, 3)
    assert (one.tau_over, one.ndcg_over, one.against) == (None, None, None)
    assert five.against == "one"
    assert five.tau_over is not None
    assert five.tau_over.value == 2
    assert five.ndcg_over is not None
    assert five.ndcg_over.value == pytest.approx(0.25)
    assert compare_systems({"one": first}, None, seed=0)[0].ndcg is None


def test_a_study_is_the_same_again_and_says_what_it_found() -> None:
    made = world(Traits(bias="head", strength=2.0), queries=15)
    study = study_of(made.observations, simulated=True)
    assert asdict(study) == asdict(study_of(made.observations, simulated=True))
    said = verdict(study)
    assert said[0] == "position moves passages (p < .001 for any effect)"
    assert said[1].startswith("shown first gains a passage ")
    assert said[2].startswith("shown last costs a passage ")
    assert said[2].endswith(" ranks; p < .001")
    assert any("Kendall's tau" in each for each in said)


def test_words_for_nothing_found_and_nothing_known() -> None:
    made = world(Traits(), queries=15)
    assert verdict(study_of(made.observations))[0].startswith(
        "no effect of position on the rank given was found (p = ."
    )
    asked = [replace(each, order="asked") for each in made.observations if each.sample == 0]
    assert "position and quality cannot be told apart" in verdict(study_of(asked))[0]
    unread = [replace(each, permutation=None) for each in asked]
    assert verdict(study_of(unread))[0] == TOO_FEW
