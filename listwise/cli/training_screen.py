"""What a person sees of a training: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from listwise.cli.screen import LINE_EVERY_S, console

if TYPE_CHECKING:
    from listwise.distill.fitting import Progress as Seen


@contextmanager
def following_training() -> Iterator[Callable[[Seen], None]]:
    """Gives what is to be told of each step."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[seen]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console(), transient=True) as progress:
        task = progress.add_task("training", total=None, seen="")
        yield lambda seen: progress.update(task, completed=seen.step, total=seen.steps, seen=figures(seen))


def figures(seen: Seen) -> str:
    """Loss, nDCG@10 and time left, as far as they are known."""
    ndcg = "" if seen.ndcg is None else f", nDCG@10 {seen.ndcg:.4f}"
    left = seen.seconds_left
    return f"loss {seen.loss:.4f}{ndcg}, about {f'{left / 60:.0f} min' if left >= 120 else f'{left:.0f} s'} left"


def _lines() -> Callable[[Seen], None]:
    last = time.monotonic()

    def tell(seen: Seen) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_EVERY_S or seen.step == seen.steps:
            last = now
            print(f"listwise: step {seen.step} of {seen.steps}, {figures(seen)}", file=sys.stderr, flush=True)

    return tell
