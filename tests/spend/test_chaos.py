"""One seed of ``python -m eval.benchmarks.chaos``: small, but with every fault, kills, and cancellations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eval.benchmarks.chaos.trial import Conditions, fork_server, hold

pytestmark = pytest.mark.slow

PEACE = Conditions(seed=5, queries=120, processes=4, tasks=16)


@pytest.mark.parametrize(
    "trial",
    [
        pytest.param(replace(PEACE, faults=0.3, kill_every_s=0.5), id="faults and kills"),
        pytest.param(replace(PEACE, processes=1, tasks=64, faults=0.3, cancel=0.3), id="cancellations"),
    ],
)
def test_what_is_billed_stays_within_the_cap_and_the_ledger_and_every_query_is_ranked(trial: Conditions) -> None:
    processes = fork_server()
    demand = hold(PEACE, processes).bill.nano_usd
    verdict = hold(replace(trial, cap=demand // 2), processes)
    assert not [promise for promise in verdict.broken if "is used" not in promise]
