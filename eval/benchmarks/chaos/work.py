"""The work that is dealt out: which queries there are, what they are asked with, and at which price."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from listwise.spend.tokens import counter_for
from listwise.types import Candidate, Query, Request

MODEL = "openai/gpt-4o"
INPUT_NANO, OUTPUT_NANO = 2_500, 10_000
"""What a token costs in nano-dollars: 2.50 and 10 dollars a million."""
PRICES = f'["{MODEL}"]\ninput = {INPUT_NANO / 1000}\noutput = {OUTPUT_NANO / 1000}\n'
"""The same, as a price file."""
DEPTH, WINDOW, STRIDE = 40, 20, 10
WORDS = (
    "the of light in a sky water which scattering blue river was molecules by early bank wavelength between sun "
    "measured rain after colour long account whether winter stone because travel observed small red through cloud"
)
PASSAGE_WORDS = 40


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker process is to do."""

    queries: tuple[int, ...]
    base_url: str
    folder: Path
    """Where the ledger, the prices and the rankings are."""
    run: str
    cap_usd: str | None
    tasks: int
    """Queries ranked at the same time."""
    cancel: float
    """Share of the rankings that are cancelled on their way, and asked for again."""
    seed: int
    slot: int = 0
    """Which of the processes it is."""

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def prices(self) -> Path:
        return self.folder / "prices.toml"

    @property
    def rankings(self) -> Path:
        """One line a finished query."""
        return self.folder / f"rankings-{self.slot}.jsonl"


def request(number: int) -> Request:
    """A query with its candidates, always the same for its number."""
    rng, known = random.Random(number), WORDS.split()

    def text(words: int) -> str:
        return " ".join(rng.choices(known, k=words))

    candidates = tuple(Candidate(f"d{at}", text(PASSAGE_WORDS)) for at in range(DEPTH))
    return Request(Query(str(number), text(6)), candidates)


def warm_up() -> None:
    """Load what is slow to load: the vocabulary of the model."""
    counter_for(MODEL).bound("")
