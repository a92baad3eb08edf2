"""An experiment from its file to its results folder: prepare, plan, run, write."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from listwise.errors import ConfigError
from listwise.eval.experiments.definition import Source, read_definition
from listwise.eval.experiments.folder import Results
from listwise.eval.experiments.jobs import Job, jobs_of
from listwise.eval.experiments.material import Material, read_material
from listwise.eval.experiments.measured import Result
from listwise.eval.experiments.plan import ExperimentPlan, plan_line
from listwise.eval.experiments.run import Money, missing, reranker_for, run_job
from listwise.eval.experiments.systems import systems_of
from listwise.eval.experiments.tables import write_collection, write_tables
from listwise.eval.measures import evaluate
from listwise.models.base import Model
from listwise.policy import Policy
from listwise.spend.history import History
from listwise.spend.ledger import Ledger, MemoryLedger, Scope
from listwise.spend.money import usd_of
from listwise.spend.opening import open_ledger
from listwise.spend.purse import Caps
from listwise.spend.sqlite import SqliteLedger
from listwise.types import Receipt


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment that is ready to be planned and run; nothing has been written or spent."""

    source: Source
    materials: Mapping[str, Material]
    jobs: tuple[Job, ...]
    results: Results

    @classmethod
    def of(cls, file: Path, *, out: Path | None = None, data: Path | None = None) -> Experiment:
        """Read the file and everything that it names.

        Args:
            out: the results folder; by default ``results/NAME``, from here.
            data: where collections lie; by default the folder that ``LISTWISE_DATA`` names.

        Raises:
            ConfigError: the file, or something that it names, cannot work; names file and key.
            InputError: a file of a collection is malformed.
            MissingExtra: ir-measures is not installed.
        """
        source = read_definition(file)
        definition = source.definition
        systems = systems_of(source)
        materials = read_material(source, data)
        jobs = jobs_of(source, systems, materials)
        _check_measures(source, jobs)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(source, materials, jobs, Results(out or Path("results") / definition.name, definition.name, now))

    @property
    def pays(self) -> bool:
        """Whether any system asks something that costs money."""
        return any(job.policy is not None and job.policy.pays for job in self.jobs)

    def to_do(self) -> list[Job]:
        """The jobs that are missing, in the order in which they are run."""
        return missing(self.jobs, self.results)

    def plan(self, money: Money, model_of: Callable[[Policy], Model]) -> ExperimentPlan:
        """What it would take now. See `listwise.eval.experiments.plan.plan_line`."""
        entries = [(job, self.results.entry(job.key, job.digest)) for job in self.jobs]
        lines = tuple(plan_line(job, entry, model_of) for job, entry in entries)
        return ExperimentPlan(lines, money.most_usd, spent(money))

    def check(self, money: Money) -> None:
        """Whether all models that are to be paid can be asked, so that nothing is spent before a key is missed.

        Raises:
            ConfigError: a key, a price under the budget, or a template is missing.
        """
        different: dict[str, Job] = {}
        for job in self.to_do():
            if job.policy is not None and job.policy.pays:
                different.setdefault(_asked(job.policy), job)
        for job in different.values():
            try:
                with reranker_for(job, self.results, money):
                    pass
            except ConfigError as error:
                raise ConfigError(f"{job.key}: {error}") from error

    @contextmanager
    def money(self) -> Iterator[Money]:
        """The ledger, with the cap over all systems, and over all runs into the folder.

        Raises:
            ConfigError: no ledger can be opened where one is needed.
        """
        most = self.source.definition.budget_total_usd
        run_id = self.results.manifest.run_id
        ledger: Ledger = MemoryLedger()
        if self.pays:
            ledger = open_ledger(None, Caps(most), resumed=run_id)
        try:
            yield Money(ledger, run_id, most)
        finally:
            ledger.close()

    def note(self, money: Money) -> None:
        """Put into the books what the run is."""
        if isinstance(money.ledger, SqliteLedger):
            most = None if money.most_usd is None else str(money.most_usd)
            settings = {"experiment": self.source.definition.name, "budget_total_usd": most}
            History(money.ledger.path).keep_run(money.run_id, "default", settings, None)

    async def run(self, money: Money) -> AsyncGenerator[tuple[Job, Receipt], None]:
        """Run what is missing; see `listwise.eval.experiments.run.run_job`. To be called with the folder held."""
        todo = self.to_do()
        if todo:
            self.results.drop_tables()
        for material in self.materials.values():
            write_collection(material, self.results)
        for job in todo:
            async with aclosing(run_job(job, self.results, money)) as receipts:
                async for receipt in receipts:
                    yield job, receipt
        await money.ledger.flush()

    def write(self, money: Money) -> list[Result]:
        """Write the tables, and delete what is left of systems that are in the experiment no more."""
        self.results.prune(job.key for job in self.jobs)
        return write_tables(self.source, self.jobs, self.results, spent(money))

    @property
    def lacking(self) -> list[tuple[Job, int, str]]:
        """Jobs with queries that lack an answer: how many, and why the first does."""
        entries = ((job, self.results.entry(job.key, job.digest)) for job in self.jobs)
        return [(job, entry.lacking, entry.why) for job, entry in entries if entry is not None and entry.lacking]


def spent(money: Money) -> Decimal:
    """Dollars that the experiment has spent so far, as far as the books know."""
    return usd_of(money.ledger.held(Scope("run", money.run_id, None)))


def _asked(policy: Policy) -> str:
    """Tells policies apart by what is asked, and at which prices."""
    models = [(each.llm, each.base_url, each.prompt) for each in policy.choices]
    return repr((models, policy.local, policy.strategy, policy.prices, policy.price))


def _check_measures(source: Source, jobs: tuple[Job, ...]) -> None:
    """So that a misspelt measure is not found when all is spent."""
    first = next(job for job in jobs if job.system.kind == "first_stage")
    assert isinstance(first.run, Mapping)
    evaluate(first.run, first.material.qrels, source.definition.measures)
