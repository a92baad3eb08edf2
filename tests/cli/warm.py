"""What commands load that ask models and count tokens: importing this loads it, once for all that are forked."""

from __future__ import annotations

import bpe_openai

import listwise.models.anthropic
import listwise.models.local
import listwise.models.openai
import listwise.policy
import listwise.reranker  # noqa: F401

bpe_openai.get_encoding("o200k_base").encode("a")
