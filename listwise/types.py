"""What flows through the library: a request goes in, a ranking with its receipt comes out.

Everything here is frozen data without behaviour that could fail later: what is wrong with a request is said
when it is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import exp, isfinite
from typing import Any, Literal

from listwise.errors import InputError

Route = Literal["empty", "first_stage", "local", "llm"]
"""Which tier is to decide the order: nothing to rank, the first stage as it came, the local model, the LLM."""
Fallback = Literal["llm", "local", "first_stage"]
"""Where a ranking ended up that did not go as routed: with another LLM, the local model, the first stage."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search query; ``qid`` names it in runs, receipts, traces and errors."""

    qid: str
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that the first stage found; ``score`` is the first stage's, higher is better."""

    docid: str
    text: str
    score: float | None = None
    title: str | None = None
    doc: Mapping[str, Any] | None = field(default=None, compare=False)
    """The document's record as it was read, passed through to JSONL output."""

    @property
    def content(self) -> str:
        """What a model reads: the title, if there is one, and the text."""
        return f"{self.title} {self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Request:
    """One query and its candidates in first-stage order, best first.

    Raises:
        InputError: two candidates bear the same docid.
    """

    query: Query
    candidates: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for candidate in self.candidates:
            if candidate.docid in seen:
                raise InputError(f"document {candidate.docid!r} occurs twice", qid=self.query.qid)
            seen.add(candidate.docid)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer took, as the provider billed it."""

    input_tokens: int = 0
    """All tokens of the prompt, those read from or written to a prompt cache included."""
    cached_input_tokens: int = 0
    """The part of ``input_tokens`` that the provider read from its prompt cache."""
    cache_write_tokens: int = 0
    """The part of ``input_tokens`` that the provider wrote to its prompt cache."""
    output_tokens: int = 0
    """All tokens of the answer, reasoning included."""
    reasoning_tokens: int = 0
    """The part of ``output_tokens`` that was reasoning and is not in the text."""
    search_units: int = 0
    """What rerank APIs bill instead of tokens (`listwise.spend.search_units`)."""
    service_tier: str = field(default="", kw_only=True)
    """The tier that served it, in the provider's own word (``default``, ``flex``): the price goes by it. Empty
    where the provider does not say, and in a sum over several."""
    assumed: bool = field(default=False, kw_only=True, compare=False)
    """Whether the provider stated none that can be right, so that this is the most that it can have been."""

    def __add__(self, other: Usage) -> Usage:
        tiers = {each.service_tier for each in (self, other) if each != Usage()}
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.search_units + other.search_units,
            service_tier=tiers.pop() if len(tiers) == 1 else "",
            assumed=self.assumed or other.assumed,
        )


@dataclass(frozen=True, slots=True)
class StageReceipt:
    """What one scorer of the cascade before the LLM did for one ranking."""

    scorer: str
    candidates: int
    """How many it was given, best of the order so far."""
    cut: int = 0
    """Those of which some part was not read."""
    chunked: int = 0
    """Those that were read in several chunks."""
    calls: int = 0
    """Requests to an API, answered by it or from the cache; 0 for a model on this machine."""
    attempts: int = 0
    """HTTP requests sent, failed ones and retries included; part of the receipt's sum, as all that follows."""
    cache_hits: int = 0
    """Calls answered from the cache, free of charge."""
    input_tokens: int = 0
    """What the API billed, as far as it says."""
    search_units: int = 0
    usd: Decimal = Decimal(0)
    """Spent by this stage."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one ranking cost and why it is as it is."""

    qid: str
    route: Route
    reason: str
    """Why the router chose this route, with the signal it looked at, in plain words."""
    candidates: int
    strategy: str | None = None
    model: str | None = None
    """The LLM of first choice, ``provider/name``."""
    simulated: bool = False
    """Whether the LLM was a simulation: then order, tokens and dollars are made up, and say nothing of a real
    one."""
    ordered_by: Mapping[str, int] = field(default_factory=dict)
    """How many windows each LLM put in order."""
    fallback: Fallback | None = None
    """The last tier of the chain that decided anything, where the first choice failed: another LLM, which put at
    least one window in order; or, as no LLM did, the local model or the first stage. None where the first choice
    put all windows in order that were put in order. Why is in ``degraded``."""
    local: str | None = None
    """What scored the candidates before the LLM: a model's name, or several in their order, ``A > B``."""
    stages: Sequence[StageReceipt] = ()
    """One for each scorer of ``local``, in their order."""
    signal: float | None = None
    """The margin around rank 10 that the router saw, in standard deviations of the query's scores; a small one is
    an ambiguous query. None where nothing was scored."""
    expected_gain: float | None = None
    """What the router expected the LLM to gain in nDCG@10 over the local order, with what it chose; of a query that
    stayed, with the best that it refused. None where it expected nothing, as under ``always``."""
    expected_usd: Decimal | None = None
    """What it expected that to cost."""
    calls: int = 0
    """Windows that were put to the LLM, answered by it or from the cache."""
    attempts: int = 0
    """HTTP requests sent, failed ones and retries included."""
    retries: int = 0
    """Attempts beyond the first of their call."""
    cache_hits: int = 0
    """Calls answered from the cache, free of charge."""
    passages_read: int = 0
    """Sum of the window sizes over all calls."""
    input_tokens: int = 0
    """Tokens bought for this ranking now, by kind as in `Usage`; answers from the cache add none."""
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    usd: Decimal = Decimal(0)
    """Spent for this ranking now, the worst case of attempts with an unknown outcome included."""
    over_cap: str | None = None
    """What had no dollars left for something that was to be asked: ``query``, ``run``, ``day``, ``month`` or
    ``account``; None where there was room for everything."""
    priced: bool = True
    """False where the model has no known price, so that ``usd`` says nothing."""
    repairs: Mapping[str, int] = field(default_factory=dict)
    """Repairs to the model's answers by kind."""
    echoes: int = 0
    """Windows of at least four passages that were answered in exactly the order shown. A right order may be; a
    model that ranks nothing does it to most."""
    confirmed: int = 0
    """Leaps to the top that a second, shuffled window confirmed."""
    refuted: int = 0
    """Those that it did not confirm, or that could not be checked and were not believed: lowered."""
    notes: Sequence[str] = ()
    """What was noticed on the way, in plain words: it is as asked all the same."""
    degraded: Sequence[str] = ()
    """What could not be done as asked, in order and in plain words; empty when all went well."""
    truncated: int = 0
    """Passages that were shortened to fit a context or word limit, counted once a window."""
    counted: str | None = None
    """How the prompts behind the reservations were counted: ``exact``, ``provider``, ``tokenizer``,
    ``family factor`` or ``bytes`` (`listwise.spend.tokens`); None where nothing was reserved."""
    seconds: float = 0.0
    """Wall time, from when the query's turn came to its ranking."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates of a request, each exactly once, best first."""

    query: Query
    candidates: tuple[Candidate, ...]
    receipt: Receipt
    local_scores: tuple[float | None, ...] | None = None
    """The last scorer's score of each candidate, in the order of ``candidates``; None for those that it was not
    given, and as a whole where there was none. Raw: only scores of the same query compare."""
    probabilities: tuple[float | None, ...] | None = None
    """The same as calibrated probabilities that a candidate is relevant, where the scorer is calibrated: these
    compare over queries (docs/cascades.md)."""
    windows: Sequence[WindowTrace] = ()
    """One record a window and model, in the order asked; empty unless traces were asked for."""

    @property
    def docids(self) -> tuple[str, ...]:
        """The docids, best first."""
        return tuple(candidate.docid for candidate in self.candidates)

    @property
    def shares(self) -> tuple[float | None, ...] | None:
        """The softmax of the local scores: positive, summing to 1 over the candidates that were scored. They say
        how one query's candidates stand to one another, and nothing over queries."""
        if self.local_scores is None:
            return None
        finite = [score for score in self.local_scores if score is not None and isfinite(score)]
        highest = max(finite, default=0.0)
        weights = [
            None if score is None else exp(score - highest) if isfinite(score) else 0.0
            for score in self.local_scores
        ]
        total = sum(weight for weight in weights if weight is not None)
        return tuple(None if weight is None else weight / total if total else 0.0 for weight in weights)


@dataclass(frozen=True, slots=True)
class WindowTrace:
    """One window as one model saw and answered it. Where a model could not order it and the next one of the chain
    was asked, each has a record of its own, in that order."""

    qid: str
    step: int
    """The strategy's step, from 0; windows of one step were asked at once."""
    docids: tuple[str, ...]
    """In the order shown to the model."""
    prompt_sha256: str | None
    """None where the window was not rendered: it does not fit, or the model is not asked any more."""
    model: str
    served_by: str | None
    """The model's name as the server gave it, None where there was no answer."""
    answer: str | None
    """The raw answer, None where there was none."""
    permutation: tuple[int, ...] | None
    """Positions in ``docids``, best first; None where the window kept its order."""
    repairs: Mapping[str, int]
    usage: Usage
    usd: Decimal
    cached: bool
    error: str | None = None
    """Why there is no permutation, None where there is one."""
    sample: int = 0
    """Tells apart what was asked more than once on purpose: votes, and second looks."""
    scores: tuple[float, ...] | None = None
    """Of each of ``docids``, where the answer grades them: log-probabilities of labels, or log-odds of yes."""


@dataclass(frozen=True, slots=True)
class StepTrace:
    """What a strategy is about to ask, and how far it has come."""

    step: int
    """From 0."""
    docids: tuple[str, ...]
    """All candidates in the best order known now."""
    windows: tuple[tuple[str, ...], ...]
    """The docids of each window, in the order to show them; they are asked at once."""


Watcher = Callable[[StepTrace | WindowTrace], None]
"""Is told, in the event loop that ranks, of each step before it is asked and of each window as soon as it was read.
It must be quick and raise nothing."""
