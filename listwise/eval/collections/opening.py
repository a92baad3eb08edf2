"""Finds a collection by what the user calls it."""

from __future__ import annotations

from pathlib import Path

from listwise.errors import InputError
from listwise.eval.collections.base import Collection
from listwise.eval.collections.bright import EXAMPLES, bright
from listwise.eval.collections.folders import file_collection
from listwise.eval.collections.named import NamedCollection


def open_collection(name: str | Path, *, split: str | None = None) -> Collection:
    """A collection by its folder, or by its name in ir_datasets or a short one such as ``dl19``.

    Args:
        name: a folder goes before a name.
        split: BEIR's split, BRIGHT's task, or what follows a name of ir_datasets after a slash. Without it the
            one that is judged, ``test`` where there are several.

    Raises:
        ConfigError: no such folder or name.
        InputError: the folder is no collection.
        MissingExtra: ir_datasets is needed and not installed.
    """
    folder = Path(name)
    if folder.is_dir():
        return bright(folder, split) if (folder / EXAMPLES).is_dir() else file_collection(folder, split)
    if isinstance(name, Path) or folder.exists() or name.startswith((".", "/", "~")):
        raise InputError("no such folder", path=folder)
    return NamedCollection(name, split)
