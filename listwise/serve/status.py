"""What the page shows of a service: what it offers, what it did, and what was spent against which cap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any

from prometheus_client.samples import Sample

from listwise import __version__
from listwise.policy import Policy
from listwise.serve.metrics import Metrics
from listwise.serve.naming import shown_scorer
from listwise.serve.service import Service
from listwise.serve.settings import Limits
from listwise.spend.history import History
from listwise.spend.holdings import Held, Holdings, held_by_run, holdings
from listwise.spend.sqlite import SqliteLedger

QUANTILES = (0.5, 0.95, 0.99)
Spans = Sequence[tuple[float, int]]
"""Upper bounds in seconds, the last infinite, and how many requests took longer than the bound before and no longer
than this one."""


def status_of(service: Service, metrics: Metrics, routes: Iterable[str], account: str | None) -> dict[str, Any]:
    """The figures of all workers; spending of one account, or without keys of all. Reads files.

    Args:
        service: of this worker.
        metrics: likewise.
        routes: the paths whose requests are rankings.
        account: whose spending; None where there are no keys.

    Raises:
        ConfigError: the ledger cannot be used.
    """
    settings = service.settings
    return {
        "version": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "keys": settings.keys is not None,
        "account": account,
        "workers": settings.workers,
        "log_queries": settings.log_queries,
        "policies": [described(name, policy, settings.limits) for name, policy in settings.policies.items()],
        "traffic": traffic_of(metrics.samples(), routes),
        "spending": _spending(service, account),
    }


def described(name: str, policy: Policy, limits: Limits) -> dict[str, Any]:
    """What a policy that clients may name does."""
    asks = policy.llm is not None and policy.escalate != "never"
    return {
        "name": name,
        "local": [shown_scorer(each) for each in policy.scorers],
        "llm": policy.llm if asks else None,
        "fallback": [each.llm for each in policy.fallback] if asks else [],
        "escalate": policy.escalate if asks else "never",
        "strategy": policy.strategy if asks else None,
        "window": policy.window if asks else None,
        "depth": policy.depth,
        "simulated": policy.simulated,
        "budget_usd": _amount(policy.budget_usd),
        "deadline_s": min(limits.deadline_s, policy.max_seconds or limits.deadline_s),
    }


def traffic_of(samples: Iterable[Sample], routes: Iterable[str]) -> dict[str, Any]:
    """What was done since the service started, from its metrics.

    ``seconds`` has the requests by how long they took, and for each quantile a bound that it does not exceed: None
    where nothing came, or where it is longer than the longest bound.
    """
    sums: Counter[str] = Counter()
    tiers: Counter[str] = Counter()
    reached: Counter[float] = Counter()
    ranking = set(routes)
    for each in samples:
        if each.name == "listwise_rankings_total":
            tiers[each.labels["tier"]] += round(each.value)
        elif each.name == "listwise_request_seconds_bucket" and each.labels["route"] in ranking:
            reached[float(each.labels["le"])] += round(each.value)
        else:
            sums[each.name] += round(each.value)
    spans = _spans(reached)
    return {
        "rankings": tiers.total(),
        "tiers": dict(sorted(tiers.items())),
        "degraded": sums["listwise_degraded_total"],
        "calls": sums["listwise_calls_total"],
        "cache_hits": sums["listwise_cache_hits_total"],
        "repairs": sums["listwise_repairs_total"],
        "retries": sums["listwise_retries_total"],
        "running": sums["listwise_running"],
        "waiting": sums["listwise_waiting"],
        "seconds": {
            "spans": [{"most": _finite(most), "requests": count} for most, count in spans],
            "quantiles": [{"share": share, "most": quantile_bound(spans, share)} for share in QUANTILES],
        },
    }


def quantile_bound(spans: Spans, share: float) -> float | None:
    """Seconds within which so large a share of the requests was answered; None where no bound says."""
    wanted, seen = share * sum(count for _, count in spans), 0
    for most, count in spans:
        seen += count
        if seen >= wanted > 0:
            return _finite(most)
    return None


def _spans(reached: Counter[float]) -> Spans:
    bounds = sorted(reached)
    before = [0, *(reached[most] for most in bounds)]
    return [(most, reached[most] - less) for most, less in zip(bounds, before, strict=False)]


def _finite(most: float) -> float | None:
    return None if most == inf else most


def _spending(service: Service, account: str | None) -> dict[str, Any]:
    """What the ledgers of the policies say; usually there is one."""
    now = datetime.now(UTC)
    books = [(History(path), _policies_at(service, path)) for path in sorted(_ledgers(service))]
    lines = [line for history, own in books for line in _lines(history, own, now, account)]
    run = [_run(history, own, service.settings.run_id) for history, own in books] if account is None else []
    return {
        "day": f"{now:%Y-%m-%d}",
        "month": f"{now:%Y-%m}",
        "kept": bool(books),
        "pays": any(policy.pays for policy in service.settings.policies.values()),
        "accounts": lines,
        "run": run[0] if len(run) == 1 else None,
    }


def _ledgers(service: Service) -> set[Path]:
    ledgers = (each.purse.ledger for each in service.rerankers.values())
    return {ledger.path for ledger in ledgers if isinstance(ledger, SqliteLedger)}


def _policies_at(service: Service, path: Path) -> list[Policy]:
    """Those that spend there."""
    return [
        each.policy
        for each in service.rerankers.values()
        if isinstance(each.purse.ledger, SqliteLedger) and each.purse.ledger.path == path
    ]


def _lines(history: History, own: Sequence[Policy], now: datetime, account: str | None) -> Iterator[dict[str, Any]]:
    """An account a line, those that spent most this month first: of all that spent this month or are capped, and
    of those that are spent from here. With keys the policies' own caps hold for the account of each."""
    kept = history.caps()
    spends = {policy.account for policy in own} if account is None else {account}
    found = {each.account: each for each in holdings(history, now, account)}
    nothing = Held()
    found |= {name: Holdings(name, nothing, nothing, nothing) for name in spends - found.keys()}
    for name, each in sorted(found.items(), key=lambda named: (-named[1].month.usd, named[0])):
        if name in spends or name in kept or each.month != nothing:
            yield _line(each, kept.get(name, {}), own if name in spends else ())


def _line(held: Holdings, kept: dict[str, Decimal], own: Sequence[Policy]) -> dict[str, Any]:
    return {
        "account": held.account,
        "day": _scope(held.day, kept.get("day"), [policy.caps.day for policy in own]),
        "month": _scope(held.month, kept.get("month"), []),
        "total": _scope(held.total, kept.get("account"), [policy.caps.account for policy in own]),
    }


def _run(history: History, own: Sequence[Policy], run_id: str) -> dict[str, Any]:
    return {"name": run_id, **_scope(held_by_run(history, run_id), None, [policy.caps.run for policy in own])}


def _scope(held: Held, kept: Decimal | None, own: Sequence[Decimal | None]) -> dict[str, Any]:
    """What a scope holds against the cap that nothing gets past: the one that is kept for it, and the highest of
    the policies', if each has one."""
    highest = [max(each for each in own if each is not None)] if own and None not in own else []
    cap = min([*([] if kept is None else [kept]), *highest], default=None)
    return {"usd": float(held.usd), "reserved_usd": float(held.reserved_usd), "cap_usd": _amount(cap)}


def _amount(usd: Decimal | None) -> float | None:
    return None if usd is None else float(usd)
