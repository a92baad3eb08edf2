"""The work of an experiment: each system on each collection, with its input and what tells it from any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from listwise import __version__
from listwise.errors import ConfigError
from listwise.eval.experiments.definition import Source
from listwise.eval.experiments.material import Material, digest_of, orders_of
from listwise.eval.experiments.systems import FILES, System, checked_policy
from listwise.formats import Run
from listwise.formats.rankings import is_simulated
from listwise.policy import Policy
from listwise.types import Request

NOT_THE_ORDER = frozenset(
    {
        *("concurrency", "rpm", "tpm", "timeout_s", "attempts", "counting"),
        *("budget_total_usd", "budget_day_usd", "budget_account_usd"),
        *("account", "ledger", "cache", "cache_size"),
    }
)
"""Settings that pace, store, or limit the work of all queries together: another value leaves what is done valid."""


@dataclass(frozen=True, slots=True)
class Job:
    """One system on one collection."""

    system: System
    material: Material
    simulated: bool
    digest: str
    policy: Policy | None = None
    """For local models and LLMs."""
    requests: Sequence[Request] = ()
    """Likewise: the candidates of its first stage."""
    run: Path | Run | None = None
    """For first stages and recorded runs."""
    members: tuple[str, ...] = ()
    """For votes: the keys of the jobs whose orders are put together."""

    @property
    def key(self) -> str:
        """Names its files, and it in the manifest."""
        return key_of(self.material, self.system)


def key_of(material: Material, system: System) -> str:
    """The key of a system on a collection."""
    return f"{material.name}/{system.file_name}"


def jobs_of(source: Source, systems: Sequence[System], materials: Mapping[str, Material]) -> tuple[Job, ...]:
    """All of them, collection by collection, in the order of the table.

    Raises:
        ConfigError: recorded runs are not there, a vote mixes real and simulated ones, or a policy cannot be.
        InputError: a file is missing or malformed.
    """
    jobs = tuple(
        job for name, material in materials.items() for job in _Collected(source, name, material).jobs(systems)
    )
    taken: dict[str, Job] = {}
    for job in jobs:
        if (same := taken.setdefault(job.key.casefold(), job)) is not job:
            raise source.wrong("systems", f"{job.system.name!r} and {same.system.name!r} would go to one file")
    return jobs


class _Collected:
    """Makes the jobs of one collection; what several systems read is read once."""

    def __init__(self, source: Source, name: str, material: Material) -> None:
        self._source, self._name, self._material = source, name, material
        self._stages: dict[str, Run] = {}
        self._requests: dict[str, list[Request]] = {}

    def jobs(self, systems: Sequence[System]) -> list[Job]:
        here = [system for system in systems if self._name in system.collections]
        made: dict[str, list[Job]] = {}
        for system in here:
            if system.kind != "vote":
                made[system.name] = self._made(system)
        for system in here:
            if system.kind == "vote":
                made[system.name] = [self._vote(system, made)]
        return [job for system in here for job in made[system.name]]

    def _made(self, system: System) -> list[Job]:
        match system.kind:
            case "first_stage":
                run = self._stage(system.name)
                digest = _digest(system.kind, orders_of(run))
                return [Job(system, self._material, False, digest, run=run)]
            case "recorded":
                return self._recorded(system)
            case _:
                return [self._reranked(system)]

    def _recorded(self, system: System) -> list[Job]:
        paths = [path for pattern in system.recorded for path in self._material.matching(pattern)]
        if not paths:
            tried = ", ".join(system.recorded)
            raise self._source.wrong(
                f"systems.{system.name}.recorded",
                f"no file is called {tried}, in {self._material.folder or 'a folder'} or beside this file; "
                "collections says which collections a system is for",
            )
        if len(paths) == 1:
            return [self._of_run(system, paths[0])]
        return [
            self._of_run(replace(system, name=f"{system.group} run={at}", seed=at), path)
            for at, path in enumerate(paths, 1)
        ]

    def _of_run(self, system: System, path: Path) -> Job:
        note = "; ".join(filter(None, (system.note, path.name)))
        digest = _digest(system.kind, system.by, _of_file(path), list(self._material.queries))
        return Job(replace(system, note=note), self._material, is_simulated(path), digest, run=path)

    def _reranked(self, system: System) -> Job:
        policy = checked_policy(self._source, f"systems.{system.name}", system.policy, system.settings)
        requests = self._asked(system.first_stage)
        written = policy.model_dump(mode="json", exclude=set(NOT_THE_ORDER))
        if system.simulated:
            written["llm"] = [written["llm"], self._material.qrels]
        files = {name: _of_file(Path(str(written[name]))) for name in FILES if written.get(name)}
        models = [_of_folder(Path(stage.scorer)) for stage in policy.local]
        digest = _digest(system.kind, {**written, **files}, models, digest_of(requests))
        return Job(system, self._material, system.simulated, digest, policy, requests)

    def _stage(self, name: str) -> Run:
        if name not in self._stages:
            definition = self._source.definition
            run = self._material.first_stage(definition.first_stages[name], definition.by)
            if not run:
                raise self._source.wrong(
                    f"first_stages.{name}", f"it has none of the judged queries of {self._name}"
                )
            self._stages[name] = run
        return self._stages[name]

    def _asked(self, first_stage: str) -> list[Request]:
        if first_stage not in self._requests:
            self._requests[first_stage] = self._material.requests(self._stage(first_stage))
        return self._requests[first_stage]

    def _vote(self, system: System, made: Mapping[str, Sequence[Job]]) -> Job:
        by_group: dict[str, list[Job]] = {}
        for jobs in made.values():
            for job in jobs:
                by_group.setdefault(job.system.group, []).append(job)
        members = [job for name in system.votes_of for job in made.get(name, by_group.get(name, []))]
        key = f"systems.{system.name}.vote"
        if len(members) < 2:
            raise self._source.wrong(key, f"{len(members)} run(s) on {self._name}: a vote needs at least two")
        if len({job.simulated for job in members}) > 1:
            raise self._source.wrong(key, "real and simulated rankings cannot be put together")
        digest = _digest(system.kind, system.aggregate, [job.digest for job in members])
        note = "; ".join(filter(None, (system.note, f"{system.aggregate} over {len(members)} runs")))
        return Job(
            replace(system, note=note, strategy=f"vote: {system.aggregate}"),
            self._material,
            members[0].simulated,
            digest,
            members=tuple(job.key for job in members),
        )


def _digest(*about: object) -> str:
    return hashlib.sha256(json.dumps([__version__, *about], sort_keys=True).encode()).hexdigest()


def _of_file(path: Path) -> str:
    """Of a file's content; of what is no file, its name."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        return str(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _of_folder(path: Path) -> list[object]:
    """Of a local model's files, without reading all of them; nothing of what is no folder."""
    if not path.is_dir():
        return []
    files = sorted(each for each in path.rglob("*") if each.is_file())
    return [[str(each.relative_to(path)), each.stat().st_size, each.stat().st_mtime_ns] for each in files]
