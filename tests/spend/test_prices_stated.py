from __future__ import annotations

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
