"""Reading and writing: TREC runs and qrels, corpora, queries, rank_llm's JSONL.

Whatever is wrong with a file is an `listwise.errors.InputError` that names file and line.
"""

from listwise.formats.collections import Passage, fetch_passages, read_queries, stream_passages
from listwise.formats.rankings import RankingForm, RankingWriter
from listwise.formats.requests import read_requests, read_single, requests_from
from listwise.formats.trec import Qrels, Run, Scored, read_qrels, read_run, run_lines

__all__ = [
    "Passage",
    "Qrels",
    "RankingForm",
    "RankingWriter",
    "Run",
    "Scored",
    "fetch_passages",
    "read_qrels",
    "read_queries",
    "read_requests",
    "read_run",
    "read_single",
    "requests_from",
    "run_lines",
    "stream_passages",
]
