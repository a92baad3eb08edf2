"""The command line: trials seed by seed, a row each; exits with 1 where a promise is broken."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import eval.benchmarks.chaos
from eval.benchmarks.chaos.provider import FAULTS
from eval.benchmarks.chaos.trial import Conditions, Verdict, fork_server, hold
from listwise.spend.money import NANO

HEADER = (
    "seed  billed $  ledger $     cap $    used  queries   valid  kills  cancelled  left open  requests  billed"
    "  seconds"
)


def row(verdict: Verdict) -> str:
    """One line of the table."""
    bill, conditions = verdict.bill, verdict.conditions
    return (
        f"{conditions.seed:4} {bill.nano_usd / NANO:9.4f} {verdict.ledger / NANO:9.4f} "
        f"{(conditions.cap or 0) / NANO:9.4f} {verdict.used:7.1%} {conditions.queries:8} {verdict.ranked:7} "
        f"{verdict.kills:6} {verdict.cancelled:10} {verdict.leftovers:10} {bill.requests:9} {bill.billed:7} "
        f"{verdict.seconds:8.1f}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.benchmarks.chaos",
        description=eval.benchmarks.chaos.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many trials [20]")
    parser.add_argument("--first-seed", type=int, default=0, help="[0]")
    parser.add_argument("--faults", type=float, default=0.3, help="share of requests that meet one [0.3]")
    parser.add_argument("--only", choices=FAULTS, action="append", help="this fault (repeatable) [all of them]")
    parser.add_argument("--processes", type=int, default=8, help="[8]")
    parser.add_argument("--tasks", type=int, default=32, help="queries at a time in each process [32]")
    parser.add_argument("--queries", type=int, default=400, help="[400]")
    parser.add_argument("--kill-every", type=float, default=1.0, metavar="SECONDS", help="0 for never [1]")
    parser.add_argument("--one-process", action="store_true", help="one process, and no killing")
    parser.add_argument("--cancel", type=float, default=0.0, help="share of rankings cancelled on their way [0]")
    parser.add_argument("--json", type=Path, help="append a JSON line a trial to this file")
    return parser.parse_args()


def main() -> int:
    """Measure the demand, then try every seed with half of it."""
    options = arguments()
    peaceful = Conditions(
        seed=options.first_seed,
        queries=options.queries,
        processes=1 if options.one_process else options.processes,
        tasks=options.tasks,
    )
    processes = fork_server()
    demand = hold(peaceful, processes)
    print(
        f"demand: {demand.bill.nano_usd / NANO:.4f} $ for {demand.bill.requests} requests, "
        f"in {demand.seconds:.1f} s without faults, kills and cap",
        flush=True,
    )
    trial = replace(
        peaceful,
        faults=options.faults,
        kinds=tuple(options.only or FAULTS),
        kill_every_s=None if options.one_process else options.kill_every or None,
        cancel=options.cancel,
        cap=demand.bill.nano_usd // 2,
    )
    print(HEADER)
    failures = 0
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        verdict = hold(replace(trial, seed=seed), processes)
        failures += bool(verdict.broken)
        print(row(verdict), *(f"BROKEN: {promise}" for promise in verdict.broken), sep="  ", flush=True)
        if options.json:
            with options.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(verdict.record()) + "\n")
    print(f"{options.seeds - failures} of {options.seeds} trials kept every promise")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
