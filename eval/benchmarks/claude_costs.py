"""The tables of `listwise.spend.claude`: the most of Claude's tokens that each token of o200k can become.

    python -m eval.benchmarks.claude_costs --ctok DIR [--family v3|v4.7]

Needs ctok 1.3.0, whose insides it uses, installed (Python 3.12) or unpacked in ``--ctok``; 5 minutes a family.

ctok rewrites a text into a stream in which words are marked where they begin and end and where they have
capitals, and counts the cheapest tiling of that stream. A tiling of a stream's parts is a tiling of the stream,
if not the cheapest. So if each token's part costs at most so much *whatever stands around it*, the sum over a
text's tokens is never less than the text's count. What a neighbour can change is few things: whether a word
goes on, whether it then keeps its capitals or has them marked, and whether a space stands beside it. Each token
is put into all of those contexts; the dearest counts. A token that is only a part of a character counts by its
bytes and two more: characters have at least two such parts, and at most three marks.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpe_openai

from listwise.spend.claude import EARLIER, LATER, table_file

FAMILIES = {"v3": EARLIER, "v4.7": LATER}
"""ctok's families, and the tables that are made of them."""

PART_OF_A_CHARACTER = 2
"""Tokens on top for a token that is only a part of a character."""


class Contexts:
    """What can stand before and after a token, and how the stream can spell it.

    ``中`` takes no marks and joins nothing, so what is between two of them is the token's own.
    """

    def __init__(self, marks: Any) -> None:
        begin, end, capitals = marks.BOW_G, marks.EOW_G, marks.CAPS_G
        self.before = [
            ("中", ["中"]),
            ("中 ", ["中 "]),
            ("中a", [f"中{begin}a{end}", f"中{begin}a"]),
            ("中qQ", [f"中{begin}qQ{end}", f"中{begin}qQ"]),
        ]
        self.after = [("中", ["中"]), (" 中", [" 中"]), ("q中", [f"q{end}中"]), ("qQ中", [f"qQ{end}中"])]
        self.before_capitals = (
            "中QQQQ",
            [f"中{capitals}{begin}qqqq{end}", f"中{capitals}{begin}qqqq", f"中{begin}QQQQ{end}", f"中{begin}QQQQ"],
        )
        self.after_capitals = ("QQQQ中", [f"qqqq{end}中", f"QQQQ{end}中"])
        self.begin = begin

    def parts(self, text: str, stream: Callable[[str], str]) -> Iterator[str]:
        """What a token's part of the stream can be."""
        capitals = any(letter.isupper() for letter in text)
        before = [*self.before, self.before_capitals] if capitals else self.before
        after = [*self.after, self.after_capitals] if capitals else self.after
        for head, heads in before:
            for tail, tails in after:
                whole = stream(head + text + tail)
                if whole.startswith(f"{self.begin}中"):  # a family whose frame marks a word's begin
                    whole = whole[1:]
                known_head = next((known for known in heads if whole.startswith(known)), None)
                known_tail = next((known for known in tails if whole.endswith(known)), None)
                if known_head is None or known_tail is None or len(known_head) + len(known_tail) > len(whole):
                    continue  # head and token became one: another context has the token's own part
                yield whole[len(known_head) : len(whole) - len(known_tail)]


def table(family: str) -> bytes:
    """The most tokens of each of o200k's, a byte each."""
    main, normalize, engine, marks = (
        importlib.import_module(f"ctok.{name}") for name in ("main", "normalize", "engine", "constants")
    )
    model = main._model(family)
    contexts = Contexts(marks)
    known: dict[str, int] = {}

    def stream(text: str) -> str:
        folded = normalize.nfc(text, fold_quotes=model.fold_quotes)
        return str(normalize.stream_norm(folded, model, raw_head_space=False))

    def cost(part: str) -> int:
        def alone(at: int) -> int:
            return 1 if part[at] in marks.MARKER_GLYPHS else int(engine.char_cost(model, part[at]))

        if part not in known:
            known[part] = int(engine.min_vocab_tile(part, model.trie, alone)[0])
        return known[part]

    encoding = bpe_openai.get_encoding("o200k_base")
    costs = bytearray()
    for token in range(encoding.max_token_value + 1):
        try:
            spelled = encoding.decode_single_token_bytes(token)
        except KeyError:  # between the last token and the special ones
            costs.append(0)
            continue
        try:
            most = max((cost(part) for part in contexts.parts(spelled.decode(), stream)), default=len(spelled))
        except UnicodeDecodeError:
            most = len(spelled) + PART_OF_A_CHARACTER
        costs.append(most)
    return bytes(costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ctok", type=Path, help="a folder to import ctok from")
    parser.add_argument("--family", choices=sorted(FAMILIES), action="append", help="one table only")
    options = parser.parse_args()
    if options.ctok:
        sys.path.append(str(options.ctok))
    for family in options.family or FAMILIES:
        file = table_file(FAMILIES[family])
        file.write_bytes(gzip.compress(table(family), mtime=0))
        print(f"{file}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
