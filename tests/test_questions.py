"""Every question a strategy can ask, from its template to the order: choices, first tokens, relevance."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest

from listwise import Candidate, Query, Request, Reranker
from listwise.asking import Asker, Reply
from listwise.calls import LABELS, AnswerForm, Call, Completion, Message, Sampling
from listwise.errors import AnswerError, ConfigError, Refused, Unreadable
from listwise.forms import FORMS, forms_for
from listwise.layers import Answer
from listwise.permutation import complete
from listwise.policy import OnBadAnswer
from listwise.prompt_choice import default_prompt
from listwise.reading import Reading
from listwise.spend.tab import Budget, Tab
from listwise.strategies import Graded, StrategyName
from listwise.types import Usage
from tests.layers.models import MemoryModel
from tests.loopback import Asked, Said, ScriptedServer
from tests.loopback.dialects import tokens_of

QUESTIONS: list[StrategyName] = ["first", "setwise", "pairwise", "pairwise-all", "pointwise"]


class Weighing(MemoryModel):
    """A model in memory that can say how likely its tokens were."""

    gives_logprobs = True


def shown(prompt: str) -> list[int]:
    """The worths of the passages ``worth N`` of a prompt, in the order shown."""
    return [int(worth) for worth in re.findall(r"worth (\d+)", prompt)]


def likely(prompt: str) -> dict[str, float]:
    """Log-probabilities of a model that is never wrong: of yes or no where one passage is shown, else of labels."""
    worths = shown(prompt)
    if "'Yes' or 'No'" in prompt:
        yes = (worths[0] + 1) / 102
        return {"Yes": log(yes), "No": log(1 - yes)}
    total = sum(2.0**worth for worth in worths)
    order = sorted(zip(LABELS, worths, strict=False), key=lambda pair: -pair[1])
    return {label: log(2.0**worth / total) for label, worth in order}


def perfect(*, weighs: bool = True) -> Callable[[Call], Completion]:
    def answer(call: Call) -> Completion:
        alternatives = likely(call.messages[-1].content)
        said = max(alternatives, key=alternatives.__getitem__)
        return Completion(said, Usage(10, output_tokens=1), "m", leading=(alternatives,) if weighs else None)

    return answer


def request(n: int, qid: str = "q") -> Request:
    """Passages whose worth rises towards the end, so that every order is turned round."""
    return Request(Query(qid, "what"), tuple(Candidate(f"d{at}", f"worth {at}") for at in range(n)))


def reranker(model: Any, **settings: Any) -> Reranker:
    return Reranker(model=model, **{"local": "none", "escalate": "always", "cache": "off", "depth": 20, **settings})


@pytest.mark.parametrize("strategy", QUESTIONS)
@pytest.mark.parametrize("weighs", [True, False])
async def test_a_model_that_is_never_wrong_brings_the_best_to_the_top(strategy: StrategyName, weighs: bool) -> None:
    if strategy in {"first", "pointwise"} and not weighs:
        pytest.skip("needs log-probabilities to tell more than two grades")
    model = Weighing(perfect(weighs=weighs))
    ranking = await reranker(model, strategy=strategy, top=5, trace=True).arerank(request(20))
    assert ranking.docids[:5] == ("d19", "d18", "d17", "d16", "d15")
    assert (ranking.receipt.degraded, ranking.receipt.repairs) == ((), {})
    assert ranking.receipt.calls == len(model.asked)
    assert all((window.scores is not None) is weighs for window in ranking.windows)


async def test_relevance_without_log_probabilities_has_two_grades() -> None:
    model = MemoryModel(perfect(weighs=False))
    ranking = await reranker(model, strategy="pointwise", depth=100).arerank(request(100))
    assert ranking.docids == tuple(f"d{at}" for at in (*range(50, 100), *range(50)))
    assert ranking.receipt.degraded == ()


@pytest.mark.parametrize(
    ("strategy", "form", "tokens"),
    [("first", "first", 4), ("setwise", "choice", 24), ("pairwise", "choice", 24), ("pointwise", "relevance", 24)],
)
async def test_calls_are_small_and_say_their_form(strategy: StrategyName, form: AnswerForm, tokens: int) -> None:
    model = Weighing(perfect())
    await reranker(model, strategy=strategy).arerank(request(4))
    assert {(call.form, call.sampling.max_output_tokens) for call in model.asked} == {(form, tokens)}
    assert {call.passages for call in model.asked} <= {1, 2, 3, 4}


@pytest.mark.parametrize("strategy", ["setwise", "pairwise", "pointwise"])
async def test_a_model_that_reasons_has_room_to(strategy: StrategyName) -> None:
    model = MemoryModel(perfect(weighs=False), context_tokens=40_000)
    model.reasons = True
    await reranker(model, strategy=strategy).arerank(request(4))
    assert {call.sampling.max_output_tokens for call in model.asked} == {8192 + 24}


async def test_first_on_a_server_without_log_probabilities_keeps_the_order_and_says_so() -> None:
    model = Weighing(perfect(weighs=False))
    ranking = await reranker(model, strategy="first", on_bad_answer="reask").arerank(request(5))
    assert ranking.docids == ("d0", "d1", "d2", "d3", "d4")
    (said,) = ranking.receipt.degraded
    assert said.startswith("1 window(s) kept their order: the server gives no log-probabilities: ")
    assert len(model.asked) == 1, "asking again would not help"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"strategy": "setwise", "prompt": "rankgpt"},
            r"rankgpt \(form: text\) .* setwise asks; .*: pairwise, setwise",
        ),
        (
            {"strategy": "pointwise", "prompt": "setwise"},
            r"setwise \(form: choice\) .* pointwise asks; .*: pointwise",
        ),
        ({"strategy": "sliding", "prompt": "first"}, r"first .* sliding asks; .*: rankgpt, rankzephyr, structured"),
        (
            {"strategy": "first", "window": 27, "depth": 100},
            "labels for 26 passages, .* strategy first shows more at once",
        ),
    ],
)
def test_a_template_must_answer_what_the_strategy_asks(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        reranker(Weighing(perfect()), **settings)


def test_first_needs_a_model_that_gives_log_probabilities() -> None:
    with pytest.raises(ConfigError, match=r"memory/model gives no log-probabilities, .* template first"):
        reranker(MemoryModel(perfect()), strategy="first")
    for llm in ("anthropic/claude-haiku-4-5", "openai/gpt-5"):
        with pytest.raises(ConfigError, match=f"{llm} gives no log-probabilities"):
            Reranker(llm=llm, base_url="http://127.0.0.1:9", local="none", strategy="first", cache="off")


def test_a_wide_window_does_no_harm_to_strategies_that_show_few() -> None:
    reranker(MemoryModel(perfect()), strategy="pairwise", window=50).close()


def test_default_prompts_by_question() -> None:
    assert default_prompt("openai/gpt-4o") == "rankgpt"
    assert default_prompt("vllm/castorini/rank_zephyr_7b_v1_full") == "rankzephyr"
    assert default_prompt("vllm/castorini/rank_zephyr_7b_v1_full", "first") == "first"
    assert default_prompt("m", "choice", 2) == "pairwise"
    assert default_prompt("m", "choice", 3) == "setwise"
    assert default_prompt("m", "relevance", 1) == "pointwise"


class Scripted:
    """A layer that says one answer after the other."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked: list[Call] = []

    async def ask(self, call: Call, tab: Tab) -> Answer:
        self.asked.append(call)
        return Answer(Completion(self._answers.pop(0), Usage(), "m"))


async def reply(form: AnswerForm, policy: OnBadAnswer, *answers: str, n: int = 3) -> tuple[Reply, list[Call]]:
    layer = Scripted(*answers)
    call = Call((Message("user", "?"),), Sampling(24), form, n)
    return await Asker(layer, policy).ask(call, Tab("q", Budget())), layer.asked


@pytest.mark.parametrize(
    ("form", "n", "bad", "good", "permutation", "reask"),
    [
        ("choice", 3, "Both A and B.", "C", (2, 0, 1), "nothing but its label: one letter from A to C."),
        ("choice", 2, "", "Passage B", (1, 0), "nothing but its label: A or B."),
        ("relevance", 1, "Maybe", "Yes", (0,), "nothing but Yes or No."),
        ("text", 3, "[2]", "[2] > [3] > [1]", (1, 2, 0), "the identifiers of all 3 passages"),
    ],
)
async def test_bad_answers_are_asked_again_in_the_words_of_the_form(
    form: AnswerForm, n: int, bad: str, good: str, permutation: tuple[int, ...], reask: str
) -> None:
    once, calls = await reply(form, "reask", good, n=n)
    assert (once.permutation, len(calls)) == (permutation, 1)
    twice, calls = await reply(form, "reask", bad, good, n=n)
    assert (twice.permutation, twice.calls) == (permutation, 2)
    assert reask in calls[1].messages[-1].content
    assert calls[1].form == form


async def test_bad_choices_and_verdicts_under_the_other_policies() -> None:
    kept, _ = await reply("choice", "keep", "Both A and B.")
    assert (kept.permutation, kept.keeps, kept.settled) == (None, True, True)
    repaired, _ = await reply("choice", "repair", "Both A and B.")
    assert (repaired.permutation, repaired.settled) == (None, False)
    whole, _ = await reply("choice", "keep", "B")
    assert whole.permutation == (1, 0, 2), "one label is all that was asked for"
    for answer, kind in (("Maybe", Unreadable), ("I'm sorry, I cannot say.", Refused)):
        with pytest.raises(kind, match="query 'q'"):
            await reply("relevance", "raise", answer, n=1)
    with pytest.raises(AnswerError):
        await reply("first", "raise", "B")


async def test_a_verdict_on_several_passages_is_none() -> None:
    several, _ = await reply("relevance", "repair", "Yes", n=2)
    assert several.permutation is None


async def test_grades_reach_the_strategy_with_what_did_not_fit_below() -> None:
    graded, _ = await reply("relevance", "repair", "No", n=1)
    assert isinstance(graded.permutation, Graded)
    assert graded.permutation.scores == (-1.0,)
    whole = Reading(0, "m", (7,), None, graded, left_out=2).permutation
    assert isinstance(whole, Graded)
    assert (whole, whole.scores) == ((0, 1, 2), (-1.0, -2.0, -2.0))
    chosen, _ = await reply("choice", "repair", "B")
    assert not isinstance(chosen.permutation, Graded), "a label alone is no grade"


@pytest.mark.parametrize("strategy", QUESTIONS)
def test_a_plan_is_what_a_run_asks(strategy: StrategyName, tmp_path: Path) -> None:
    """Over a real server that answers in words or log-probabilities, and agrees with the prior order."""

    def agrees(asked: Asked) -> Said:
        likely = {"Yes": -0.1, "No": -2.4} if "'Yes' or 'No'" in asked.prompt else {"A": -0.1, "B": -2.4}
        messages = asked.body["messages"]
        tokens = 3 + sum(3 + tokens_of(each["role"]) + tokens_of(each["content"]) for each in messages)
        return Said(next(iter(likely)), tokens, leading=[likely])

    prices = tmp_path / "prices.toml"
    prices.write_text('["openai/gpt-4o"]\ninput = 2.5\noutput = 10\n')
    with ScriptedServer(agrees) as server, Reranker(
        llm="openai/gpt-4o", base_url=server.base_url, prices=prices, local="none", escalate="always",
        strategy=strategy, depth=8, window=4, stride=2, top=3, cache=str(tmp_path / "cache"),
        guard="off",
    ) as own:  # fmt: skip
        plan = own.plan([request(8)])
        ranking = own.rerank(request(8))
        again = own.plan([request(8)])
    (planned,) = plan.strategies
    assert planned.calls == ranking.receipt.calls == len(server.asked)
    assert float(ranking.receipt.usd) == pytest.approx(planned.usd.expected)
    assert planned.usd.expected < planned.usd.high
    assert ranking.docids == tuple(f"d{at}" for at in range(8))
    assert again.strategies[0].cached == planned.calls
    assert all("top_logprobs" in asked.body for asked in server.asked)


async def test_other_strategies_are_planned_with_templates_of_their_own() -> None:
    own = reranker(Weighing(perfect()), strategy="sliding", prices=None)
    plan = await own.aplan([request(20)], strategies=QUESTIONS)
    assert [each.strategy for each in plan.strategies] == ["sliding", *QUESTIONS]
    assert plan.strategies[0].calls == plan.strategies[1].calls
    fixed = reranker(Weighing(perfect()), strategy="sliding", prompt="rankgpt")
    plan = await fixed.aplan([request(20)], strategies=["single", "setwise"])
    assert [each.strategy for each in plan.strategies] == ["sliding", "single"]
    assert "rankgpt" in plan.left_out["setwise"]
    plan = await reranker(MemoryModel(perfect()), strategy="sliding").aplan([request(20)], strategies=["first"])
    assert "gives no log-probabilities" in plan.left_out["first"]


async def test_alternatives_come_back_from_the_cache(tmp_path: Path) -> None:
    model = Weighing(perfect())
    settings: dict[str, Any] = {"strategy": "first", "cache": str(tmp_path)}
    first = await reranker(model, **settings).arerank(request(6))
    again = await reranker(model, **settings).arerank(request(6))
    assert first.docids == again.docids == tuple(f"d{at}" for at in range(5, -1, -1))
    assert (len(model.asked), again.receipt.cache_hits) == (1, 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [1, 2, 3, 26, 40])
def test_the_answer_that_plans_count_with_keeps_the_order_shown(form: AnswerForm, n: int) -> None:
    n = 1 if form == "relevance" else n
    text, leading = FORMS[form].as_shown(n)
    parsed = FORMS[form].read(Completion(text, Usage(), "m", leading=leading), n)
    assert complete(parsed) == tuple(range(n))
    assert FORMS[form].is_whole(parsed)
    assert forms_for(FORMS[form].question).count(form) == 1
