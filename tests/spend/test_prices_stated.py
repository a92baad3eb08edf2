from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError, InputError
from listwise.spend.prices import PriceBook, Rates, bound, is_old, rates_stated
from listwise.types import Usage

BY_THE_HOUR = "gpu_hour:3.6,input_tokens_per_s:1000,output_tokens_per_s:100"


def test_two_numbers_are_input_and_output() -> None:
    name, rates = rates_stated("vllm/org/rank-zephyr=0.1,0.4")
    assert (name, rates.input, rates.output) == ("vllm/org/rank-zephyr", Decimal("0.1"), Decimal("0.4"))


def test_an_hour_of_gpus_is_spread_over_what_is_done_in_it() -> None:
    _, rates = rates_stated(f"vllm/x={BY_THE_HOUR}")
    assert (rates.input, rates.output) == (Decimal(1), Decimal(10))
    assert "from $3.6/GPU-hour" in rates.rates()


def test_what_is_stated_goes_before_the_file_and_the_file_before_the_table(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('["openai/gpt-4o"]\ninput = 7\noutput = 8\n["openai/gpt-5"]\ninput = 9\noutput = 9\n')
    book = PriceBook.of(file, ("openai/gpt-4o=1,2",))
    sources = [
        price.source for name in ("openai/gpt-4o", "openai/gpt-5", "openai/gpt-4.1") if (price := book.find(name))
    ]
    assert sources == ["stated with --price", str(file), "genai-prices: openai/gpt-4.1"]


@pytest.mark.parametrize(
    "word",
    [
        "openai/gpt-4o",
        "gpt-4o=1,2",
        "openai/gpt-4o=1",
        "openai/gpt-4o=1,2,3",
        "openai/gpt-4o=1,-2",
        "openai/gpt-4o=one,two",
        "openai/gpt-4o=input:1",
        "openai/gpt-4o=input:1,output:2,colour:3",
        "openai/gpt-4o=input:1,output:2,batch:1.5",
        "openai/gpt-4o=batch:0.5",
        "cohere/rerank-v3.5=search_unit:-1",
        "vllm/x=gpu_hour:2",
        "vllm/x=gpu_hour:2,input_tokens_per_s:0,output_tokens_per_s:1",
        "vllm/x=gpu_hour:much,input_tokens_per_s:1,output_tokens_per_s:1",
        f"vllm/x={BY_THE_HOUR},input:1",
    ],
)
def test_what_is_no_price_is_refused_with_the_right_form(word: str) -> None:
    with pytest.raises(ConfigError, match="PROVIDER/NAME=INPUT,OUTPUT"):
        rates_stated(word)


def test_a_file_says_what_is_wrong_with_an_hourly_price(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('["vllm/x"]\ngpu_hour = 2.5\n')
    with pytest.raises(InputError, match=r"\[vllm/x\].*input_tokens_per_s"):
        PriceBook.read(file)


@given(
    rates=st.lists(st.decimals(0, 1000, places=4), min_size=5, max_size=5),
    tokens=st.lists(st.integers(0, 500_000), min_size=5, max_size=5),
)
def test_the_bound_covers_reasoning_too(rates: list[Decimal], tokens: list[int]) -> None:
    names = ("input", "output", "cached_input", "cache_write", "reasoning")
    own = Rates.model_validate(dict(zip(names, rates, strict=True)))
    cached, written, plain, thought, said = tokens
    usage = Usage(cached + written + plain, cached, written, thought + said, thought)
    assert own.cost(usage) <= bound(own, usage.input_tokens, usage.output_tokens) + 1


def test_reasoning_has_a_rate_of_its_own() -> None:
    _, rates = rates_stated("openai/o=input:1,output:10,reasoning:2")
    assert rates.cost(Usage(0, 0, 0, 1_000_000, 1_000_000)) == 2 * 10**9


@pytest.mark.parametrize("tier", ["flex", "batch"])
def test_a_batch_is_billed_at_a_share_of_the_token_rates(tier: str) -> None:
    _, rates = rates_stated("openai/o=input:1,output:10,cached_input:0.5,call:0.01,batch:0.5")
    used = Usage(3_000_000, 1_000_000, 0, 1_000_000)
    assert rates.cost(used) == 12_510_000_000
    assert rates.cost(replace(used, service_tier=tier)) == 6_260_000_000
    assert rates.rates(tier) == "$0.5/input MTok, $0.25/cached input MTok, $5/output MTok, $0.01/call"


def test_a_batch_costs_as_much_where_nobody_says_otherwise() -> None:
    _, rates = rates_stated("openai/o=1,10")
    used = Usage(1000, output_tokens=1000)
    assert rates.cost(replace(used, service_tier="flex")) == rates.cost(used)
    assert rates.rates("flex") == rates.rates()


@given(share=st.decimals(0, 1, places=3), tokens=st.lists(st.integers(0, 500_000), min_size=3, max_size=3))
def test_the_bound_covers_every_service_tier(share: Decimal, tokens: list[int]) -> None:
    own = Rates(input=Decimal(3), output=Decimal(15), cache_write=Decimal(4), batch=share)
    cached, plain, said = tokens
    for tier in ("", "default", "flex", "batch", "priority"):
        usage = Usage(cached + plain, cached, 0, said, service_tier=tier)
        assert own.cost(usage) <= bound(own, usage.input_tokens, usage.output_tokens)


def test_a_search_unit_needs_no_other_rate() -> None:
    _, rates = rates_stated("cohere/rerank-v3.5=search_unit:0.002")
    assert rates.cost(Usage(search_units=3)) == 6_000_000
    assert rates.rates() == "$0.002/search unit"


def test_a_search_unit_goes_with_other_rates(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('["own/rerank"]\nsearch_unit = 0.002\ninput = 1\n')
    found = PriceBook.read(file).find("own/rerank")
    assert found is not None
    assert found.cost(Usage(1000, search_units=1)) == 3_000_000
    assert found.rates() == "$1/input MTok, $0.002/search unit"


def test_prices_grow_old() -> None:
    _, rates = rates_stated("openai/o=input:1,output:1,as_of:2026-01-01")
    assert not is_old(rates, date(2026, 6, 1))
    assert is_old(rates, date(2026, 7, 15))
    assert not is_old(Rates(input=Decimal(1), output=Decimal(1)), date(2030, 1, 1))


def test_the_table_says_until_when_it_knows() -> None:
    found = PriceBook().find("openai/gpt-4o")
    assert found is not None
    assert found.as_of is not None
    assert date(2025, 1, 1) < found.as_of <= date.today()
