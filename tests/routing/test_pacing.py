"""A pacer alone: its cap holds whatever comes, it follows the day, and it goes on where another stopped."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from listwise.routing.demand import DAY_S
from listwise.routing.offers import Offer, Option
from listwise.routing.paced import MOST_QUERIES, MOST_S
from listwise.routing.pacing import Experience, News, Pacer

START = 20_000 * DAY_S
DEPTHS = (20, 50, 100)


@dataclass(frozen=True)
class Asked:
    """A query, and how its real cost compares with the expected one."""

    now: float
    offers: tuple[Offer, ...]
    error: float = 1.0


def traffic(count: int, day: int = 0, seed: int = 0, *, error: float = 1.2) -> list[Asked]:
    """A day with a quiet night and two rushes; bills are lognormal around ``error`` times the estimate."""
    rng = random.Random(seed)
    hours = [0.2 + math.exp(-((h - 10) ** 2) / 4) + 1.3 * math.exp(-((h - 20) ** 2) / 3) for h in range(24)]
    times = sorted(START + day * DAY_S + 3600 * (h + rng.random()) for h in rng.choices(range(24), hours, k=count))
    return [Asked(now, offers(rng), error * math.exp(rng.gauss(-0.045, 0.3))) for now in times]


def offers(rng: random.Random) -> tuple[Offer, ...]:
    gain, call = rng.gauss(0.05, 0.05), 300_000 * math.exp(rng.gauss(0, 0.3))
    shares = ((20, 0.55, 1), (50, 0.85, 4), (100, 1.0, 9))
    return tuple(Offer(Option("llm", depth), share * gain, int(calls * call)) for depth, share, calls in shares)


def spend(pacer: Pacer, stream: Sequence[Asked]) -> list[int]:
    """What each query costs."""
    return [pay(pacer, asked) for asked in stream]


def pay(pacer: Pacer, asked: Asked) -> int:
    taken = pacer.decide(asked.now, asked.offers)
    cost = int(taken.nano_usd * asked.error) if taken else 0
    if taken:
        pacer.settled(asked.now, taken, cost)
    return cost


def bill(stream: Sequence[Asked]) -> float:
    """Of all queries at full depth."""
    return sum(asked.offers[-1].nano_usd * asked.error for asked in stream)


STREAMS = st.lists(
    st.tuples(
        st.floats(0, 2 * DAY_S),
        st.lists(st.tuples(st.floats(-0.2, 1), st.integers(0, 1000), st.floats(1, 5)), max_size=3),
        st.floats(0, 1),
        st.integers(0, 5),
    ),
    max_size=80,
)
"""When, for each offer gain, expected cost and bound over it; which part of the bound is billed, and how many
queries later."""


@given(STREAMS, st.integers(0, 5000))
def test_no_stream_and_no_error_breaks_the_cap(
    stream: list[tuple[float, list[tuple[float, int, float]], float, int]], cap: int
) -> None:
    pacer = Pacer(cap, START)
    spent = dict.fromkeys(range(3), 0)
    open_bills: list[tuple[int, Offer, int]] = []
    for at, (since, offered, share, delay) in enumerate(sorted(stream, key=lambda each: each[0])):
        when = (START + since) - START  # as the clock has it, so that both mean the same day
        for due, offer, cost in [each for each in open_bills if each[0] <= at]:
            pacer.settled(START + when, offer, cost)
            spent[int(when // DAY_S)] += cost
            open_bills.remove((due, offer, cost))
        some = [Offer(Option("llm", depth), gain, cost) for depth, (gain, cost, _) in enumerate(offered)]
        most = [math.ceil(cost * over) for _, cost, over in offered]
        taken = pacer.decide(START + when, some, most)
        if taken is not None:
            assert taken.gain > 0
            open_bills.append((at + delay, taken, int(share * most[some.index(taken)])))
        assert spent[int(when // DAY_S)] + sum(cost for _, _, cost in open_bills) <= pacer.held <= cap
    assert all(total <= cap for total in spent.values())


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("error", [0.6, 1.0, 1.5])
def test_a_day_ends_just_under_its_cap(share: float, error: float) -> None:
    first, second = traffic(5000, error=error), traffic(6500, 1, 1, error=error)
    cap = int(share * bill(first))
    pacer = Pacer(cap, START)
    assert 0.95 < sum(spend(pacer, first)) / cap <= 1
    assert 0.98 < sum(spend(pacer, second)) / cap <= 1


def test_the_evening_is_not_starved() -> None:
    first, second = traffic(8000), traffic(10_400, 1, 1)
    pacer = Pacer(int(0.1 * bill(first)), START)
    spend(pacer, first)
    costs = spend(pacer, second)
    share = [
        [cost > 0 for cost, asked in zip(costs, second, strict=True) if asked.now % DAY_S // 3600 in hours]
        for hours in ((8, 9, 10, 11), (18, 19, 20, 21), (22, 23))
    ]
    morning, rush, night = (sum(each) / len(each) for each in share)
    assert rush == pytest.approx(morning, rel=0.15)
    assert night == pytest.approx(morning, rel=0.15)


def test_offers_that_are_all_alike_are_shared_out() -> None:
    """A price alone would take all of them, or none."""
    same = (Offer(Option("llm", 20), 0.1, 1000),)
    times = [START + at * 60 for at in range(1440)]
    pacer = Pacer(300_000, START)
    spend(pacer, [Asked(now + at * DAY_S, same) for at in range(2) for now in times])
    third = spend(pacer, [Asked(now + 2 * DAY_S, same) for now in times])
    by_hour = [sum(third[at : at + 60]) / 1000 for at in range(0, 1440, 60)]
    assert sum(by_hour) == pytest.approx(300, abs=6)
    assert all(8 < taken < 18 for taken in by_hour)


def test_what_is_free_is_always_taken() -> None:
    pacer = Pacer(0, START)
    free, dear = Offer(Option("local", 20), 0.01, 0), Offer(Option("llm", 20), 0.5, 1)
    assert pacer.decide(START, [free, dear]) == free
    assert pacer.decide(START, [dear]) is None
    assert pacer.decide(START, []) is None


def test_what_is_under_way_counts_at_its_most() -> None:
    pacer = Pacer(1000, START + DAY_S - 1)
    offer = Offer(Option("llm", 20), 0.5, 100)
    now = START + DAY_S - 1
    assert pacer.decide(now, [offer], [600]) == offer
    assert pacer.held == 600
    assert pacer.decide(now, [offer], [600]) is None
    pacer.settled(now, offer, 400)
    assert pacer.decide(now, [offer], [600]) == offer
    assert pacer.held == 1000
    with pytest.raises(KeyError):
        pacer.settled(now, Offer(Option("llm", 50), 0.5, 100), 1)


def test_a_new_day_has_its_own_money() -> None:
    pacer = Pacer(1000, START)
    offer = Offer(Option("llm", 20), 0.5, 100)
    late, next_day = START + DAY_S - 1, START + DAY_S + 1
    assert [pacer.decide(late, [offer], [400]) for _ in range(3)] == [offer, offer, None]
    pacer.settled(late, offer, 400)
    pacer.decide(next_day, [])
    assert pacer.held == 400, "what is still under way may be billed today"
    pacer.settled(next_day, offer, 400)
    pacer.decide(START - DAY_S, [])
    assert (pacer.day, pacer.held) == (20_001, 400)


@dataclass
class Kept:
    """What a ledger would keep."""

    state: str | None = None
    held: int = 0

    def save(self, pacer: Pacer, news: News) -> None:
        known = news.onto(self.state)
        self.state = known.to_json()
        pacer.catch_up(news, known, self.held)


def restarted(stream: Sequence[Asked], cap: int, restarts: Sequence[int], every: int, seconds: float) -> list[int]:
    """What each query costs if the pacer's memory is lost before some, and saved every few queries or seconds.

    Money is taken from the books.
    """
    kept, costs, saved = Kept(), list[int](), 0.0
    pacer = Pacer(cap, stream[0].now)
    for at, asked in enumerate(stream):
        if at in restarts:
            pacer = Pacer(cap, asked.now)
        if at in restarts or at % every == 0 or asked.now - saved > seconds:
            kept.save(pacer, pacer.news(asked.now))
            saved = asked.now
        costs.append(pay(pacer, asked))
        kept.held += costs[-1]
    return costs


STREAM = traffic(1500)
CAP = int(0.3 * bill(STREAM))
WHOLE = spend(Pacer(CAP, START), STREAM)


@settings(max_examples=6)
@given(st.lists(st.integers(0, len(STREAM) - 1), max_size=4))
def test_restarts_at_any_moment_change_next_to_nothing(restarts: list[int]) -> None:
    costs = restarted(STREAM, CAP, restarts, MOST_QUERIES, MOST_S)
    assert sum(costs) <= CAP
    assert sum(costs) == pytest.approx(sum(WHOLE), rel=0.005)
    for end in (500, 1000):
        assert sum(costs[:end]) == pytest.approx(sum(WHOLE[:end]), abs=0.03 * CAP)


@settings(max_examples=15)
@given(st.lists(st.integers(100, len(STREAM) - 1), max_size=4), st.integers(1, MOST_QUERIES))
def test_what_a_restart_forgets_hardly_matters(restarts: list[int], every: int) -> None:
    """Except of the first few queries ever, which are all that is known then."""
    costs = restarted(STREAM, CAP, restarts, every, math.inf)
    assert sum(costs) <= CAP
    assert sum(costs) == pytest.approx(sum(WHOLE), rel=0.005)
    for end in (500, 1000):
        assert sum(costs[:end]) == pytest.approx(sum(WHOLE[:end]), abs=0.05 * CAP)


def test_two_that_share_spend_like_one() -> None:
    stream = traffic(4000)
    cap = int(0.2 * bill(stream))
    alone = spend(Pacer(cap, START), stream)
    kept = Kept()
    pacers = [Pacer(cap, stream[0].now) for _ in range(2)]
    costs = []
    for at, asked in enumerate(stream):
        pacer = pacers[at % 2]
        if at // 2 % 8 == 0:
            kept.save(pacer, pacer.news(asked.now))
        costs.append(pay(pacer, asked))
        kept.held += costs[-1]
    assert sum(costs) <= cap * 1.01, "one does not know what the other spent since it last looked"
    assert sum(costs) == pytest.approx(sum(alone), rel=0.02)
    assert sum(costs[:2000]) == pytest.approx(sum(alone[:2000]), abs=0.03 * cap)


def test_news_that_nobody_got_is_told_again() -> None:
    stream = traffic(200)
    one, other = Pacer(10**10, START), Pacer(10**10, START)
    for at, asked in enumerate(stream):
        if at == 100:
            news = one.news(asked.now)
            assert one.held == other.held
            one.take_back(news)
        assert pay(one, asked) == pay(other, asked)
    ours, theirs = one.news(stream[-1].now), other.news(stream[-1].now)
    assert (ours.billed, ours.learnt.demand.counts) == (theirs.billed, theirs.learnt.demand.counts)
    assert ours.learnt.curve.queries == theirs.learnt.curve.queries == 200


def test_what_is_billed_while_the_books_are_asked_is_not_lost() -> None:
    pacer, offer = Pacer(10_000, START), Offer(Option("llm", 20), 0.5, 100)
    late = START + DAY_S - 1
    pacer.decide(late, [offer])
    pacer.decide(late, [offer])
    pacer.settled(late, offer, 100)
    news = pacer.news(late)
    pacer.settled(late, offer, 70)
    assert pacer.held == 170
    pacer.catch_up(news, news.onto(None), 1100)
    assert pacer.held == 1170


def test_the_state_is_what_was_learnt() -> None:
    pacer = Pacer(10**9, START)
    spend(pacer, [*traffic(500), *traffic(300, 1)])
    learnt = pacer.news(START + 2 * DAY_S).onto(None)
    text = learnt.to_json()
    again = Experience.from_json(text)
    assert again == learnt
    assert again.to_json() == text
    assert len(text) < 10_000


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"version":2}', '{"version":1,"counts":[1],"profile":null}', "\udcff"]
)
def test_a_state_that_cannot_be_read_is_none(text: str) -> None:
    assert Experience.from_json(text) is None
    news = Pacer(1, START).news(START)
    assert news.onto(text) == news.learnt


def test_a_state_of_another_day_is_carried_over() -> None:
    yesterday, today = Pacer(10**12, START), Pacer(10**12, START + DAY_S)
    spend(yesterday, traffic(500))
    kept = yesterday.news(START + DAY_S - 1).onto(None).to_json()
    spend(today, traffic(20, 1)[:5])
    news = today.news(START + DAY_S + 3600)
    known = news.onto(kept)
    assert known.demand.profile is not None
    assert sum(known.demand.profile) == pytest.approx(500)
    assert (known.demand.today, known.curve.queries) == (5, 255)
    behind = Pacer(1, START)
    behind.decide(START, [])
    known.add(behind.news(START).learnt)
    assert known.demand.today == 5
