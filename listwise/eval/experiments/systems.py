"""The systems of an experiment, one for each point of a grid and each seed, with names that stay readable: pure.

What depends on a collection (recorded files, a simulated model's judgements) is left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from listwise.errors import ConfigError
from listwise.eval.experiments.definition import Definition, Recorded, Reranked, ScoredBy, Source, Vote
from listwise.policy import Policy
from listwise.resources import did_you_mean
from listwise.spend.prices import is_simulated
from listwise.strategies.aggregate import Aggregate

Kind = Literal["first_stage", "local", "recorded", "vote", "llm"]

LISTS = ("local", "fallback", "price")
"""Settings that are lists themselves."""
FILES = ("prompt", "router", "prices")
"""Settings that may name a file."""
QRELS = "qrels"
"""What stands for a collection's judgements until it is known."""


@dataclass(frozen=True, slots=True)
class System:
    """A line of the table, on any collection."""

    name: str
    group: str
    """The name without the seed."""
    kind: Kind
    collections: tuple[str, ...]
    note: str = ""
    seed: int | None = None
    first_stage: str = ""
    """Whose candidates it re-ranks; a first stage's own name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the policy, for local models and LLMs; a simulated one lacks its judgements."""
    policy: str | None = None
    recorded: tuple[str, ...] = ()
    by: ScoredBy = "rank"
    model: str | None = None
    strategy: str | None = None
    votes_of: tuple[str, ...] = ()
    """Names of systems or groups."""
    aggregate: Aggregate = "borda"

    @property
    def simulated(self) -> bool:
        """Whether it asks a simulated model, as far as its settings say."""
        return self.kind == "llm" and is_simulated(self.model or "")

    @property
    def file_name(self) -> str:
        """Its name as that of a file, without ending."""
        return re.sub(r"[^\w.+=@-]+", "-", self.name).strip("-.") or "system"


def systems_of(source: Source) -> tuple[System, ...]:
    """All systems in the order of the table: the first stages, then those of the file.

    Raises:
        ConfigError: a setting cannot be, two systems have one name, or a name names nothing; with file and key.
    """
    definition = source.definition
    found = [
        System(name, name, "first_stage", definition.collections, first_stage=name, by=definition.by)
        for name in definition.first_stages
    ]
    for name, part in definition.systems.items():
        collections = part.collections or definition.collections
        match part:
            case Recorded():
                found.append(_recorded(name, part, collections))
            case Vote():
                found += _votes(name, part, collections)
            case Reranked():
                found += _reranked(source, name, part, collections)
    _check(source, found)
    return tuple(found)


def _recorded(name: str, part: Recorded, collections: tuple[str, ...]) -> System:
    return System(
        name,
        name,
        "recorded",
        collections,
        part.note,
        recorded=part.recorded,
        by=part.by,
        model=part.model,
        strategy=part.strategy,
    )


def _votes(name: str, part: Vote, collections: tuple[str, ...]) -> Iterator[System]:
    for rule in part.aggregate:
        label = name if len(part.aggregate) == 1 else f"{name} {rule}"
        yield System(label, label, "vote", collections, part.note, votes_of=part.vote, aggregate=rule)


def _reranked(source: Source, name: str, part: Reranked, collections: tuple[str, ...]) -> Iterator[System]:
    definition = source.definition
    asks = part.policy is not None or "llm" in part.settings or "local" not in part.settings
    settings = {**definition.defaults, **part.settings} if asks else dict(part.settings)
    stages = part.first_stage or tuple(definition.first_stages)[:1]
    policy = None if part.policy is None else _beside(source, part.policy)
    for stage, (labels, point) in product(stages, grid(settings)):
        over = f"over {stage}" if len(stages) > 1 else ""
        group = " ".join(filter(None, (name, *labels, over)))
        for seed in part.seeds or (None,):
            label = group if seed is None else f"{group} seed={seed}"
            at = f"systems.{name}"
            chosen = _found_beside(source, _seeded(point, seed))
            checked = checked_policy(source, at, policy, chosen)
            kind: Kind = "local" if checked.llm is None or checked.escalate == "never" else "llm"
            yield System(
                label,
                group,
                kind,
                collections,
                part.note,
                seed=seed,
                first_stage=stage,
                settings=chosen if kind == "llm" else {**chosen, "escalate": "never"},
                policy=policy,
                model=_without_qrels(checked.llm) if kind == "llm" else " > ".join(checked.scorers) or None,
                strategy=checked.strategy if kind == "llm" else None,
            )


def checked_policy(source: Source, key: str, policy: str | None, settings: Mapping[str, Any]) -> Policy:
    """The policy with these settings.

    Raises:
        ConfigError: it cannot be; names the experiment's file and the key.
    """
    try:
        return Policy.of(policy, **settings)
    except ConfigError as error:
        raise source.wrong(key, str(error)) from error


def grid(settings: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every choice of one value for each setting, in the order written, with what tells it from the others."""
    axes: dict[str, list[Any]] = {key: value for key, value in settings.items() if _is_axis(key, value)}
    for chosen in product(*axes.values()):
        point = dict(zip(axes, chosen, strict=True))
        labels = tuple(_label(key, value) for key, value in point.items() if len(axes[key]) > 1)
        yield labels, {key: point.get(key, value) for key, value in settings.items()}


def _is_axis(key: str, value: object) -> bool:
    if key in LISTS:
        return isinstance(value, list) and bool(value) and all(isinstance(each, list) for each in value)
    return isinstance(value, list)


def _label(key: str, value: object) -> str:
    """A value of a grid in a name: words stand for themselves, numbers need their key, files lose their folder."""
    if isinstance(value, list):
        return ">".join(_label(key, each) for each in value) or "none"
    if isinstance(value, str) and not re.fullmatch(r"[\d.]+|auto|none|off", value):
        return Path(value).stem if key in FILES and "." in value else value.replace("/", "-").replace("\\", "-")
    return f"{key}={value}"


def _seeded(settings: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
    llm = settings.get("llm")
    if isinstance(llm, str) and is_simulated(llm) and f",{QRELS}=" not in llm:
        return {**settings, "llm": f"{llm}{f',seed={seed}' if seed is not None else ''},{QRELS}=", **_seed(seed)}
    return {**settings, **_seed(seed)}


def _seed(seed: int | None) -> dict[str, int]:
    return {} if seed is None else {"seed": seed}


def _without_qrels(llm: str | None) -> str | None:
    return None if llm is None else llm.partition(f",{QRELS}=")[0]


def _found_beside(source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with those files in full that lie beside the experiment's."""
    return {
        key: _beside(source, value) if key in FILES and isinstance(value, str) else value
        for key, value in settings.items()
    }


def _beside(source: Source, name: str) -> str:
    """A file beside the experiment's, or the name as it is: of what is shipped, or from here."""
    beside = source.folder / name
    return str(beside) if beside.is_file() else name


def _check(source: Source, systems: Sequence[System]) -> None:
    """Names are unique, as those of files, too; and name something."""
    definition = source.definition
    taken: dict[str, System] = {}
    groups = {system.group for system in systems}
    for system in systems:
        same = taken.setdefault(system.file_name.casefold(), system)
        if same is not system:
            raise source.wrong("systems", f"{system.name!r} and {same.name!r} would go to one file: rename one")
        if system.seed is not None and system.group in {other.name for other in systems}:
            raise source.wrong("systems", f"{system.group!r} is a system and a group of seeds: rename one")
    known = {system.name: system for system in systems} | {s.group: s for s in systems}
    for system in systems:
        for member in system.votes_of:
            key = f"systems.{system.name}.vote"
            if member not in known:
                raise source.wrong(key, f"no system {member!r}{did_you_mean(member, tuple(known))}")
            if known[member].kind in ("llm", "vote"):
                raise source.wrong(
                    key,
                    f"{member!r} is no recorded run, local model or first stage; LLMs have votes = N of their own",
                )
            if missing := set(system.collections) - set(known[member].collections):
                raise source.wrong(key, f"{member!r} is not for {', '.join(sorted(missing))}: set collections")
    if definition.baseline is not None and definition.baseline not in groups | set(known):
        raise source.wrong("baseline", _no_baseline(definition, tuple(known)))


def _no_baseline(definition: Definition, known: tuple[str, ...]) -> str:
    return f"no system {definition.baseline!r}{did_you_mean(str(definition.baseline), known)}; {', '.join(known)}"


__all__ = ["Kind", "System", "checked_policy", "grid", "systems_of"]
