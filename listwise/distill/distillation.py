"""What `listwise distill` does: from requests and opinions to a directory with a model and its card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from listwise.distill.checkpoints import Checkpoints
from listwise.distill.cross_encoder import PairEncoder, Trainer
from listwise.distill.cross_encoder_export import export_cross_encoder, spread
from listwise.distill.exams import Exam, exams_by_judges, exams_by_teachers, held_out, marks
from listwise.distill.fitting import Progress, Recipe, check_same, fit
from listwise.distill.lessons import Lesson, LossName
from listwise.distill.opinions import DEFAULT_LOSS, Opinions, Source, lessons_of
from listwise.distill.records import Record, read_record, write_record
from listwise.errors import ConfigError, InputError
from listwise.eval.measures import Measured, bootstrap
from listwise.formats import Qrels
from listwise.models.local import load_scorer
from listwise.types import Request

MEASURE = "nDCG@10"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be learnt, and what it is examined on."""

    lessons: tuple[Lesson, ...]
    exams: tuple[Exam, ...]
    """On queries that no lesson is of."""
    truth: str
    """What the exams go by, in plain words."""
    data: tuple[Mapping[str, Any], ...] = field(default=())
    """A row a file of opinions, for the card."""

    def __add__(self, other: Task) -> Task:
        """Both, to learn from several collections at once."""
        truth = self.truth if self.truth == other.truth else f"{self.truth}; {other.truth}"
        return Task(self.lessons + other.lessons, self.exams + other.exams, truth, self.data + other.data)

    @property
    def digest(self) -> str:
        """Tells one set of lessons and exams from another."""
        found = hashlib.sha256()
        for lesson in self.lessons:
            found.update(repr((lesson.qid, lesson.query, lesson.passages, lesson.loss)).encode())
            found.update(lesson.utilities.tobytes())
        for exam in self.exams:
            found.update(repr((exam.request.query, exam.gains, exam.ideal)).encode())
        return found.hexdigest()[:16]


def make_task(
    requests: Sequence[Request],
    opinions: Sequence[Opinions],
    *,
    texts: Mapping[str, str] | None = None,
    losses: Mapping[Source, LossName] = DEFAULT_LOSS,
    share: float = 0.2,
    seed: int = 0,
    judgements: Qrels | None = None,
) -> Task:
    """Lessons, and exams on held-out queries.

    Args:
        texts: by docid, of passages that are no candidates but judged or ranked.
        share: of the queries with opinions, to be held out.
        judgements: to examine by; else the qrels among the opinions, else the teachers' own order.

    Raises:
        InputError: there is nothing to learn.
    """
    by_qid = {request.query.qid: request for request in requests}
    files = [(each, lessons_of(each, by_qid, texts or {}, losses[each.source])) for each in opinions]
    taught = {lesson.qid for _, lessons in files for lesson in lessons}
    if not taught:
        raise InputError("nothing to learn: the files of opinions and the requests have no query in common")
    if share and len(taught) < 2:
        raise ConfigError("only one query has opinions, so none can be held out: --held-out 0 trains without")
    kept = held_out(taught, share, seed)
    graded = judgements or _merged(each for each in opinions if each.source == "qrels")
    examined = [request for request in requests if request.query.qid in kept]
    exams = exams_by_judges(examined, graded) if graded else exams_by_teachers(examined, opinions)
    if kept and not exams:
        raise InputError(
            f"none of the {len(kept)} held-out queries has a relevant candidate: --held-out 0 trains without"
        )
    rows = []
    lessons: list[Lesson] = []
    for each, found in files:
        learnt = [lesson for lesson in found if lesson.qid not in kept]
        lessons += learnt
        rows.append(_row(each, learnt, losses[each.source]))
    truth = "judgements" if graded else "agreement with the teachers' order (its first ten are worth 10, 9, ..., 1)"
    return Task(tuple(lessons), tuple(exams), truth, tuple(rows))


def distil(
    task: Task,
    start: Path,
    out: Path,
    recipe: Recipe,
    *,
    max_tokens: int = 256,
    device: str = "auto",
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Record:
    """Train a cross-encoder and write it, or go on with what an interrupted call began; nothing is done twice.

    Args:
        start: a directory that `PairEncoder` reads.
        out: the directory to write; holds the checkpoints meanwhile.
        device: ``auto`` is a CUDA device where there is one, else ``cpu``.

    Raises:
        ConfigError: the start cannot be trained, or ``out`` holds another training.
        InputError: a checkpoint is damaged.
        Interrupted: ``stop`` said so; the same call goes on.
    """
    if start.resolve() == out.resolve():
        raise ConfigError(f"--out is --start: {out} would be overwritten")
    settings = _settings(task, start, recipe, max_tokens)
    if (done := read_record(out)) is not None:
        check_same(done.settings, settings, str(out))
        return done
    if (out / "config.json").exists() and not (out / "checkpoint").exists():
        raise ConfigError(f"{out} holds another model: choose another --out")
    chosen = torch.device(_device(device))
    trainer = Trainer(PairEncoder(start, max_tokens, recipe.seed).to(chosen))
    checkpoints = Checkpoints(out / "checkpoint")
    fitted = fit(trainer, task.lessons, task.exams, recipe, checkpoints, settings, report, stop)
    pairs = spread([(lesson.query, text) for lesson in task.lessons for text in lesson.passages])
    export_cross_encoder(trainer.model, pairs, out)
    record = Record(
        settings=settings,
        data=task.data,
        truth=task.truth,
        checks=fitted.checks,
        best=fitted.best,
        seconds=fitted.seconds,
        precision="bfloat16" if trainer.half else "float32",
        device=str(chosen),
        measures=_measures(task.exams, start, out, max_tokens) if task.exams else {},
    )
    write_record(record, out)
    checkpoints.forget()
    return record


def _measures(exams: Sequence[Exam], start: Path, out: Path, max_tokens: int) -> dict[str, Measured]:
    """Before and after, on the held-out queries, by name."""
    before, after = PairEncoder(start, max_tokens), PairEncoder(out, max_tokens)
    found = {"first stage": {exam.request.query.qid: exam.first_stage for exam in exams}}
    if before.has_head:
        found["start"] = marks(exams, Trainer(before).score)
    found["trained, weights"] = marks(exams, Trainer(after).score)
    found["trained, int8"] = marks(exams, load_scorer(str(out)).score)
    return {name: Measured(MEASURE, by_qid, bootstrap(list(by_qid.values()))) for name, by_qid in found.items()}


def _settings(task: Task, start: Path, recipe: Recipe, max_tokens: int) -> dict[str, Any]:
    return {"start": str(start), "lessons": task.digest, "max_tokens": max_tokens, **asdict(recipe)}


def _device(name: str) -> str:
    if name != "auto":
        if name == "cuda" and not torch.cuda.is_available():
            raise ConfigError("--device cuda: no CUDA device can be used here")
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _merged(judged: Any) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    for each in judged:
        for qid, lists in each.by_query.items():
            for said in lists:
                grades.setdefault(qid, {}).update({docid: int(grade) for docid, grade in said.items()})
    return grades


def _row(opinions: Opinions, lessons: Sequence[Lesson], loss: LossName) -> dict[str, Any]:
    return {
        "file": Path(opinions.path).name,
        "source": opinions.source,
        "loss": loss,
        "queries": len({lesson.qid for lesson in lessons}),
        "lists": len(lessons),
        "pairs": sum(len(lesson.passages) for lesson in lessons),
    }
