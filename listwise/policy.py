"""A policy: every setting of a run, with its default, in one place.

The command line, the library and the TOML files in ``routing/`` all fill in this one model, so a setting means the
same everywhere and is checked once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Container
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ByteSize, Field, ValidationError, model_validator

from listwise.cache import SIZE_LIMIT_BYTES, CacheSize
from listwise.errors import ConfigError
from listwise.fusion import Fusion
from listwise.models.base import LongPassages
from listwise.models.rerank.naming import is_rerank_api
from listwise.resources import did_you_mean, shipped_or_own
from listwise.settings import Cascade, Fallback, LlmSettings, StageSettings
from listwise.spend.money import MOST_USD
from listwise.spend.prices import is_simulated
from listwise.spend.purse import Caps
from listwise.spend.tab import Budget
from listwise.strategies import StrategyName
from listwise.strategies.adaptive import FIRST_STAGE_TRUST, LOCAL_TRUST
from listwise.strategies.aggregate import Aggregate
from listwise.strategies.guard import GuardName
from listwise.strategies.registry import Measures
from listwise.strategies.vote import MOST_VOTES, Ballot, Shuffle

Duplicates = Literal["share", "apart"]
OnBadAnswer = Literal["repair", "reask", "keep", "raise"]


def _escalation(value: object) -> object:
    """A fraction may come as text, from a command line."""
    if isinstance(value, str) and value not in ("never", "always", "auto"):
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{value!r} is none of never, always, auto, or a fraction such as 0.3") from None
    return value


def _votes(value: object) -> object:
    """A number may come as text, from a command line."""
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if number != "auto" and not (isinstance(number, int) and 1 <= number <= MOST_VOTES):
        raise ValueError(f"neither auto nor a number from 1 to {MOST_VOTES}")
    return number


Votes = Annotated[Literal["auto"] | int, BeforeValidator(_votes)]
Share = Annotated[float, Field(ge=0, le=1)]
Escalation = Annotated[Literal["never", "always", "auto"] | Share, BeforeValidator(_escalation)]


NOTHING_TO_SHUFFLE: tuple[StrategyName, ...] = ("pointwise", "pairwise", "pairwise-all")


_ONE_MODELS_OWN = (
    "base_url",
    "api",
    "service_tier",
    "prompt",
    "reasoning_effort",
    "max_output_tokens",
    "rpm",
    "tpm",
)
"""Settings that a fallback does not take over from the first LLM."""


class Policy(LlmSettings):
    """Settings of a run. Limits are per query unless they say otherwise; None is no limit."""

    local: Cascade = (StageSettings(scorer="embedded"),)
    """What scores the candidates before the LLM: ``embedded``, ``none``, a directory, the name of a model on the
    hub or of a rerank API; or a list of them, each reading the best of those before it: ``NAME@50`` reads 50."""
    long_passages: LongPassages = "first"
    """How a local model reads passages that are longer than it can read at once: their beginning (``first``), in
    overlapping chunks of which the best counts (``max``), or beginning and end (``head_tail``)."""
    fuse: Fusion = "none"
    """How the first stage's opinion is fused with the scorers': ``none``, ``rrf`` (by ranks) or ``sum`` (by scores,
    standardized)."""
    fuse_weight: Share = 0.5
    """The first stage's share of a fused score."""
    fallback: tuple[Fallback, ...] = ()
    """LLMs that are asked, in this order, for windows which those before could not put in order: because they
    failed, refused, answered with nonsense, or because the dollars that are left pay only for a cheaper one. Where
    none can, the local model's order stands, or the first stage's."""
    escalate: Escalation = "auto"
    """Which queries the LLM ranks: ``never``, ``always``, ``auto`` (where the router expects enough of it), or the
    share of queries where it expects most for a dollar. A query that is ranked by itself is among the share if it
    would be among those that the router was fitted on; if that tells no query from another, by turns."""
    router: str = "default"
    """What predicts the gain: a fitted router of ours, or a file of your own (``listwise route fit``); a policy's
    file may name one beside it."""
    margin: float | None = Field(default=None, ge=0)
    """Under ``auto``, in place of a router: queries with a smaller margin around rank 10 are escalated
    (`listwise.routing.signals`)."""
    point_usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    """Under ``auto``: what one point of nDCG@10 (0.01) on one query is worth in dollars. Where none of this, a
    largest loss, a budget for the run or pacing says what to aim for, three tenths of what escalating all costs in
    full are spent, where they gain most."""
    max_loss: float | None = Field(default=None, gt=0, lt=1)
    """Under ``auto``: nDCG@10 that the mean over queries may lose against escalating every query."""
    confidence: float = Field(default=0.9, gt=0, lt=1)
    """How sure ``max_loss`` is to hold."""
    pace: bool = False
    """Under ``auto``: spread ``budget_day_usd`` over the day, so that it lasts, and is spent."""
    explore: float = Field(default=0.0, ge=0, le=1)
    """The share of the queries left to the local model that is escalated all the same, by chance, so that what is
    learnt from the log of routes is not only of those that the router chose."""
    strategy: StrategyName = "sliding"
    """Which windows the LLM reads."""
    depth: int = Field(default=100, ge=1)
    """How many candidates from the top are re-ranked; those below keep their order."""
    llm_depth: int | None = Field(default=None, ge=1)
    """How many of those, in the local model's order, the LLM looks at; by default all of them."""
    window: int = Field(default=20, ge=2)
    """Passages in a window."""
    stride: int = Field(default=10, ge=1)
    """Passages that a window moves up."""
    trust: float | None = Field(default=None, ge=0, lt=1)
    """For ``adaptive`` and ``widening``: how well the scores that they start from go together with the LLM's
    opinion, as a correlation. Left out, 0.6 for a local model's scores and 0.25 for the first stage's."""
    votes: Votes = 1
    """How often every window is asked, in other orders; ``auto`` asks twice, and for the head until it is
    settled."""
    shuffle: Shuffle = "balanced"
    """The orders in which votes show a window: ``balanced`` (every passage at head, middle and tail equally often),
    ``random``, or ``none`` (replicates of the same prompt; they differ only at a temperature above 0)."""
    aggregate: Aggregate = "borda"
    """How one order is made of several: ``borda``, ``reciprocal``, ``kemeny`` or ``stable``. Not for ``setwise``,
    where the passage chosen most often wins."""
    top: int = Field(default=10, ge=1)
    """How many at the top are to be right: strategies that work towards a number of results stop there."""
    on_bad_answer: OnBadAnswer = "repair"
    """What to do with an answer that is incomplete or unreadable: ``repair`` (what is missing keeps its order),
    ``reask`` (once more, then repair), ``keep`` (the window keeps its order), ``raise``."""
    guard: GuardName = "suspicious"
    """Which passages that leap to the top must be confirmed by a second, shuffled window: ``suspicious`` (those
    whose text seems to address the model), ``leaps`` (all), ``off``. Unless it is off, a model that seems to repeat
    the order it is shown is given the head turned round. For strategies that ask for orders."""
    budget_usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    """Dollars a query may cost."""
    budget_total_usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    """Dollars the whole run may cost; a run that goes on under the same id goes on with what is left."""
    budget_day_usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    """Dollars the account may spend in a day (UTC), over all runs and processes."""
    budget_account_usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    """Dollars the account may ever spend, over all runs and processes."""
    account: str = Field(default="default", pattern=r"^\S+$")
    """Whose money it is: a name of your own."""
    ledger: str | None = None
    """The file in which spending is counted, or ``off``; by default one in the user's state folder."""
    max_tokens: int | None = Field(default=None, ge=0)
    """Input and output tokens a query may use."""
    max_calls: int | None = Field(default=None, ge=0)
    """Requests a query may send, retries included."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Wall time a query may take."""
    prices: Path | None = None
    """A file of prices that go before the built-in table."""
    price: tuple[str, ...] = ()
    """Prices that go before the file, ``PROVIDER/NAME=INPUT,OUTPUT`` in USD per million tokens."""
    duplicates: Duplicates = "share"
    """Whether queries that are the same but for case, spacing, punctuation and Unicode form, with the same
    candidates, ``share`` their answers (docs/policies.md), or are asked each in its own spelling: ``apart``."""
    seed: int | None = None
    """Sent to models that take one, and part of what the cache goes by; votes are shuffled by it, too."""
    counting: Literal["local", "provider"] = "local"
    """Who counts a prompt's tokens before money is set aside for it: this library, with room to spare where a
    model's vocabulary is not published, or the provider, at one more request a prompt, which is free."""
    cache: str | None = None
    """The directory of the answer cache, or ``off``; by default the user's cache folder."""
    cache_size: CacheSize = ByteSize(SIZE_LIMIT_BYTES)
    """How large the cache may grow (``4GiB``, ``500MB``) before the answers stored longest ago make room."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.llm is None and (self.escalate == "always" or isinstance(self.escalate, float)):
            raise ValueError(f"escalate is {self.escalate}, but there is no llm to escalate to")
        self._check_goals()
        if self.llm is None and self.fallback:
            raise ValueError("there is a fallback, but no llm that it stands in for")
        at_most = self.depth
        for stage in self.local:
            if stage.depth is not None and stage.depth > at_most:
                raise ValueError(
                    f"local: {stage.scorer} is to read {stage.depth} candidates, but only {at_most} come to it; "
                    "set depth, or that of the scorer before it, as high"
                )
            at_most = stage.depth or at_most
        if self.stride >= self.window:
            raise ValueError(f"stride is {self.stride}: it must be less than the window, {self.window}")
        simulated = [is_simulated(each.llm or "") for each in self.choices]
        if any(simulated) and not all(simulated):
            raise ValueError(
                "a simulated model and a real one cannot stand in for each other: their dollars differ"
            )
        if self.simulated and self.ledger is None and any(map(is_rerank_api, self.scorers)):
            raise ValueError(
                "a simulated LLM's dollars are made up, and a rerank API's are not: set ledger to a file of its "
                "own for both, or to off"
            )
        if self.votes != 1 and self.shuffle != "none" and self.strategy in NOTHING_TO_SHUFFLE:
            raise ValueError(
                f"votes is {self.votes}, but {self.strategy} shows a passage alone, or two both ways round: there "
                "is nothing to shuffle. For replicates, set shuffle to none and a temperature above 0"
            )
        if self.ledger == "off" and self.caps.last:
            raise ValueError("a budget for a day or an account needs a ledger, and ledger is off")
        return self

    def _check_goals(self) -> None:
        """At most one thing is aimed for."""
        named = {
            "margin": self.margin is not None,
            "point_usd": self.point_usd is not None,
            "max_loss": self.max_loss is not None,
            "pace": self.pace,
        }
        aims = [name for name, given in named.items() if given]
        if len(aims) > 1:
            raise ValueError(f"{' and '.join(aims)} each say which queries are escalated: leave all but one out")
        if aims and self.escalate != "auto":
            raise ValueError(f"{aims[0]} is for escalate = auto, and escalate is {self.escalate}")
        if self.explore and self.escalate in ("never", "always"):
            raise ValueError(f"explore is for queries that may go either way, and escalate is {self.escalate}")
        if self.pace and self.budget_day_usd is None:
            raise ValueError("pace spreads the budget for a day, and there is none: set budget_day_usd")

    @property
    def choices(self) -> tuple[Policy, ...]:
        """The policy as it is for each LLM of the chain, the first choice first."""
        if self.llm is None:
            return ()
        own = {name: type(self).model_fields[name].default for name in _ONE_MODELS_OWN}
        later = (self.model_copy(update={**own, **each.model_dump(exclude_unset=True)}) for each in self.fallback)
        return (self, *later)

    @property
    def scorers(self) -> tuple[str, ...]:
        """The names of what scores before the LLM."""
        return tuple(stage.scorer for stage in self.local)

    @property
    def measures(self) -> Measures:
        """What strategies are made to measure by."""
        usual = FIRST_STAGE_TRUST if not self.local else LOCAL_TRUST
        return Measures(
            window=self.window,
            stride=self.stride,
            depth=self.llm_depth or self.depth,
            top=self.top,
            trust=usual if self.trust is None else self.trust,
            ballot=Ballot(self.votes, self.shuffle, self.aggregate, self.seed or 0),
        )

    @property
    def simulated(self) -> bool:
        """Whether no real LLM is asked: answers are then neither kept nor put into the books, unless a place for
        them is named."""
        return bool(self.choices) and all(is_simulated(each.llm or "") for each in self.choices)

    @property
    def pays(self) -> bool:
        """Whether anything is asked that costs money."""
        asks = self.llm is not None and self.escalate != "never" and not self.simulated
        return asks or any(map(is_rerank_api, self.scorers))

    @property
    def budget(self) -> Budget:
        """The limits of one query."""
        return Budget(self.budget_usd, self.max_tokens, self.max_calls, self.max_seconds)

    @property
    def caps(self) -> Caps:
        """The limits of everything together."""
        return Caps(self.budget_total_usd, self.budget_day_usd, self.budget_account_usd)

    @property
    def has_dollar_cap(self) -> bool:
        """Whether a dollar limit of any kind is set, so that prices must be known."""
        return self.budget_usd is not None or self.caps.any

    @classmethod
    def of(cls, base: Policy | str | Path | None = None, **settings: Any) -> Policy:
        """A policy (a shipped one by name, a TOML file, or the defaults) with some settings replaced.

        Raises:
            ConfigError: a setting is unknown or cannot be; names it, and the file if it stands in one.
        """
        if base is None or isinstance(base, Policy):
            start = {} if base is None else base.model_dump(exclude_unset=True)
            return cls._checked({**start, **settings}, "")
        path, written = written_in(base)
        return cls._checked({**written, **settings}, f"{path}: ", settings)

    @classmethod
    def _checked(cls, settings: dict[str, Any], place: str, given: Container[object] = ()) -> Policy:
        """``given`` are settings that do not stand at the place."""
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            problems = error.errors()
            there = any(not problem["loc"] or problem["loc"][0] not in given for problem in problems)
            raise ConfigError(place * there + "; ".join(map(_describe, problems))) from None


def written_in(policy: str | Path) -> tuple[Path, dict[str, Any]]:
    """The file of a policy, given by its name or as a file, and the settings that stand there, as yet unchecked.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    path = shipped_or_own("routing", ".toml", policy, "policy")
    written = _read_toml(path)
    beside = path.parent / str(written.get("router", ""))
    if beside.is_file():
        written["router"] = str(beside)
    return path, written


_PARTS: dict[str, type[BaseModel]] = {"fallback": Fallback, "local": StageSettings}
"""Settings that have settings of their own."""


def _describe(problem: Any) -> str:
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        outer, *inner = map(str, problem["loc"])
        known = _PARTS[outer] if inner else Policy
        return f"there is no setting {place!r}{did_you_mean([outer, *inner][-1], tuple(known.model_fields))}"
    found = repr(problem["input"])
    shown = "" if "@" in found or "://" in found else f" (found {found})"  # an address may hold a key
    return f"{place}: {str(problem['msg']).removeprefix('Value error, ')}{shown}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
