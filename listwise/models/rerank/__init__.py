"""Rerank APIs as models: a call of form ``scores`` in, a JSON list of numbers out.

They stand under the same layers as an LLM, and so are cached, retried, paced, paid for and put into the books like
one. What the vendors' interfaces differ in is a `Vendor`; everything else is said once.
"""

from listwise.models.rerank.naming import VENDORS, is_rerank_api, load_rerank_model

__all__ = ["VENDORS", "is_rerank_api", "load_rerank_model"]
