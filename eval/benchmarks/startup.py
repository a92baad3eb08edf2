"""How long a start takes: ``import listwise`` against an empty Python, ``--help``, and a first local ranking.

    python eval/benchmarks/startup.py [--runs 15]

Commands take turns, so that a busy machine slows all alike; the figures are medians over the runs, in seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

FIRST_RANKING = """
from listwise import Reranker
Reranker().rerank("why is the sky blue", ["Paint.", "Air scatters sunlight."])
"""
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import listwise": [sys.executable, "-c", "import listwise"],
    "listwise --help": [sys.executable, "-m", "listwise", "--help"],
    "first local ranking": [sys.executable, "-c", FIRST_RANKING],
}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs: int = parser.parse_args().runs
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        seconds(command)  # warms the disk
    for _ in range(runs):
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    empty = median(taken["python -c pass"])
    print(f"{'':22}{'median s':>10}{'over empty':>12}")
    for name, values in taken.items():
        print(f"{name:22}{median(values):10.3f}{median(values) - empty:12.3f}")


if __name__ == "__main__":
    main()
