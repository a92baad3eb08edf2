"""The file of an experiment: collections, first stages, systems, measures, a budget.

Only what can be said without looking at data is checked here; every error names the file and the key.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError

from listwise.errors import ConfigError
from listwise.policy import Policy
from listwise.resources import did_you_mean
from listwise.spend.money import MOST_USD
from listwise.strategies.aggregate import Aggregate

ScoredBy = Literal["rank", "score"]
"""What orders the lines of a TREC run: its column of ranks, or, as trec_eval does, that of scores."""

OURS = ("budget_total_usd", "ledger")
"""Settings of a policy that belong to the experiment as a whole."""

NAME = r"^[^\s/\\\x00-\x1f\x7f]([^/\\\x00-\x1f\x7f]{0,98}[^\s/\\\x00-\x1f\x7f])?$"
"""Names stand in tables and, with what a file name cannot hold replaced, in the names of files."""


def _several(value: object) -> object:
    """One thing may stand for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _by_name(value: object) -> object:
    """A list of runs goes by the runs' own names."""
    return {run: run for run in value} if isinstance(value, list) else value


Name = Annotated[str, Field(pattern=NAME)]
Names = Annotated[tuple[str, ...], BeforeValidator(_several)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    collections: Names = ()
    """Those of the experiment's collections that the system is for; by default all."""
    note: str = ""
    """What readers of the table should know."""


class Recorded(_Part):
    """Runs that exist: TREC files, each of which is one seed."""

    recorded: Names
    """Paths or patterns (``runs/gpt-*.trec.gz``), in the collection's folder or beside the experiment's file."""
    by: ScoredBy = "rank"
    """Many recorded runs carry the first stage's scores, so ranks decide unless this says otherwise."""
    model: str | None = None
    strategy: str | None = None


class Vote(_Part):
    """One order made of several systems', the seeds of each counting singly."""

    vote: Names
    """First stages, local models and recorded runs, by name."""
    aggregate: Annotated[tuple[Aggregate, ...], BeforeValidator(_several)] = ("borda",)
    """The rule; with several, each makes a system."""


class Reranked(_Part):
    """What ``listwise rerank`` does under a policy; all further keys are the policy's (``listwise/policy.py``).

    A list of values makes a grid: a system for each. Of settings that are lists themselves (``local``,
    ``fallback``, ``price``), a list of lists does.
    """

    model_config = ConfigDict(extra="allow")

    first_stage: Names = ()
    """Whose candidates are re-ranked; by default the experiment's first one."""
    seeds: tuple[int, ...] = ()
    """A system for each, in one group: the policy's ``seed``, and for a simulated model its own."""
    policy: str | None = None
    """A policy to start from: a shipped one, or a file beside the experiment's."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The policy's settings as they are written, lists included."""
        return dict(self.model_extra or {})


def _kind(table: object) -> str:
    if isinstance(table, Recorded | Vote | Reranked):
        return type(table).__name__.lower()
    keys = table if isinstance(table, dict) else {}
    return next((kind for kind in ("recorded", "vote") if kind in keys), "reranked")


Part = Annotated[
    Annotated[Recorded, Tag("recorded")] | Annotated[Vote, Tag("vote")] | Annotated[Reranked, Tag("reranked")],
    Discriminator(_kind),
]


class Definition(BaseModel):
    """An experiment as it is written (docs/experiments.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: Name
    """By default that of the file."""
    description: str = ""
    collections: Annotated[Names, Field(min_length=1)]
    """Names of folders in the data folder or of ir_datasets, or paths that begin with a dot, from the experiment's
    file (`listwise.eval.collections`)."""
    first_stages: Annotated[dict[Name, str], BeforeValidator(_by_name), Field(min_length=1)]
    """Runs of every collection, by the name they bear here; each is a system, too."""
    by: ScoredBy = "rank"
    """How the first stages' runs are ordered, when they are measured and when they are re-ranked."""
    systems: dict[Name, Part] = {}
    defaults: dict[str, Any] = {}
    """Settings of every system that asks an LLM, unless it has its own."""
    measures: Annotated[Names, Field(min_length=1)] = ("nDCG@10",)
    """In the notation of ir-measures."""
    baseline: str | None = None
    """The system, or group of seeds, that the others are compared with."""
    queries: int | None = Field(default=None, ge=1)
    """Take so many judged queries of each collection, evenly spread; by default all."""
    budget_total_usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    """Dollars that the whole experiment may cost, over all systems, collections and reruns into the same folder."""


class Source:
    """A definition with the file that it was read from."""

    __slots__ = ("definition", "path", "sha256", "text")

    def __init__(self, path: Path, text: str, definition: Definition) -> None:
        self.path, self.text, self.definition = path, text, definition
        self.sha256 = hashlib.sha256(text.encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """What relative paths in it start from."""
        return self.path.resolve().parent

    def wrong(self, key: str, message: str) -> ConfigError:
        """An error in it, which names it and the key."""
        return ConfigError(f"{self.path}: {key}: {message}")


def read_definition(path: Path) -> Source:
    """Read and check the file of an experiment.

    Raises:
        ConfigError: it cannot be read, or a key is unknown, missing or wrong; names file and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    try:
        source = Source(path, text, Definition.model_validate({"name": path.stem, **tables}))
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(_described(each) for each in error.errors())}") from None
    _check_settings(source)
    _check_names(source)
    return source


def _check_settings(source: Source) -> None:
    """Of policies, only which settings there are; what they may be is for the policies themselves."""
    definition = source.definition
    tables: dict[str, Mapping[str, Any]] = {"defaults": definition.defaults}
    reranked = {name: part for name, part in definition.systems.items() if isinstance(part, Reranked)}
    tables |= {f"systems.{name}": part.settings for name, part in reranked.items()}
    known = tuple(name for name in Policy.model_fields if name not in OURS)
    for place, settings in tables.items():
        for key, value in settings.items():
            if value == []:
                raise source.wrong(f"{place}.{key}", "an empty list: a grid needs a value")
            if key in OURS:
                raise source.wrong(f"{place}.{key}", _PLACES[key])
            if key not in known:
                own = () if place == "defaults" else tuple(Reranked.model_fields)
                raise source.wrong(f"{place}.{key}", f"no such setting{did_you_mean(key, (*known, *own))}")
    for name, part in reranked.items():
        if not ({"llm", "local"} & set(part.settings) or part.policy or "llm" in definition.defaults):
            raise source.wrong(f"systems.{name}", "it needs one of recorded, vote, local, llm, policy")


_PLACES = {
    "budget_total_usd": "it is the whole experiment's: put it at the top of the file, before any table",
    "ledger": "all systems share one, so that the budget holds over all: set LISTWISE_LEDGER",
}


def _check_names(source: Source) -> None:
    """What names something else names something that is there."""
    definition = source.definition
    for name, part in definition.systems.items():
        if name in definition.first_stages:
            raise source.wrong(f"systems.{name}", "a first stage has this name")
        for collection in part.collections:
            if collection not in definition.collections:
                raise source.wrong(f"systems.{name}.collections", _no_such(collection, definition.collections))
        for stage in part.first_stage if isinstance(part, Reranked) else ():
            if stage not in definition.first_stages:
                raise source.wrong(f"systems.{name}.first_stage", _no_such(stage, definition.first_stages))


def _no_such(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    return f"no {name!r}{did_you_mean(name, tuple(known))}; there are: {', '.join(known)}"


def _described(problem: Any) -> str:
    """A problem that pydantic found, in our words."""
    place = [str(part) for part in problem["loc"]]
    if place[0] == "systems" and len(place) > 2:
        del place[2]  # the kind of system that it was taken for
    key = ".".join(place)
    match problem["type"]:
        case "extra_forbidden":
            models: dict[str, type[BaseModel]] = {"recorded": Recorded, "vote": Vote}
            fields = models.get(str(problem["loc"][2]), Definition) if len(place) > 2 else Definition
            return f"{key}: no such key{did_you_mean(place[-1], tuple(fields.model_fields))}"
        case "missing":
            return f"{key}: missing"
        case "string_pattern_mismatch":
            return f"{key}: a name has up to 100 characters, no slash, and no space at its ends"
    found = repr(problem["input"])
    shown = "" if re.search(r"@|://", found) or len(found) > 100 else f" (found {found})"
    return f"{key}: {str(problem['msg']).removeprefix('Value error, ')}{shown}"
