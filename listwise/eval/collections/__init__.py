"""Test collections: queries, passages, judgements and first-stage runs, by folder or by name.

`open_collection` takes either; nothing is read before it is asked for.
"""

from listwise.eval.collections.base import Collection
from listwise.eval.collections.copying import copy_collection
from listwise.eval.collections.folders import FileCollection
from listwise.eval.collections.named import SHORT_NAMES, known_names
from listwise.eval.collections.opening import open_collection
from listwise.eval.collections.summary import Lengths, RunSummary, Summary, summarise

__all__ = [
    "SHORT_NAMES",
    "Collection",
    "FileCollection",
    "Lengths",
    "RunSummary",
    "Summary",
    "copy_collection",
    "known_names",
    "open_collection",
    "summarise",
]
