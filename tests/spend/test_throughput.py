"""What a server does in a second, and what an hour of it makes a token cost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.spend.prices import Rates
from listwise.spend.throughput import Served, busy_s, measured
from listwise.types import Usage

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda at: (at[0], at[0] + at[1])), max_size=9
)


@given(spans)
def test_the_busy_time_is_that_of_all_spans_together(given: list[tuple[int, int]]) -> None:
    assert busy_s(given) == len({second for begin, end in given for second in range(begin, end)})


def test_a_server_that_answered_nothing_has_no_throughput() -> None:
    assert measured([]) is None
    assert measured([Served(0.0, 0.0, 10, 10)]) is None


@given(
    st.lists(
        st.builds(Served, st.floats(0, 100), st.floats(1, 20), st.integers(1, 20_000), st.integers(0, 500)),
        min_size=1,
        max_size=20,
    )
)
def test_what_was_measured_costs_what_the_busy_hours_cost(attempts: list[Served]) -> None:
    found = measured(attempts)
    assert found is not None
    rates = Rates.model_validate(
        {
            "gpu_hour": Decimal("3.6"),
            "input_tokens_per_s": Decimal(str(found.input_tokens_per_s)),
            "output_tokens_per_s": Decimal(str(found.output_tokens_per_s)),
        }
    )
    read, written = sum(each.input_tokens for each in attempts), sum(each.output_tokens for each in attempts)
    usd = rates.cost(Usage(read, output_tokens=written)) / 1e9
    assert usd == pytest.approx(found.busy_s * 3.6 / 3600, rel=1e-5)
