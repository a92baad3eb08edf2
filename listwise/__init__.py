"""Re-rank with a local model, escalate to an LLM where it pays, and get a receipt for every dollar.

    from listwise import Reranker

    ranking = Reranker(llm="openai/gpt-4o").rerank("why is the sky blue", ["Rayleigh scattering ...", "..."])

Importing this package loads no SDK and no model; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from listwise.errors import (
        AnswerError,
        BudgetExceeded,
        CallError,
        ConfigError,
        InputError,
        ListwiseError,
    )
    from listwise.policy import Policy
    from listwise.reranker import Reranker
    from listwise.spend.tab import Budget
    from listwise.types import Candidate, Query, Ranking, Receipt, Request, StepTrace, Usage, WindowTrace

__version__ = "0.1.0"

_HOMES = {
    "listwise.errors": (
        "AnswerError",
        "BudgetExceeded",
        "CallError",
        "ConfigError",
        "InputError",
        "ListwiseError",
    ),
    "listwise.policy": ("Policy",),
    "listwise.reranker": ("Reranker",),
    "listwise.spend.tab": ("Budget",),
    "listwise.types": ("Candidate", "Query", "Ranking", "Receipt", "Request", "StepTrace", "Usage", "WindowTrace"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AnswerError",
    "Budget",
    "BudgetExceeded",
    "CallError",
    "Candidate",
    "ConfigError",
    "InputError",
    "ListwiseError",
    "Policy",
    "Query",
    "Ranking",
    "Receipt",
    "Request",
    "Reranker",
    "StepTrace",
    "Usage",
    "WindowTrace",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'listwise' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
