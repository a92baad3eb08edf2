"""How many queries are expected in the rest of a day."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from listwise.routing.demand import DAY_S, FLAT, SLOTS, Demand, day_of

DAY = 20_000
Traffic = Callable[[int], int]
"""Queries in each slot."""


def rush(slot: int) -> int:
    return 200 if 32 <= slot < 72 else 20


def watch(demand: Demand, traffic: Traffic, start: int = 0, end: int = SLOTS) -> float:
    """Let queries come at even distances; the moment of the end."""
    for slot in range(start, end):
        for at in range(traffic(slot)):
            demand.note((demand.day + (slot + (at + 0.5) / traffic(slot)) / SLOTS) * DAY_S)
    return (demand.day + end / SLOTS) * DAY_S


def after(*days: Traffic) -> Demand:
    """The beginning of a day after such days."""
    demand = Demand(DAY)
    for traffic in days:
        watch(demand, traffic)
        demand.turn(demand.day + 1)
    return demand


def total(traffic: Traffic, start: int = 0) -> int:
    return sum(map(traffic, range(start, SLOTS)))


def test_days_are_utc() -> None:
    assert (day_of(0), day_of(DAY_S - 0.001), day_of(DAY_S)) == (0, 0, 1)


@pytest.mark.parametrize("hour", [0.1, 6, 12, 18, 23])
def test_without_a_profile_the_rate_so_far_goes_on(hour: float) -> None:
    demand = Demand(DAY)
    end = max(1, int(hour * 4))
    now = watch(demand, lambda _: 100, 0, end)
    assert demand.left(now) == pytest.approx(100 * (SLOTS - end), rel=0.5)


def test_a_day_that_is_watched_from_noon_has_the_rate_of_its_afternoon() -> None:
    late, whole = Demand(DAY, since=48.0), Demand(DAY)
    now = watch(late, lambda _: 100, 48, 72)
    watch(whole, lambda _: 100, 0, 72)
    assert late.left(now) == pytest.approx(whole.left(now), rel=0.02)


def test_a_first_query_expects_no_crowd() -> None:
    demand = Demand(DAY, since=40.0)
    demand.note(DAY * DAY_S + 40 * 900)
    assert 100 < demand.left(DAY * DAY_S + 40 * 900) < SLOTS * 15 * 1.5


@pytest.mark.parametrize("slot", [0, 20, 32, 50, 71, 90])
def test_the_profile_foresees_the_same_day(slot: int) -> None:
    demand = after(rush)
    now = watch(demand, rush, 0, slot)
    foreseen, flat = total(rush, slot), FLAT * 200 * (SLOTS - slot)
    assert (1 - FLAT) * foreseen * 0.98 < demand.left(now) < foreseen * 1.02 + flat


def test_a_busier_day_is_noticed() -> None:
    demand = after(rush)
    now = watch(demand, lambda slot: rush(slot) * 13 // 10, 0, 44)
    assert demand.left(now) == pytest.approx(1.3 * total(rush, 44), rel=0.08)


def test_a_quiet_night_says_little() -> None:
    demand = after(rush)
    now = watch(demand, lambda _: 4, 0, 16)
    assert 0.5 * total(rush, 16) < demand.left(now) < total(rush, 16)


def test_traffic_at_hours_that_had_none_is_foreseen() -> None:
    demand = after(lambda slot: 100 if slot < 48 else 0)
    now = watch(demand, lambda slot: 100 if slot >= 48 else 1, 0, 52)
    assert demand.left(now) > 500


def test_it_gets_to_know_a_change_over_days() -> None:
    demand = after(*[lambda slot: 100 if slot < 48 else 10] * 3, *[rush] * 8)
    assert demand.left(demand.day * DAY_S) == pytest.approx(total(rush), rel=0.1)
    assert demand.profile is not None
    assert demand.profile[60] > 5 * demand.profile[80]


def test_hours_before_the_first_query_ever_are_taken_for_average() -> None:
    demand = Demand(DAY, since=71.5)
    watch(demand, lambda _: 100, 72)
    demand.turn(DAY + 1)
    assert demand.profile == [100] * SLOTS


def test_days_without_a_query_teach_nothing() -> None:
    demand = after(rush)
    before = demand.profile
    demand.turn(demand.day + 5)
    assert demand.profile == before


def test_what_two_processes_saw_adds_up() -> None:
    one, other, both = after(rush), after(rush), after(rush)
    now = 0.0
    for at in range(60):
        now = watch((one, other)[at % 2], rush, at, at + 1)
        watch(both, rush, at, at + 1)
        one.left(now)
    one.add(other)
    assert one.left(now) == both.left(now)
