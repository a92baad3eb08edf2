from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from listwise.spend.learned import LEAST_RATIO, MOST_RATIO, PRIOR_CALLS, WINDOW, Learned
from listwise.types import Usage

MODEL = "anthropic/claude-opus-5"


def learned(*ratios: float) -> Learned:
    return Learned((MODEL, 1000, round(1000 * ratio), 20, 80) for ratio in ratios)


def test_nothing_learned_changes_nothing() -> None:
    fresh = Learned()
    assert (fresh.ratio(MODEL), fresh.input_tokens(MODEL, 123), fresh.calls(MODEL)) == (1.0, 123, 0)
    assert fresh.output_tokens(MODEL, 20) is None


def test_settled_calls_correct_the_next_estimate() -> None:
    lessons = learned(*[1.3] * 5)
    assert lessons.input_tokens(MODEL, 2000) == 2600
    assert lessons.output_tokens(MODEL, 10) == 40
    assert lessons.ratio("openai/gpt-4o") == 1.0


def test_watching_is_as_good_as_history() -> None:
    watched = Learned()
    for _ in range(5):
        watched.observe(MODEL, 1000, Usage(1300, output_tokens=80), 20)
    assert watched.ratio(MODEL) == learned(*[1.3] * 5).ratio(MODEL)
    assert watched.output_tokens(MODEL, 10) == 40


def test_the_first_call_alone_is_not_believed() -> None:
    assert learned(2.0).ratio(MODEL) == 1.0
    assert learned(*[2.0] * (PRIOR_CALLS + 1)).ratio(MODEL) == 2.0


def test_a_model_that_changes_is_followed() -> None:
    assert learned(*[1.0] * WINDOW, *[1.5] * (WINDOW // 2 + PRIOR_CALLS + 1)).ratio(MODEL) == 1.5


@given(
    st.lists(st.floats(0.9, 1.4), min_size=7, max_size=WINDOW),
    st.sampled_from([0, 1, 10, 100_000, 10_000_000]),
)
def test_one_wrong_report_moves_nothing_beyond_the_right_ones(ratios: list[float], wrong: int) -> None:
    lessons = learned(*ratios)
    lessons.observe(MODEL, 1000, Usage(wrong, output_tokens=wrong), 20)
    assert min(0.9, *ratios) - 0.001 <= lessons.ratio(MODEL) <= max(1.0, *ratios) + 0.001
    assert lessons.output_tokens(MODEL, 20) == 80


@given(
    st.lists(
        st.tuples(
            st.just(MODEL), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 100), st.integers(0, 10**6)
        )
    ),
    st.integers(0, 10**6),
)
def test_whatever_was_reported_estimates_stay_within_reason(
    history: list[tuple[str, int, int, int, int]], estimate: int
) -> None:
    lessons = Learned(history)
    assert LEAST_RATIO <= lessons.ratio(MODEL) <= MOST_RATIO
    assert 0 <= lessons.input_tokens(MODEL, estimate) <= MOST_RATIO * estimate + 1
    assert lessons.calls(MODEL) <= WINDOW


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_stays_more(one: int, other: int) -> None:
    lessons = learned(1.3, 1.1, 1.25, 1.2)
    assert (lessons.input_tokens(MODEL, one) <= lessons.input_tokens(MODEL, other)) or one > other
