"""The tables of a results folder, made of what its systems left: systems, measures, totals, texts, environment."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any

from listwise import __version__
from listwise.eval.experiments.definition import Source
from listwise.eval.experiments.folder import Results, read_lines, write_json, write_lines, write_text
from listwise.eval.experiments.jobs import Job
from listwise.eval.experiments.material import Material
from listwise.eval.experiments.measured import Result, results_of
from listwise.formats import Run, read_run
from listwise.spend.money import nano_usd_up, plain, usd_of
from listwise.spend.prices import PriceBook
from listwise.types import Usage

TEXT_RANKS, TEXT_CHARS = 20, 2000
"""Passages are kept down to this place in any run, and cut at so many characters, to be shown."""
PACKAGES = (
    *("anthropic", "bpe-openai", "genai-prices", "httpx2", "ir-datasets", "ir-measures", "numpy", "onnxruntime"),
    *("openai", "pydantic", "pytrec-eval-terrier", "tiktoken", "tokenizers", "torch", "transformers"),
)
"""Whose versions may matter to a figure; those that are not installed are left out."""


def write_tables(source: Source, jobs: Sequence[Job], results: Results, spent_usd: Decimal) -> list[Result]:
    """Write all tables, from the runs, receipts and traces that are there.

    Args:
        jobs: all of the experiment, all of which have been run.
        spent_usd: by the ledger, over all runs into the folder.

    Raises:
        ConfigError, InputError, MissingExtra: as for `listwise.eval.measures.evaluate`.
    """
    recorded = {job.key for job in jobs if job.system.kind == "recorded"}
    measured: list[tuple[str, Result]] = []
    for material, here in _by_collection(jobs):
        runs = {job.key: read_run(results.file("runs", job.key)) for job in here}
        found = results_of(here, runs, source.definition.measures, source.definition.baseline)
        measured += [(material.name, each) for each in found]
        _write_texts(material, runs, results)
    write_lines(results.path / "systems.jsonl", [_system(source, job, results) for job in jobs])
    write_lines(results.path / "totals.jsonl", [_total(job, results, recorded) for job in jobs])
    groups = [_line(name, each) | {"seeds": each.seeds} for name, each in measured if each.seeds > 1]
    single = [(name, each) for name, each in measured if each.seeds == 1]
    write_lines(results.path / "groups.jsonl", groups)
    write_lines(results.path / "measures.jsonl", [_line(*each) for each in single])
    write_lines(results.path / "per_query.jsonl", _per_query(single))
    write_text(results.path / "experiment.toml", source.text)
    write_json(results.path / "environment.json", _environment(source, results, spent_usd))
    return [each for _, each in measured]


def _by_collection(jobs: Sequence[Job]) -> Iterator[tuple[Material, list[Job]]]:
    for _, here in groupby(jobs, lambda job: job.material.name):
        alike = list(here)
        yield alike[0].material, alike


def _line(collection: str, found: Result) -> dict[str, Any]:
    interval, comparison = found.measured.interval, found.comparison
    difference = comparison.difference if comparison else None
    return {
        "collection": collection,
        "system": found.name,
        "measure": found.measured.measure,
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "ceiling": None if found.ceiling is None else found.ceiling.best,
        "binds": found.binds,
        "p": comparison.p_value if comparison else None,
        "p_corrected": found.p_corrected,
        "difference": [difference.mean, difference.low, difference.high] if difference else None,
        "wins": comparison.wins if comparison else None,
        "losses": comparison.losses if comparison else None,
    }


def _per_query(measured: Sequence[tuple[str, Result]]) -> Iterator[dict[str, Any]]:
    for collection, found in measured:
        for qid, value in found.measured.by_query.items():
            named = {"collection": collection, "system": found.name, "measure": found.measured.measure}
            yield {**named, "qid": qid, "value": value}


def _system(source: Source, job: Job, results: Results) -> dict[str, Any]:
    system, entry = job.system, results.manifest.entries[job.key]
    asked = {
        kind: f"{kind}/{job.key}.jsonl" if results.file(kind, job.key).is_file() else None
        for kind in ("receipts", "traces")
    }
    lacks = f"incomplete: {entry.lacking} queries lack an answer ({entry.why})" if entry.lacking else ""
    return {
        "system": system.name,
        "collection": job.material.name,
        "kind": system.kind,
        "simulated": job.simulated,
        "model": system.model,
        "strategy": system.strategy,
        "seed": system.seed,
        "group": system.group,
        "baseline": source.definition.baseline in (system.name, system.group),
        "first_stage": system.first_stage or None,
        "run": f"runs/{job.key}.trec",
        "receipts": asked["receipts"],
        "trace": asked["traces"],
        "cpu_s": entry.cpu_s,
        "seconds": entry.seconds,
        "note": "; ".join(filter(None, (system.note, lacks))),
    }


def _total(job: Job, results: Results, recorded: Set[str]) -> dict[str, Any]:
    """What a system took; tokens are those of all answers, from the cache, too, and so is ``bill_usd``. What
    recorded runs took, and so votes over them, nobody knows.
    """
    named = {"collection": job.material.name, "system": job.system.name}
    receipts = read_lines(results.file("receipts", job.key))
    windows = read_lines(results.file("traces", job.key))
    usages = [Usage(**window["usage"]) for window in windows]
    usage = sum(usages, Usage())
    stages = [stage for receipt in receipts for stage in receipt["stages"]]
    usd = usd_of(sum(_nano(receipt["usd"]) for receipt in receipts))
    bill = _bill(job, windows, usages, stages) if job.policy is not None else None
    return {
        **named,
        "usd": plain(usd),
        "calls": sum(receipt["calls"] for receipt in receipts) + sum(stage["calls"] for stage in stages),
        "passages_read": sum(receipt["passages_read"] for receipt in receipts),
        "input_tokens": usage.input_tokens + sum(stage["input_tokens"] for stage in stages),
        "output_tokens": usage.output_tokens,
        "cache_hits": sum(r["cache_hits"] for r in receipts) + sum(stage["cache_hits"] for stage in stages),
        "seconds": results.manifest.entries[job.key].seconds or 0.0,
        "priced": not ({job.key, *job.members} & recorded) and all(receipt["priced"] for receipt in receipts),
        "bill_usd": None if bill is None else plain(bill),
    }


def _bill(
    job: Job, windows: Sequence[Mapping[str, Any]], usages: Sequence[Usage], stages: Sequence[Mapping[str, Any]]
) -> Decimal | None:
    """What the answers would cost if none came from the cache, by the prices of today; None where that is unknown:
    a model has no price, or a rerank API's answer came from the cache, which does not say what it took."""
    assert job.policy is not None
    if any(stage["cache_hits"] for stage in stages):
        return None
    book = PriceBook.of(job.policy.prices, job.policy.price)
    addresses = {choice.llm: choice.base_url for choice in job.policy.choices}
    nano = 0
    for window, usage in zip(windows, usages, strict=True):
        price = book.find(window["model"], addresses.get(window["model"]))
        if price is None:
            return None
        nano += price.cost(usage)
    return usd_of(nano + sum(_nano(stage["usd"]) for stage in stages))


def _nano(usd: float) -> int:
    """Dollars as they stand in a receipt, which holds them to the nano-dollar."""
    return nano_usd_up(Decimal(repr(usd)))


def write_collection(material: Material, results: Results) -> None:
    """Queries and judgements, so that the folder can be read without the collection."""
    queries = [{"qid": qid, "text": text} for qid, text in material.queries.items()]
    write_lines(results.path / "queries" / f"{material.name}.jsonl", queries)
    judged = [f"{qid} 0 {docid} {grade}\n" for qid, of in material.qrels.items() for docid, grade in of.items()]
    write_text(results.qrels(material.name), "".join(judged))


def _write_texts(material: Material, runs: Mapping[str, Run], results: Results) -> None:
    """The passages at the top of any run."""
    shown = sorted({e.docid for run in runs.values() for entries in run.values() for e in entries[:TEXT_RANKS]})
    passages = material.passages(shown)
    texts = [
        {"docid": docid, "text": f"{each.title} {each.text}"[:TEXT_CHARS] if each.title else each.text[:TEXT_CHARS]}
        for docid in shown
        if (each := passages.get(docid)) is not None
    ]
    write_lines(results.path / "texts" / f"{material.name}.jsonl", texts)


def _environment(source: Source, results: Results, spent_usd: Decimal) -> dict[str, Any]:
    manifest = results.manifest
    return {
        "experiment": manifest.experiment,
        "listwise": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "started": manifest.started,
        "seconds": round(sum(entry.seconds or 0.0 for entry in manifest.entries.values()), 3),
        "sha256": source.sha256,
        "run_id": manifest.run_id,
        "spent_usd": plain(spent_usd),
        "systems": {key: asdict(entry)["digest"] for key, entry in sorted(manifest.entries.items())},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
