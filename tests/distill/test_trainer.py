"""Steps, schedule and checkpoints on a tiny BERT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra listwise[train]")
pytest.importorskip("transformers", reason="needs the extra listwise[train]")

import torch

from listwise.distill.checkpoints import STATE, Checkpoints
from listwise.distill.cross_encoder import PairEncoder, Trainer, bucketed, triangle
from listwise.distill.distillation import Task, make_task
from listwise.distill.fitting import Interrupted, Progress, Recipe, drawn, fit
from listwise.distill.lessons import Lesson
from listwise.distill.opinions import read_opinions
from listwise.errors import ConfigError, InputError
from listwise.formats import read_requests
from tests.distill.conftest import make_bert

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

RECIPE = Recipe(epochs=4, lessons_a_step=4, passages_a_lesson=8, rate=2e-3, check_every=6, patience=99)


@pytest.fixture
def task(collection: Path) -> Task:
    requests = list(read_requests(collection / "requests.jsonl"))
    return make_task(requests, [read_opinions("trace", collection / "trace.jsonl")])


def trained(bert: Path, task: Task, folder: Path, **more: Any) -> tuple[Trainer, Any]:
    torch.set_num_threads(1)
    trainer = Trainer(PairEncoder(bert, 32))
    recipe = more.pop("recipe", RECIPE)
    return trainer, fit(trainer, task.lessons, task.exams, recipe, Checkpoints(folder), {"of": "a test"}, **more)


def weights(trainer: Trainer) -> dict[str, Any]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_held_out_queries_gain_and_the_same_seed_gives_the_same_weights(
    bert: Path, task: Task, tmp_path: Path
) -> None:
    first, fitted = trained(bert, task, tmp_path / "one")
    again, _ = trained(bert, task, tmp_path / "two")
    assert fitted.best.ndcg > fitted.checks[0].ndcg + 0.1
    assert fitted.best.ndcg == max(check.ndcg for check in fitted.checks)
    assert same(weights(first), weights(again))


@pytest.mark.parametrize("stop_at", [3, 6, 13])
def test_an_interrupted_training_ends_in_the_same_weights(
    bert: Path, task: Task, tmp_path: Path, stop_at: int
) -> None:
    whole, fitted = trained(bert, task, tmp_path / "whole")
    steps: list[int] = []

    def note(progress: Progress) -> None:
        steps.append(progress.step)

    with pytest.raises(Interrupted, match=f"after step {stop_at} of"):
        trained(bert, task, tmp_path / "part", report=note, stop=lambda: steps[-1] == stop_at)
    resumed, ended = trained(bert, task, tmp_path / "part", report=note)
    assert steps == list(range(1, RECIPE.steps(len(task.lessons)) + 1))
    assert same(weights(whole), weights(resumed))
    assert [check.ndcg for check in ended.checks] == [check.ndcg for check in fitted.checks]


def test_a_training_with_other_settings_is_not_gone_on_with(bert: Path, task: Task, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        trained(bert, task, tmp_path, stop=lambda: True)
    with pytest.raises(ConfigError, match="of was 'a test' and is 'another'"):
        fit(Trainer(PairEncoder(bert, 32)), task.lessons, [], RECIPE, Checkpoints(tmp_path), {"of": "another"})


def test_a_damaged_checkpoint_is_said_so(bert: Path, task: Task, tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match="damaged checkpoint"):
        trained(bert, task, tmp_path)


def test_training_stops_early_and_keeps_the_best(bert: Path, task: Task, tmp_path: Path) -> None:
    harmful = Recipe(epochs=40, rate=1.0, check_every=1, patience=2)
    trainer, fitted = trained(bert, task, tmp_path, recipe=harmful)
    assert len(fitted.checks) - 1 - fitted.checks.index(fitted.best) == 2
    assert fitted.checks[-1].step < fitted.steps
    if fitted.best.step == 0:
        assert same(weights(trainer), weights(Trainer(PairEncoder(bert, 32))))


def test_scores_do_not_depend_on_batches(bert: Path) -> None:
    passages = ["a b", "c", "d e f g h i j k l m n o p q r s t u v w x y z", "", "b b b"] * 3
    few, many = (Trainer(PairEncoder(bert, 24), tokens_a_batch=tokens) for tokens in (16, 4096))
    few.half = many.half = False
    assert few.score("a", passages) == pytest.approx(many.score("a", passages), abs=1e-5)
    assert many.score("a", []) == []


def test_a_step_over_batches_is_the_step_over_one(bert: Path) -> None:
    texts = tuple(" ".join("abcdefghij"[: 1 + at]) for at in range(10))
    lesson = Lesson("q", "a", texts, np.arange(10, dtype=np.float32), "ranknet")
    few, many = (Trainer(PairEncoder(bert, 24), tokens_a_batch=tokens) for tokens in (16, 4096))
    few.half = many.half = False
    assert few.step([lesson], 1e-3) == pytest.approx(many.step([lesson], 1e-3), abs=1e-6)
    for name, parameter in few.parameters.items():
        assert torch.allclose(parameter.grad, many.parameters[name].grad, atol=1e-5), name


def test_two_labels_become_the_difference_of_their_logits(tmp_path: Path) -> None:
    start = make_bert(tmp_path / "two", labels=2)
    from transformers import BertForSequenceClassification

    two = BertForSequenceClassification.from_pretrained(start).eval()
    one = PairEncoder(start, 32).eval()
    [batch] = one.batches([("a", "b c"), ("d", "e f")])
    with torch.no_grad():
        logits = two(input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.kinds).logits
        assert torch.allclose(one(batch.ids, batch.mask, batch.kinds), logits[:, 1] - logits[:, 0], atol=1e-5)


def test_an_encoder_gets_a_head_by_the_seed(tmp_path: Path) -> None:
    start = make_bert(tmp_path / "encoder", kind="encoder")
    first, again, other = (PairEncoder(start, 32, seed) for seed in (1, 1, 2))
    assert not first.has_head
    assert torch.equal(first.network.classifier.weight, again.network.classifier.weight)
    assert not torch.equal(first.network.classifier.weight, other.network.classifier.weight)


@given(st.lists(st.integers(1, 90), max_size=60), st.integers(8, 300))
def test_buckets_hold_everything_once_within_the_bound(lengths: list[int], tokens: int) -> None:
    runs = list(bucketed(lengths, tokens))
    assert sorted(place for run in runs for place in run) == list(range(len(lengths)))
    assert all(len(run) == 1 or len(run) * max(lengths[place] for place in run) <= tokens for run in runs)


@given(st.integers(1, 500), st.floats(0, 0.5))
def test_the_rate_rises_to_its_peak_and_falls_to_zero(steps: int, warm_up: float) -> None:
    rates = [triangle(step, steps, 2.0, warm_up) for step in range(steps)]
    top = rates.index(max(rates))
    assert min(rates) > 0
    assert max(rates) <= 2.0
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert triangle(steps, steps, 2.0, warm_up) == 0


@given(st.integers(1, 30), st.integers(1, 7), st.integers(0, 5))
def test_an_epoch_draws_every_lesson_once(count: int, lessons_a_step: int, seed: int) -> None:
    texts = tuple(map(str, range(20)))
    lessons = [Lesson(str(at), "x", texts, np.arange(20, dtype=np.float32)) for at in range(count)]
    recipe = Recipe(epochs=2, lessons_a_step=lessons_a_step, passages_a_lesson=6, seed=seed)
    steps = [drawn(lessons, recipe, step) for step in range(recipe.steps(count))]
    qids = [lesson.qid for step in steps for lesson in step]
    assert sorted(qids[:count]) == sorted(qids[count:]) == sorted(map(str, range(count)))
    assert all(len(lesson.passages) == 6 for step in steps for lesson in step)
    assert [lesson.passages for lesson in drawn(lessons, recipe, 0)] == [lesson.passages for lesson in steps[0]]
