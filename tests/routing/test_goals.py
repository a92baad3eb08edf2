"""What each goal chooses, and what it says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.routing.demand import DAY_S
from listwise.routing.goals import Bar, Choice, Day, Dollars, Goal, Price, Rate, Share, Threshold, expected
from listwise.routing.offers import Offer, Option
from listwise.routing.paced import Paced
from listwise.spend.ledger import MemoryLedger
from listwise.spend.purse import Purse

USD = 10**9
D20, D50 = Option("llm", 20), Option("llm", 50)


def offers(gain: float, usd: float = 0.001, *, known: bool = True) -> list[Offer]:
    """To read 20, or, for twice the money, 50, which gains a point more."""
    return [
        Offer(D20, gain, int(usd * USD), known),
        Offer(D50, gain + 0.01, int(2 * usd * USD), known),
    ]


def taken(choices: Sequence[Choice]) -> list[int]:
    return [choice.offer.option.depth if choice.offer else 0 for choice in choices]


def threshold(least: float) -> Threshold:
    return Threshold(lambda options: Bar(least, f"that {len(options)} options have"))


@pytest.mark.parametrize(
    ("gain", "depth", "words"),
    [
        (
            0.095,
            50,
            r"reading 50 is expected to gain 10.5 points for \$0.002, at least the 10.0 that 2 options have",
        ),
        (0.08, 0, r"reading 50 is expected to gain 9.0 points for \$0.002, less than the 10.0 that 2 options have"),
        (-0.5, 0, "to gain -49.0 points"),
    ],
)
async def test_a_threshold_is_on_the_gain_of_the_best_offer(gain: float, depth: int, words: str) -> None:
    choice = await threshold(0.1).choose(offers(gain))
    assert taken([choice]) == [depth]
    assert re.search(words, choice.reason)
    assert choice.why == "gain"


async def test_where_nothing_is_known_a_threshold_escalates() -> None:
    choice = await threshold(0.9).choose(offers(0.0, known=False))
    assert taken([choice]) == [50]
    assert choice.reason.startswith("nothing tells how ambiguous the query is; of others, reading 50 is expected")


async def test_an_infinite_threshold_says_why_and_no_number() -> None:
    for least, depth in ((-inf, 50), (inf, 0)):
        choice = await threshold(least).choose(offers(-0.3))
        assert taken([choice]) == [depth]
        assert choice.reason.endswith("for $0.002; that 2 options have")


async def test_a_price_takes_what_is_worth_it() -> None:
    goal = Price(int(0.0005 * USD))  # a point for $0.0005: twenty points are worth $0.01
    assert taken(goal.choose_all([offers(0.2, 0.001), offers(0.2, 0.02), offers(0.2, 0.0001)])) == [20, 0, 50]
    choice = await goal.choose(offers(0.2, 0.02))
    assert choice.reason == "reading 50 is expected to gain 21.0 points for $0.04: not worth it at $0.0005 a point"
    assert "reading 20" in goal.one(offers(0.2, 0.001)).reason
    assert taken([Price(0).one(offers(0.5))]) == [0]


async def test_a_rate_takes_what_gains_most_over_what_its_cost_must_bring() -> None:
    goal = Rate(lambda offers: [0.05, 0.1], "as somebody said")
    assert taken(goal.choose_all([offers(0.2), offers(0.05), offers(-0.2)])) == [20, 0, 0]
    assert taken([Rate(lambda offers: [0.005, 0.01], "").one(offers(0.2))]) == [50]
    chosen, refused = await goal.choose(offers(0.2)), await goal.choose(offers(0.05))
    must = "than the 5.0 that so much must bring as somebody said"
    assert chosen.reason == f"reading 20 is expected to gain 20.0 points for $0.001, more {must}"
    assert refused.reason == f"reading 20 is expected to gain 5.0 points for $0.001, no more {must}"


async def test_where_nothing_is_known_a_rate_escalates() -> None:
    choice = await Rate(lambda _: [1.0, 2.0], "").choose(offers(0.0, known=False))
    assert taken([choice]) == [20]
    assert choice.reason.startswith("nothing tells how ambiguous the query is; of others, reading 20 is expected")


@given(st.lists(st.tuples(st.floats(-0.2, 0.5), st.booleans()), max_size=30), st.floats(0, 1))
def test_a_share_takes_so_many_those_first_of_which_nothing_is_known(
    queries: list[tuple[float, bool]], share: float
) -> None:
    choices = Share(share, threshold(0.1)).choose_all([offers(gain, known=known) for gain, known in queries])
    depths = taken(choices)
    count = int(share * len(queries) + 0.5)
    assert len(depths) - depths.count(0) == count
    sent = [(not known, gain) for (gain, known), depth in zip(queries, depths, strict=True) if depth]
    left = [(not known, gain) for (gain, known), depth in zip(queries, depths, strict=True) if not depth]
    unknown = sum(not known for _, known in queries)
    assert sum(each for each, _ in sent) == min(unknown, count)
    known_sent, known_left = ([gain for unseen, gain in each if not unseen] for each in (sent, left))
    assert not known_sent or not known_left or min(known_sent) >= max(known_left) - 1e-9


async def test_a_share_of_queries_that_come_alone_goes_by_the_threshold() -> None:
    goal = Share(0.5, threshold(0.1))
    assert taken([await goal.choose(offers(0.2)), await goal.choose(offers(0.02))]) == [50, 0]
    assert (goal.needs_all, goal.gains_by_all) == (True, True)


def test_a_share_says_of_how_many() -> None:
    choices = Share(0.5, threshold(0.1)).choose_all([offers(0.2), offers(0.1)])
    assert choices[0].reason.endswith(", among the 1 of 2 queries where a dollar gains most")
    assert choices[1].reason.endswith(", not among the 1 of 2 queries where a dollar gains most")


@given(st.lists(st.floats(0, 0.5), max_size=30), st.integers(0, 50_000_000))
def test_dollars_are_enough_for_all_that_is_taken_together(gains: list[float], left: int) -> None:
    choices = Dollars(lambda: left).choose_all([offers(gain) for gain in gains])
    assert sum(choice.offer.nano_usd for choice in choices if choice.offer) <= left


def test_dollars_go_where_they_gain_most_and_say_where_they_are_short() -> None:
    choices = Dollars(lambda: int(0.002 * USD)).choose_all(
        [offers(0.1), offers(0.3), offers(0.2), offers(0.9, 5.0)]
    )
    assert taken(choices) == [0, 20, 20, 0]
    assert [choice.why for choice in choices] == ["gain", "gain", "gain", "budget"]
    assert choices[1].reason.endswith(", among those where the $0.002 that are left gain most")
    assert choices[0].reason.endswith(", not among those where the $0.002 that are left gain most")
    assert choices[3].reason == (
        "reading 50 is expected to gain 91.0 points for $10.00: the $0.002 that are left do not pay for it"
    )


def test_a_query_that_stands_for_several_spends_for_several() -> None:
    goal = Dollars(lambda: int(0.004 * USD))
    queries = [offers(0.1), offers(0.1)]
    assert taken(goal.choose_all(queries)) == [50, 50]
    assert taken(goal.choose_all(queries, 2.0)) == [20, 20]
    assert taken(goal.choose_all(queries, 4.0)) == [20, 0]


async def test_a_stream_never_commits_more_than_is_left_and_settles_what_it_cost() -> None:
    goal = Dollars(lambda: int(0.05 * USD))
    spent = 0
    for _ in range(400):
        choice = await goal.choose(offers(0.1)[:1])
        if choice.offer:
            spent += choice.offer.nano_usd // 2
            goal.settled(choice.offer, choice.offer.nano_usd // 2)
    assert 0.025 * USD < spent <= 0.05 * USD


async def test_what_others_spend_is_gone_for_the_stream_too() -> None:
    async def bought(*, spoilt: bool) -> int:
        goal = Dollars(lambda: int(0.02 * USD))
        count = 0
        for at in range(300):
            choice = await goal.choose(offers(0.1)[:1])
            if choice.offer:
                count += 1
                goal.settled(choice.offer, choice.offer.nano_usd)
            if spoilt and at == 0:
                goal.settled(None, int(0.01 * USD))
                [known] = goal.choose_all([offers(0.1)[:1]])
                assert known.offer is not None
                goal.settled(known.offer, int(0.005 * USD))  # chosen with others, and so not yet counted
        return count

    assert await bought(spoilt=False) > 10
    assert await bought(spoilt=True) <= 5


async def test_what_is_spent_before_the_first_decision_is_gone_once() -> None:
    """As by a rerank API, whose scores the decision is made by."""
    spent = 0
    goal = Dollars(lambda: USD - spent)
    spent = USD // 5
    dear = [Offer(D20, 0.9, 2 * USD)]
    await goal.choose(dear)
    goal.settled(None, spent)
    assert (await goal.choose(dear)).reason.endswith(": the $0.8 that are left do not pay for it")
    assert goal.choose_all([dear])[0].reason.endswith(": the $0.8 that are left do not pay for it")


async def test_what_was_settled_is_not_remembered() -> None:
    goal = Dollars(lambda: 10**6 * USD)
    for at in range(50):
        choice = await goal.choose([Offer(D20, 0.1 + at / 1000, 1)])
        assert choice.offer is not None
        goal.settled(choice.offer, 1)
    assert not goal._open


async def test_a_stream_says_when_the_money_is_gone() -> None:
    goal = Dollars(lambda: int(0.0005 * USD))
    choice = await goal.choose(offers(0.4))
    assert (choice.offer, choice.why) == (None, "budget")
    assert choice.reason.endswith(": the $0.0005 that are left do not pay for it")


class Clock:
    """A moment that is set by hand."""

    def __init__(self) -> None:
        self.now: float = 20_000 * DAY_S

    def __call__(self) -> float:
        return self.now


async def test_a_day_takes_what_it_can_pay_and_begins_anew_at_midnight() -> None:
    clock = Clock()
    purse = Purse(MemoryLedger(), "run", now=clock)
    goal = Day(Paced(purse, int(0.02 * USD)))
    clock.now += DAY_S - 3600
    spent = [0, 0]
    for at in range(240):
        choice = await goal.choose(offers(0.1)[:1])
        if choice.offer:
            spent[at >= 120] += choice.offer.nano_usd
            held = await purse.ledger.reserve(purse.outer(), choice.offer.nano_usd)
            purse.ledger.settle(held, choice.offer.nano_usd)
            goal.settled(choice.offer, choice.offer.nano_usd)
        else:
            assert choice.why in ("gain", "budget")
        clock.now += 30
    assert 0.015 * USD < spent[0] <= 0.02 * USD
    assert 0 < spent[1] <= 0.02 * USD


async def test_an_offer_over_midnight_is_settled_once() -> None:
    clock = Clock()
    paced = Paced(Purse(MemoryLedger(), "run", now=clock), USD)
    goal = Day(paced)
    clock.now += DAY_S - 60
    choice = await goal.choose(offers(0.1))
    assert choice.offer is not None
    clock.now += 120
    await goal.choose(offers(-1.0))
    goal.settled(choice.offer, choice.offer.nano_usd)
    goal.settled(None, 5)
    assert paced.left == USD - choice.offer.nano_usd
    with pytest.raises(KeyError):
        goal.settled(choice.offer, 0)


async def test_a_day_without_money_says_so_and_a_plan_sees_what_others_spent() -> None:
    clock = Clock()
    purse = Purse(MemoryLedger(), "run", now=clock)
    goal = Day(Paced(purse, int(0.01 * USD)))
    foreseen = goal.choose_all([offers(0.1)] * 2)
    assert taken(foreseen) == [50, 50]
    assert foreseen[0].reason.endswith("that are left gain most; the day's price is known when it comes")
    purse.ledger.settle(await purse.ledger.reserve(purse.outer(), 1), int(0.0095 * USD))
    assert taken(goal.choose_all([offers(0.1)] * 2)) == [0, 0]
    choice = await goal.choose(offers(0.1))
    assert (choice.offer, choice.why) == (None, "budget")


ALONE: list[Callable[[], Goal]] = [lambda: threshold(0.1), lambda: Price(10**6)]


@pytest.mark.parametrize("make", ALONE)
async def test_where_each_query_stands_alone_it_is_all_the_same_whether_they_are_known(
    make: Callable[[], Goal],
) -> None:
    queries = [offers(gain / 50, 0.002) for gain in range(12)]
    assert [await make().choose(each) for each in queries] == make().choose_all(queries)
    assert not make().needs_all
    assert not make().gains_by_all
    make().settled(queries[0][0], 5)


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (Offer(Option("llm", 20, 3), 0.0123, 0), "reading 20 3 times is expected to gain 1.2 points"),
        (Offer(D20, -0.01, 1234), "reading 20 is expected to gain -1.0 points for $0.0000012"),
        (Offer(D20, 0.01, 12), "reading 20 is expected to gain 1.0 points for $0.000000012"),
        (Offer(D20, 0.01, 1234 * USD), "reading 20 is expected to gain 1.0 points for $1234.00"),
    ],
)
def test_an_offer_in_words(offer: Offer, said: str) -> None:
    assert expected(offer) == said


@pytest.mark.parametrize(
    ("a_point", "depth"), [(0, 0), (600_000, 0), (700_000, 20), (3_900_000, 20), (4_100_000, 50), (USD, 50)]
)
def test_a_higher_price_of_a_point_buys_more(a_point: int, depth: int) -> None:
    """3 points for 2 million, and 2 more for 8 million more."""
    both = [Offer(D20, 0.03, 2_000_000), Offer(D50, 0.05, 10_000_000)]
    assert taken([Price(a_point).one(both)]) == [depth]


async def test_a_day_lasts_is_spent_and_says_its_price() -> None:
    """Half a day, over which queries come evenly; all that is worth it would cost thrice the cap."""
    clock, draw = Clock(), Random(3)
    clock.now += DAY_S / 2
    purse, cap, spent = Purse(MemoryLedger(), "run", now=clock), int(0.7 * USD), [0] * 4
    goal = Day(Paced(purse, cap))
    for at in range(1200):
        choice = await goal.choose(offers(draw.uniform(-0.05, 0.2), 0.002))
        if choice.offer is not None:
            bill = choice.offer.nano_usd
            purse.ledger.settle(await purse.ledger.reserve(purse.outer(), bill), bill)
            goal.settled(choice.offer, bill)
            spent[at // 300] += bill
        if at == 600:
            assert re.search(r": (as much as|less than) the day's price of \d{4} points a dollar", choice.reason)
        clock.now += (DAY_S / 2 - 200) / 1200
    assert 0.9 * cap < sum(spent) <= cap
    assert min(spent) > 0.15 * cap
