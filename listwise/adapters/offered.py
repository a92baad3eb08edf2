"""The policies that a service offers its clients beside its own: theirs to choose, the operator's to bound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from listwise.errors import ConfigError
from listwise.planning import NOT_THE_WORK
from listwise.policy import Policy, written_in

DEFAULT = "default"
"""The name of the service's own policy."""

_MONEY = ("account", "ledger", "budget_total_usd", "budget_day_usd", "budget_account_usd")
"""All that a service spends is spent from one purse."""
_LIMITS = ("budget_usd", "max_tokens", "max_calls", "max_seconds")
_LLM = ("llm", "base_url", "api", "service_tier", "fallback", "reasoning_effort", "max_output_tokens")
"""Hold together: an address is one model's."""


def offered_beside(default: Policy, settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Policy]:
    """Policies by the names that clients know them by: a shipped one's own, a file's without ``.toml``.

    What a policy says of routes, strategies and local models is its own. Of the operator's settings these hold for
    it, too: those on pace, prices and the cache; the purse and its caps; the lower of both limits; and the LLM,
    with its address, where the policy names none.

    Args:
        default: the service's own policy.
        settings: those that the operator gave by themselves, and not in a policy.
        names: of shipped policies, or files.

    Raises:
        ConfigError: a policy is none or cannot work, or two have the same name.
    """
    offered: dict[str, Policy] = {}
    for named in names:
        name = named if not named.endswith(".toml") else Path(named).stem
        if name == DEFAULT or name in offered:
            raise ConfigError(f"{named}: a policy {name!r} is offered already; give the file another name")
        offered[name] = _bounded(named, default, settings)
    return offered


def _bounded(named: str, default: Policy, settings: Mapping[str, Any]) -> Policy:
    _, written = written_in(named)
    shared = {*NOT_THE_WORK, *(() if "llm" in written else _LLM)} - {*_LIMITS}
    policy = Policy.of(named, **{name: value for name, value in settings.items() if name in shared})
    purse = {name: getattr(default, name) for name in _MONEY if getattr(default, name) is not None}
    limits = {
        name: min(each for each in (getattr(default, name), getattr(policy, name)) if each is not None)
        for name in _LIMITS
        if name in settings
    }
    return Policy.of(policy, **purse, **limits)
