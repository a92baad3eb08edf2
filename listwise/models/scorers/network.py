"""ONNX graphs on the CPU with onnxruntime, without torch.

Every core reads texts of its own, one at a time. So nothing is padded, the states of a text stay in its core's
cache, cores wait for one another only at the end, and a score cannot depend on batch mates, even where a graph
quantizes activations dynamically. Measured against padded batches in ``eval/results/local_speed.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import numpy as np
import onnxruntime

from listwise.errors import ConfigError
from listwise.models.scorers.passages import Array, Floats
from listwise.models.scorers.reading import Input

One = TypeVar("One")
Made = TypeVar("Made")

SLOW_FUSIONS = ("SkipLayerNormFusion",)
"""Rewrites of onnxruntime that take several times as long as what they replace."""


class Network:
    """An ONNX graph on the CPU. Safe to share between threads.

    Raises:
        ConfigError: onnxruntime cannot load the file.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(SLOW_FUSIONS)
            )
        except Exception as exc:  # onnxruntime's exceptions have no common base of their own
            raise ConfigError(f"{path} cannot be loaded: {exc}") from exc
        self._wanted = {node.name: node.shape for node in self._session.get_inputs()}
        self._lock, self._owner = Lock(), 0
        self._pool: ThreadPoolExecutor

    def width(self, name: str) -> int:
        """The last dimension of an input."""
        return int(self._wanted[name][-1])

    @property
    def labels(self) -> int | None:
        """The last dimension of the first output, [batch, labels]; None where the graph does not say."""
        shape = self._session.get_outputs()[0].shape
        return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None

    def run(self, text: Input, outputs: Sequence[str] | None = None, **more: Array) -> list[Floats]:
        """The graph's outputs for one text, all of them unless named; inputs that it does not take are left out."""
        ids = np.array([text.ids], np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.array([text.kinds], np.int64),
            **more,
        }
        taken = {name: value for name, value in inputs.items() if name in self._wanted}
        return cast(list[Floats], self._session.run(outputs, taken))

    def each(self, work: Callable[[One], Made], over: Sequence[One]) -> list[Made]:
        """Call ``work`` with each, on every core; in order. It may call ``run``, not ``each``."""
        return [work(one) for one in over] if len(over) < 2 else list(self._threads().map(work, over))

    def _threads(self) -> ThreadPoolExecutor:
        """A thread a core, of this process: threads do not survive a fork."""
        with self._lock:
            if self._owner != os.getpid():
                self._owner, self._pool = os.getpid(), ThreadPoolExecutor(_cores(), "listwise-onnx")
            return self._pool


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
