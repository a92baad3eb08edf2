"""Figures and words: the parts without a service."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from math import inf
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.samples import Sample

from listwise.serve.recents import Recents
from listwise.serve.status import Spans, _scope, quantile_bound, traffic_of
from listwise.serve.words import words
from listwise.spend.history import History
from listwise.spend.holdings import Held, held_by_run, holdings
from listwise.spend.ledger import Scope
from listwise.spend.sqlite import SqliteLedger
from listwise.types import Receipt

BOUNDS = (0.1, 0.5, 2.0, inf)


@given(st.lists(st.floats(0, 4), max_size=40), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantiles_bound_is_the_least_that_holds(seconds: list[float], share: float) -> None:
    spans: Spans = [
        (most, sum(less < each <= most for each in seconds))
        for less, most in zip((-1.0, *BOUNDS), BOUNDS, strict=False)
    ]
    bound = quantile_bound(spans, share)
    holding = [most for most in BOUNDS[:-1] if sum(each <= most for each in seconds) >= share * len(seconds)]
    assert bound == (min(holding, default=None) if seconds else None)


def test_traffic_is_read_from_the_metrics() -> None:
    def bucket(route: str, le: str, count: float) -> Sample:
        return Sample("listwise_request_seconds_bucket", {"route": route, "le": le}, count)

    samples = [
        Sample("listwise_rankings_total", {"tier": "llm"}, 3.0),
        Sample("listwise_rankings_total", {"tier": "local"}, 1.0),
        Sample("listwise_repairs_total", {"kind": "missing"}, 2.0),
        Sample("listwise_repairs_total", {"kind": "repeated"}, 1.0),
        Sample("listwise_calls_total", {"model": "m"}, 9.0),
        Sample("listwise_cache_hits_total", {"model": "m"}, 4.0),
        *(bucket("/try", le, count) for le, count in (("0.1", 1), ("0.5", 3), ("+Inf", 4))),
        *(bucket("/rerank", le, count) for le, count in (("0.1", 0), ("0.5", 1), ("+Inf", 1))),
        bucket("/status", "+Inf", 1000),
    ]
    found = traffic_of(samples, ("/try", "/rerank"))
    assert (found["rankings"], found["tiers"]) == (4, {"llm": 3, "local": 1})
    assert (found["repairs"], found["calls"], found["cache_hits"], found["running"]) == (3, 9, 4, 0)
    assert found["seconds"]["spans"] == [
        {"most": 0.1, "requests": 1},
        {"most": 0.5, "requests": 3},
        {"most": None, "requests": 1},
    ]
    assert found["seconds"]["quantiles"] == [
        {"share": 0.5, "most": 0.5},
        {"share": 0.95, "most": None},
        {"share": 0.99, "most": None},
    ]


def test_the_cap_that_is_shown_is_the_one_that_nothing_gets_past() -> None:
    def usd(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    def cap(kept: str | None, *own: str | None) -> float | None:
        shown: float | None = _scope(Held(), usd(kept), [usd(each) for each in own])["cap_usd"]
        return shown

    assert cap(None) is None
    assert cap("3") == 3
    assert cap("3", "1") == 1
    assert cap("3", "5") == 3
    assert cap(None, "1", "2") == 2  # the second policy may go on where the first is stopped
    assert cap(None, "1", None) is None
    assert cap("3", "1", None) == 3


async def test_holdings_are_the_ledgers(tmp_path: Path) -> None:
    now = datetime(2026, 3, 31, 23, tzinfo=UTC)
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    scopes = [Scope("run", "r"), Scope("day", "a 2026-03-31"), Scope("month", "a 2026-03"), Scope("account", "a")]
    first = await ledger.reserve(scopes, 5_000_000)
    await ledger.reserve(scopes, 2_000_000)
    ledger.settle(first, 4_000_000)
    await ledger.reserve([Scope("day", "b 2026-03-30"), Scope("account", "b")], 7)
    await ledger.flush()
    history = History(path)
    history.keep_cap("capped", "day", Decimal(1))
    held = Held(Decimal("0.004"), Decimal("0.002"))
    one, other, capped = holdings(history, now)
    assert (one.account, one.day, one.month, one.total) == ("a", held, held, held)
    assert (other.account, other.day, other.total) == ("b", Held(), Held(reserved_usd=Decimal("7E-9")))
    assert (capped.account, capped.total) == ("capped", Held())
    assert holdings(history, now, "a") == [one]
    assert holdings(history, now, "nobody")[0].total == Held()
    assert held_by_run(history, "r") == held
    ledger.close()


def said(receipt: Receipt) -> dict[str, str]:
    return {sentence.what: sentence.text for sentence in words(receipt)}


def test_a_receipt_in_words() -> None:
    asked = Receipt(
        "q",
        "llm",
        "the margin is small",
        20,
        strategy="sliding",
        model="openai/gpt-4o",
        ordered_by={"openai/gpt-4o": 2, "openai/gpt-4o-mini": 1},
        fallback="llm",
        calls=4,
        cache_hits=1,
        passages_read=80,
        input_tokens=12_345,
        output_tokens=67,
        retries=1,
        usd=Decimal("0.0123"),
        repairs={"missing": 1, "out_of_range": 2},
        notes=["a leap"],
        degraded=["a window kept its order"],
        truncated=3,
        seconds=1.5,
    )
    assert [(what, text) for what, text in words(asked)] == [
        (
            "order",
            "20 passages, put in order by openai/gpt-4o (2 windows) and openai/gpt-4o-mini (1 window), sliding",
        ),
        ("why", "the margin is small"),
        (
            "cost",
            "1.500 s; $0.0123; 4 calls, 1 from the cache; 80 passages read; 12,345 + 67 tokens; 1 retry",
        ),
        ("repaired", "answers were repaired: missing 1, out of range 2"),
        ("noted", "3 passages were shortened to fit"),
        ("noted", "a leap"),
        ("degraded", "a window kept its order"),
    ]


def test_a_receipt_without_an_llm_in_words() -> None:
    local = Receipt("q", "local", "no LLM", 1, local="/home/me/models/mine > ./other")
    assert said(local)["order"] == "1 passage, in the order of the local model mine > other"
    assert said(Receipt("q", "llm", "", 2, fallback="first_stage"))["order"].endswith("in which they came")
    assert said(Receipt("q", "empty", "", 0))["order"] == "there was nothing to rank"
    unpriced = Receipt("q", "llm", "", 2, strategy="single", ordered_by={"vllm/x": 1}, priced=False, simulated=True)
    assert said(unpriced)["cost"] == "0.000 s; no price known (made up)"
    assert said(unpriced)["order"].endswith("single, simulated")


def test_nothing_is_remembered_of_nobody() -> None:
    assert Recents(log_queries=True).of(None) == []
