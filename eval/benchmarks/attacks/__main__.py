"""What the guard notices and stops, and what it costs.

    python -m eval.benchmarks.attacks [--data DIR] [--queries N] [--only PART ...] [--real]

Parts: ``detector`` (passages of five collections that are taken for orders to the model, and which; tuned on DL21
to DL23, reported on DL19 and Cranfield; attacks that are found), ``echoes`` (recorded models that repeat the order
shown), ``attacks`` (a simulation: how often attacks on DL19's queries succeed, by family and defence) and ``harm``
(a simulation: clean queries with the guard on and off). ``--real`` asks SmolLM2-135M, a few minutes, instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from eval.benchmarks.attacks import detector, simulated
from eval.benchmarks.children import CHECKOUT

PARTS: dict[str, Callable[[Path, int], Iterable[str]]] = {
    "detector": detector.flagged,
    "echoes": detector.echoed,
    "attacks": simulated.attacks,
    "harm": simulated.harm,
}


def main() -> int:
    """Print what each part has to say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.environ.get("LISTWISE_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument(
        "--data", type=Path, default=Path(here), help="folder with dl19/ and others [LISTWISE_DATA]"
    )
    parser.add_argument("--queries", type=int, default=3, help="queries that each attack is tried on [3]")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--real", action="store_true", help="a real small model, and nothing else")
    options = parser.parse_args()
    if options.real:
        from eval.benchmarks.attacks import real

        parts: list[Iterable[str]] = [real.attacks(options.queries)]
    elif not (options.data / "dl19").is_dir():
        print(f"no folder {options.data / 'dl19'}: set LISTWISE_DATA or --data", file=sys.stderr)
        return 2
    else:
        parts = [PARTS[name](options.data, options.queries) for name in options.only]
    for part in parts:
        for line in part:
            print(line, flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
