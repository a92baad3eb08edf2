"""Where answers are kept, and under what."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from listwise.calls import Call, Identity

SPELLINGS = "listwise/spellings"
"""Stands in the cache where answers have their model's name: the entry is how a query was spelt first
(`listwise.routing.spellings`)."""


def default_directory() -> Path:
    """``$LISTWISE_CACHE``, else ``listwise`` in the user's cache folder."""
    if own := os.environ.get("LISTWISE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "listwise"


def cache_key(identity: Identity, call: Call) -> str:
    """SHA-256 (hex) of everything that determines an answer, as canonical JSON."""
    sampling = call.sampling
    asked = {
        "provider": identity.provider,
        "model": identity.model,
        "base_url": identity.base_url,
        "interface": identity.interface,
        "messages": [[message.role, message.content] for message in call.messages],
        "form": call.form,
        "passages": call.passages,
        "max_output_tokens": sampling.max_output_tokens,
        "temperature": sampling.temperature,
        "reasoning_effort": sampling.reasoning_effort,
        "seed": sampling.seed,
        "sample": call.sample,
    }
    if identity.provider == "sim":  # it answers by these, and not by the texts
        asked |= {"qid": call.qid, "docids": list(call.docids)}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
