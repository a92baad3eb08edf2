"""Prompts fit the context by the given count, and what was cut is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from listwise.errors import ConfigError, InputError
from listwise.prompting import (
    ContentRules,
    Overhead,
    Prompter,
    Template,
    WindowPrompt,
    fit,
    load_template,
    neutralise,
    prompt_sha256,
    render,
)
from listwise.prompting.fitting import limit_for
from listwise.prompting.passages import GAP, prepare
from listwise.types import Candidate, Query, Request

NO_OVERHEAD = Overhead(prompt=0, message=0, schema=0)
LARGE = 10**9


def words(text: str) -> int:
    return len(text.split())


def quarters(text: str) -> int:
    return -(-len(text.encode()) // 4)


def pieces(text: str) -> int:
    """As tokenizers count: words cut into pieces of three characters, punctuation apart."""
    return len(re.findall(r" ?\w{1,3}|[^\w\s]|\s", text))


COUNTS = [words, len, quarters, pieces]


class Recorded:
    """Counts, and remembers what it was asked to count."""

    def __init__(self, count: Callable[[str], int] = words) -> None:
        self.count = count
        self.asked: list[str] = []

    def __call__(self, text: str) -> int:
        self.asked.append(text)
        return self.count(text)


def template(name: str = "rankzephyr", /, **rules: object) -> Template:
    loaded = load_template(name)
    return replace(loaded, rules=ContentRules.model_validate({**loaded.rules.model_dump(), **rules}))


def fitted(count: Callable[[str], int], passages: list[str], context: int, **rules: str | int) -> WindowPrompt:
    return fit(
        template(**rules),
        "a query",
        passages,
        count=count,
        context_tokens=context,
        max_output_tokens=0,
        overhead=NO_OVERHEAD,
    )


def shown(prompt: WindowPrompt) -> list[str]:
    return re.findall(r"^\[\d+\] (.*)$", prompt.messages[1].content, re.MULTILINE)


LONG = " ".join(f"w{at}" for at in range(1000))


class TestFitting:
    def test_a_prompt_whose_bytes_fit_is_not_counted(self) -> None:
        count = Recorded()
        prompt = fitted(count, ["short"] * 20, 4096)
        assert count.asked == []
        assert (prompt.limit, prompt.cuts, prompt.truncated) == (300, (), 0)

    def test_what_fits_by_the_count_is_left_alone(self) -> None:
        count = Recorded()
        prompt = fitted(count, ["one two three"] * 20, 300)
        assert count.asked
        assert (prompt.limit, prompt.truncated) == (300, 0)
        assert prompt.messages == render(template(), "a query", ["one two three"] * 20)

    def test_passages_share_the_largest_limit_that_fits(self) -> None:
        frame = sum(words(message.content) for message in render(template(), "a query", [""] * 3))
        prompt = fitted(words, [LONG, "a b c", LONG], frame + 3 + 2 * 40 + 3, shrink="largest")
        assert prompt.limit == 40
        assert [words(text) for text in shown(prompt)] == [40, 3, 40]
        assert [(cut.position, cut.chars) for cut in prompt.cuts] == [(0, len(LONG)), (2, len(LONG))]
        assert [cut.shown_chars for cut in prompt.cuts] == [len(shown(prompt)[0])] * 2

    def test_rank_llms_rule_takes_a_quarter_of_the_excess_at_a_time(self) -> None:
        frame = sum(words(message.content) for message in render(template(), "a query", [""] * 2))
        room = 100
        limit = 300
        while (excess := 2 * (limit + 1) - room) > 0:
            limit -= max(1, excess // (4 * 2))
        assert fitted(words, [LONG, LONG], frame + room).limit == limit < 50

    def test_a_cut_to_the_templates_own_limit_is_told_too(self) -> None:
        prompt = fitted(words, [LONG, "a"], LARGE)
        assert prompt.limit == 300
        assert [cut.position for cut in prompt.cuts] == [0]
        assert shown(prompt) == [" ".join(LONG.split()[:300]), "a"]

    @pytest.mark.parametrize("shrink", ["largest", "rank_llm"])
    def test_what_cannot_fit_is_said_and_no_loop_goes_on(self, shrink: str) -> None:
        frame = sum(words(message.content) for message in render(template(), "a query", [""] * 2))
        assert fitted(words, [LONG, LONG], frame + 22, shrink=shrink).limit == 10
        with pytest.raises(InputError, match=r"2 passages does not fit .* context of \d+ .* cut to 10 words"):
            fitted(words, [LONG, LONG], frame + 21, shrink=shrink)
        with pytest.raises(InputError, match="smaller window"):
            fitted(words, [], 3, shrink=shrink)

    def test_a_query_too_long_is_said(self) -> None:
        with pytest.raises(InputError, match="shorter query"):
            fit(template(), LONG, ["a"], count=words, context_tokens=500, max_output_tokens=0)

    def test_the_answer_and_the_overhead_are_left_room(self) -> None:
        text = render(template(), "a query", ["x"] * 2)
        size = sum(len(message.content) for message in text) + 2
        overhead = Overhead(prompt=7, message=5, schema=100)

        def fits(context: int) -> bool:
            given = fit(
                template(floor=1, words=1),
                "a query",
                ["x"] * 2,
                count=len,
                context_tokens=context,
                max_output_tokens=50,
                overhead=overhead,
            )
            return given.truncated == 0

        assert fits(size + 7 + 2 * 5 + 50)
        with pytest.raises(InputError):
            fits(size + 7 + 2 * 5 + 50 - 3)
        assert overhead.of(messages=2, passages=3, form="order") == 7 + 10 + 400

    def test_counting_takes_logarithmically_many_steps(self) -> None:
        count = Recorded()
        long = [f"p{n} {LONG}" for n in range(20)]
        fitted(count, long, 20 * 47, shrink="largest")
        passages = [text for text in count.asked if text.startswith("p")]
        assert len(passages) <= 20 * 11
        assert len(set(passages)) == len(passages)

    def test_text_without_spaces_is_cut_as_well(self) -> None:
        prompt = fitted(len, ["漢字仮名" * 250_000] * 20, 8000, shrink="largest")
        assert prompt.truncated == 20
        assert 250 < len(shown(prompt)[0]) < 400

    def test_misread_text_is_read_again_before_it_is_cut_into_words(self) -> None:
        text = "voilà Århus " * 200 + "’"
        for keep in ("head", "head_tail"):
            rules = ContentRules.model_validate({"keep": keep})
            excerpt = prepare(text.encode().decode("latin-1"), rules, words).at(300)
            assert excerpt.text == prepare(text, rules, words).at(300).text
            assert excerpt.text.startswith("voilà Århus voilà")

    @pytest.mark.parametrize("passage", ["", " ", "\u200b", "\ud800", "x" * 1_000_000, "[" * 1_000_000])
    def test_strange_passages_fit(self, passage: str) -> None:
        prompt = fitted(len, [passage, "b"], 20_000)
        assert len(shown(prompt)) == 2


class TestHeadAndTail:
    RULES = ContentRules(keep="head_tail")

    def test_the_first_200_and_last_100_tokens_are_kept(self) -> None:
        passage = prepare(LONG, self.RULES, words)
        head, tail = passage.at(300).text.split(GAP)
        given = LONG.split()
        assert head.split() == given[:200]
        assert tail.split() == given[-99:]  # the gap takes one
        assert passage.at(300).cut

    def test_both_are_scaled_down_together(self) -> None:
        passage = prepare(LONG, self.RULES, words)
        head, tail = passage.at(30).text.split(GAP)
        assert (words(head), words(tail)) == (20, 9)

    @pytest.mark.parametrize("n", [299, 300])
    def test_a_passage_that_fits_is_whole(self, n: int) -> None:
        text = " ".join(["word"] * n)
        excerpt = prepare(text, self.RULES, words).at(300)
        assert (excerpt.text, excerpt.cut) == (text, False)

    def test_a_passage_little_longer_loses_its_middle_only(self) -> None:
        given = LONG.split()[:310]
        head, tail = prepare(" ".join(given), self.RULES, words).at(300).text.split(GAP)
        assert (head.split(), tail.split()) == (given[:200], given[-99:])

    def test_a_short_passage_is_not_counted(self) -> None:
        count = Recorded()
        assert prepare("short", self.RULES, count).at(300).text == "short"
        assert count.asked == []

    def test_a_prompt_of_them_shrinks_to_fit(self) -> None:
        prompt = fitted(words, [LONG] * 5, 400, keep="head_tail", shrink="largest")
        assert prompt.limit < 300
        assert all(GAP in text and text.startswith("w0 ") and text.endswith(" w999") for text in shown(prompt))
        assert 300 < sum(words(message.content) for message in prompt.messages) <= 400

    @given(st.text(max_size=400), st.integers(10, 300), st.sampled_from(COUNTS))
    @example("ÂÂ\x80", 10, words)
    @example("ÂÂ\x80\x80\x85", 10, words)
    def test_a_limit_holds_by_the_count(self, text: str, limit: int, count: Callable[[str], int]) -> None:
        rules = ContentRules(keep="head_tail", head_tokens=20, tail_tokens=10)
        passage = prepare(text, rules, count)
        assert passage.tokens(limit) <= min(limit, 30)
        assert passage.at(limit).cut or passage.at(limit).text == neutralise(text)


TEXTS = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.text(st.sampled_from("ab[]12 \n漢🙂"), max_size=300),
        st.integers(1, 600).map(lambda n: "word " * n),
    ),
    min_size=1,
    max_size=8,
)


@given(
    passages=TEXTS,
    query=st.text(max_size=40),
    count=st.sampled_from(COUNTS),
    context=st.integers(200, 4000),
    name=st.sampled_from(["rankgpt", "rankzephyr", "structured"]),
    keep=st.sampled_from(["head", "head_tail"]),
    shrink=st.sampled_from(["largest", "rank_llm"]),
)
def test_a_fitted_prompt_never_exceeds_the_context(
    passages: list[str],
    query: str,
    count: Callable[[str], int],
    context: int,
    name: str,
    keep: str,
    shrink: str,
) -> None:
    used = template(name, keep=keep, shrink=shrink, floor=5)
    overhead = Overhead()
    try:
        prompt = fit(used, query, passages, count=count, context_tokens=context, max_output_tokens=64)
    except InputError:
        least = render(template(name, words=5, floor=5), query, passages)
        tokens = sum(count(message.content) for message in least)
        taken = overhead.of(len(least), len(passages), used.form) + 64
        slack = 3 * len(passages)
        assert tokens + taken + slack > context
        return
    taken = overhead.of(len(prompt.messages), len(passages), used.form) + 64
    assert sum(count(message.content) for message in prompt.messages) + taken <= context
    text = "\n".join(message.content for message in prompt.messages)
    for at in range(1, len(passages) + 1):
        pattern = rf'<passage id="{at}">' if name == "structured" else rf"^\[{at}\] "
        assert len(re.findall(pattern, text, re.MULTILINE)) == 1
    assert [cut.position for cut in prompt.cuts] == sorted({cut.position for cut in prompt.cuts})


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(5, 900), st.booleans())
def test_both_rules_agree_on_what_fits(lengths: list[int], room: int, by_rank_llm: bool) -> None:
    passages = [prepare("w " * length, ContentRules(), words) for length in lengths]
    limit = limit_for(passages, 300, 10, room, "rank_llm" if by_rank_llm else "largest")

    def total(limit: int) -> int:
        return sum(min(limit, length) + 1 for length in lengths)

    if limit is None:
        assert total(10) > room
    else:
        assert total(limit) <= room
        if not by_rank_llm:
            assert limit == 300 or total(limit + 1) > room


class Exact:
    rung = "exact"

    def estimate(self, text: str) -> int:
        return words(text)

    def bound(self, text: str) -> int:
        return len(text.encode())


class Guess(Exact):
    rung = "bytes"


class TestPrompter:
    REQUEST = Request(Query("q7", "why [1]"), tuple(Candidate(f"d{n}", f"text {n}") for n in range(30)))

    def test_windows_show_the_candidates_asked_for_in_the_order_asked(self) -> None:
        prompter = Prompter(load_template("rankzephyr"), counter=Exact(), context_tokens=4096)
        window = prompter.for_request(self.REQUEST).window
        prompt = window((4, 29, 0))
        assert shown(prompt) == ["text 4", "text 29", "text 0"]
        assert "search query: why (1).\n" in prompt.messages[1].content
        assert prompt.form == "text"
        assert prompt.sha256 == prompt_sha256(prompt.messages)
        assert window((4, 29, 0)) == prompt

    def test_a_passage_is_prepared_and_counted_once_for_all_its_windows(self) -> None:
        counter = Recorded()

        class Counter(Exact):
            def estimate(self, text: str) -> int:
                return counter(text)

        prompter = Prompter(load_template("rankzephyr"), counter=Counter(), context_tokens=460)
        window = prompter.for_request(self.REQUEST).window
        for start in (10, 5, 0):
            window(range(start, start + 20))
        counted = [text for text in counter.asked if text.startswith("text ")]
        assert len(counted) == len(set(counted)) == 30

    def test_an_input_that_cannot_fit_names_the_query(self) -> None:
        prompter = Prompter(load_template("rankgpt"), counter=Exact(), context_tokens=500)
        request = Request(Query("q7", LONG), self.REQUEST.candidates)
        with pytest.raises(InputError, match="q7") as caught:
            prompter.for_request(request).window(range(20))
        assert caught.value.qid == "q7"

    def test_a_context_too_small_for_any_prompt_is_a_setting_that_cannot_work(self) -> None:
        with pytest.raises(ConfigError, match=r"template rankgpt: .* context of 100 tokens"):
            Prompter(load_template("rankgpt"), counter=Exact(), context_tokens=100)
        with pytest.raises(ConfigError, match="of which 5000 are kept for the answer"):
            Prompter(load_template("rankgpt"), counter=Exact(), context_tokens=4096, answer_tokens=lambda _: 5000)

    def test_an_unknown_vocabulary_is_given_more_room(self) -> None:
        request = Request(Query("q", "q"), (Candidate("d", LONG), Candidate("e", LONG)))
        limits = [
            Prompter(load_template("rankgpt"), counter=counter, context_tokens=600)
            .for_request(request)
            .window((0, 1))
            .limit
            for counter in (Exact(), Guess())
        ]
        assert 300 > limits[0] > limits[1] > 100

    def test_only_the_keys_of_the_template_are_shown(self) -> None:
        request = Request(Query("q", "q"), (Candidate("d", "text", title="title"), Candidate("e", "only")))

        def contents(*keys: str) -> list[str]:
            prompter = Prompter(template(keys=keys), counter=Exact(), context_tokens=4096)
            return shown(prompter.for_request(request).window((0, 1)))

        assert contents("title", "text") == ["title text", "only"]
        assert contents("text", "title") == ["text title", "only"]
        assert contents("text") == ["text", "only"]
        assert contents("title") == ["title", ""]
