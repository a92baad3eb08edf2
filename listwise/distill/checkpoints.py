"""Checkpoints: tensors with what must be known to go on from them, as safetensors, never half written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from listwise.errors import InputError

STATE = "state.safetensors"
BEST = "best-{step}.safetensors"


class Checkpoints:
    """The folder where a training keeps its last state and its best weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Keep a state in place of the last one; ``notes`` are JSON."""
        write_beside(self.folder / STATE, save(dict(state), {"notes": json.dumps(notes)}))

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last state and its notes; None where there is none.

        Raises:
            InputError: the file is damaged.
        """
        path = self.folder / STATE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                notes: dict[str, Any] = json.loads((file.metadata() or {})["notes"])
            return load_file(path), notes
        except (SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"a damaged checkpoint ({error}): remove it to start anew", path=path) from error

    def save_best(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Keep the best weights; those of before are still there, for a state that may still name them."""
        write_beside(self.folder / BEST.format(step=step), save(dict(weights)))

    def load_best(self, step: int) -> dict[str, Tensor]:
        """The weights that were best after a step.

        Raises:
            InputError: the file is missing or damaged.
        """
        path = self.folder / BEST.format(step=step)
        try:
            weights: dict[str, Tensor] = load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"a damaged checkpoint ({error}): remove its folder to start anew", path=path
            ) from error
        return weights

    def forget(self, best: int | None = None) -> None:
        """Remove all best weights but those after one step; everything, where none is named."""
        for path in self.folder.glob(BEST.format(step="*")):
            if path.name != BEST.format(step=best):
                path.unlink()
        if best is None and self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()


def write_beside(path: Path, content: bytes) -> None:
    """Write a file beside its place, flush it to the disk and move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
