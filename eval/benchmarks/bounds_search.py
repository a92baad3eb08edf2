"""Searches for a text whose bound for Claude is under its exact count, by changing texts to make the gap smaller.

    python -m eval.benchmarks.bounds_search --ctok DIR [--seconds 100] [--seed 0]

Random texts (`eval.benchmarks.bounds`) rarely meet what is rare; this looks for it. A text is counted by itself:
what is set aside for a message is no part of the bound, and what ctok adds to a character without marks no part
of the count. Exits with 1 if a text is found whose bound is under its count.
"""

from __future__ import annotations

import argparse
import heapq
import importlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from eval.benchmarks.bounds import CLAUDES
from eval.benchmarks.odd_texts import TEXTS, entries
from listwise.spend.tokens import counter_for

STEPS, LONGEST = 60, 12
"""Changes to a text, and parts that it has at most."""
_BORDERS = (
    *(" ", "  ", "\n", "\n\n", "\t", "'", "'s", "'ll", " '", "’", '"', "''", "1", "A", "a", "Q", "qQ", "ABCD", "."),
    *(
        "!",
        "-",
        "_",
        "\u00a0",
        "\u3000",
        "\x00",
        "\x01",
        "\u0301",
        "\u200d",
        "İ",
        "ẞ",
        "Ⱥ",
        "ς",
        "Σ",
        "ʼ",
        "٣",
        "१",
    ),
)
_RANGES = ((0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x1FFF), (0x2000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF))


def part(rng: random.Random) -> str:
    """A piece: a token of o200k, a character, something that changes what is beside it, the head of an odd text."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(entries())
    if kind < 0.5:
        return chr(rng.randint(*rng.choice(_RANGES)))
    return rng.choice(_BORDERS) if kind < 0.65 else rng.choice(TEXTS)(rng)[: rng.randint(1, 12)]


def changed(parts: list[str], rng: random.Random) -> list[str]:
    """A text with a part replaced, added or left out."""
    at, kind = rng.randrange(len(parts)), rng.random()
    if kind < 0.4:
        return [*parts[:at], part(rng), *parts[at + 1 :]]
    if kind < 0.7 and len(parts) < LONGEST:
        return [*parts[:at], part(rng), *parts[at:]]
    return parts[:at] + parts[at + 1 :] if len(parts) > 1 else [part(rng)]


def search(gap: Callable[[str], int], seconds: float, rng: random.Random) -> tuple[int, list[tuple[int, str]]]:
    """How many texts were tried, and those with the smallest gaps."""
    tried, found, ends = 0, list[tuple[int, str]](), time.monotonic() + seconds
    while time.monotonic() < ends:
        parts = [part(rng) for _ in range(rng.randint(1, 6))]
        least = gap("".join(parts))
        for _ in range(STEPS):
            other = changed(parts, rng)
            if (smaller := gap("".join(other))) <= least:
                parts, least = other, smaller
        tried += STEPS + 1
        found.append((least, "".join(parts)))
    return tried, heapq.nsmallest(5, found)


def gap_of(model: str, version: str, counted: Callable[[str, str], int]) -> Callable[[str], int]:
    """How far the bound of a text is above its count."""
    bound, frame = counter_for(model).bound, 2 * counted("中", version) - counted("中中", version)
    return lambda text: bound(text) - (counted(text, version) - frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ctok", type=Path, help="a folder to import ctok from")
    parser.add_argument("--seconds", type=float, default=100, help="for each model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.ctok:
        sys.path.append(str(options.ctok))
    counted = importlib.import_module("ctok").token_count
    failed = False
    for model, version in CLAUDES.items():
        tried, found = search(gap_of(model, version, counted), options.seconds, random.Random(options.seed))
        print(f"{model:28} {tried:8} texts  smallest gaps {found}")
        failed |= bool(found) and found[0][0] < 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
