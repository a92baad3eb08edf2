"""Processes that are killed, a provider that fails and lies, and a cap that holds all the same.

    python -m eval.benchmarks.chaos [--seeds 20] [--faults 0.3] [--kill-every 1]
    python -m eval.benchmarks.chaos --one-process --tasks 200 --cancel 0.3

`provider` is a server on the loopback that bills every answer it made, whether or not it arrived; `worker` ranks
queries against it and may be killed at any moment; `trial` lets them loose on each other under a cap of half of
what the work would cost, and holds what the ledger says against the bill.
"""
