from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import InputError, Unpriced
from listwise.spend.money import nano_usd_down, nano_usd_up, plain, usd_of
from listwise.spend.prices import Price, PriceBook, Rates, bound, require_price
from listwise.types import Usage

MODELS = ["openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "openai/gpt-5"]


@pytest.fixture(params=MODELS)
def price(request: pytest.FixtureRequest) -> Price:
    found = PriceBook().find(request.param)
    assert found is not None
    return found


usages = st.tuples(*[st.integers(0, 500_000)] * 4).map(
    lambda t: Usage(t[0] + t[1] + t[2], cached_input_tokens=t[0], cache_write_tokens=t[1], output_tokens=t[3])
)


@given(usage=usages)
def test_the_bound_covers_every_way_to_bill_the_same_tokens(usage: Usage) -> None:
    for name in MODELS:
        found = PriceBook().find(name)
        assert found is not None
        assert found.cost(usage) <= bound(found, usage.input_tokens, usage.output_tokens)


@given(usage=usages, rates=st.lists(st.decimals(0, 1000, places=4), min_size=4, max_size=4))
def test_the_bound_covers_own_rates(usage: Usage, rates: list[Decimal]) -> None:
    own = Rates(input=rates[0], output=rates[1], cached_input=rates[2], cache_write=rates[3])
    assert own.cost(usage) <= bound(own, usage.input_tokens, usage.output_tokens) + 1


@pytest.mark.parametrize("name", ["openai/gpt-5", "openai/o3", "openai/gpt-5-mini"])
def test_the_table_knows_what_openais_flex_tier_costs(name: str) -> None:
    found = PriceBook().find(name)
    assert found is not None
    used = Usage(100_000, 50_000, 0, 10_000)
    assert found.cost(replace(used, service_tier="flex")) == pytest.approx(found.cost(used) / 2)
    assert found.cost(replace(used, service_tier="default")) == found.cost(used)
    assert found.cost(replace(used, service_tier="priority")) > found.cost(used)
    assert found.cost(replace(used, service_tier="of their own")) == found.cost(used)
    assert "batch" not in found.rates()
    assert found.rates("flex") != found.rates() == found.rates("default")


def test_where_the_table_lists_no_flex_rate_the_ordinary_one_counts() -> None:
    found = PriceBook().find("openai/gpt-4o")
    assert found is not None
    used = Usage(1000, output_tokens=1000)
    assert found.cost(replace(used, service_tier="flex")) == found.cost(used)
    assert found.cost(replace(used, service_tier="batch")) == found.cost(used) // 2


def test_a_batch_of_anthropics_costs_half() -> None:
    found = PriceBook().find("anthropic/claude-sonnet-4-5")
    assert found is not None
    used = Usage(1000, 500, 300, 1000)
    assert found.cost(replace(used, service_tier="batch")) == pytest.approx(found.cost(used) / 2)


def test_table_prices_know_cached_tokens(price: Price) -> None:
    plain, cached = Usage(input_tokens=10_000), Usage(input_tokens=10_000, cached_input_tokens=10_000)
    assert 0 < price.cost(cached) < price.cost(plain)
    assert price.source.startswith("genai-prices: ")


def test_gpt_4o_costs_what_openai_says() -> None:
    found = PriceBook().find("openai/gpt-4o")
    assert found is not None
    assert usd_of(found.cost(Usage(input_tokens=1_000_000, output_tokens=100_000))) == Decimal("3.5")


def test_an_unknown_or_self_hosted_model_has_no_price() -> None:
    book = PriceBook()
    assert book.find("openai/no-such-model") is None
    assert book.find("vllm/gpt-4o") is None
    assert book.find("openai/gpt-4o", "http://127.0.0.1:8000/v1") is None
    assert book.find("openai/gpt-4o", "https://api.openai.com/v1") is not None
    assert book.find("openai/gpt-4o", "https://api.openai.com.evil.example/v1") is None
    with pytest.raises(Unpriced, match=r"vllm/x.*--prices"):
        require_price(book, "vllm/x", "http://localhost:8000/v1")


def test_a_price_file_goes_before_the_table(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('["openai/gpt-4o"]\ninput = 1\noutput = 2\ncached_input = 0.5\ncall = 0.001\n')
    found = PriceBook.read(file).find("openai/gpt-4o", "http://localhost:1/v1")
    assert found is not None
    usage = Usage(input_tokens=2_000_000, cached_input_tokens=1_000_000, output_tokens=1_000_000)
    assert usd_of(found.cost(usage)) == Decimal("3.501")
    assert found.source == str(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml", "not a TOML file"),
        ('["openai/x"]\ninput = -1\noutput = 1', r"\[openai/x\] input"),
        ('["openai/x"]\ninput = 1', r"\[openai/x\] output"),
        ('["openai/x"]\ninput = 1\noutput = 1\ninptu = 1', r"\[openai/x\] inptu"),
        ("input = 1", "expected a table"),
    ],
)
def test_a_bad_price_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        PriceBook.read(file)
    assert str(file) in str(caught.value)


def test_a_missing_price_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        PriceBook.read(tmp_path / "nowhere.toml")


@given(st.decimals(0, 10**6, places=12))
def test_costs_round_up_and_caps_round_down(usd: Decimal) -> None:
    assert usd_of(nano_usd_down(usd)) <= usd <= usd_of(nano_usd_up(usd))
    assert nano_usd_up(usd) - nano_usd_down(usd) <= 1


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0"), (1, "0.000000001"), (10**9, "1"), (1_500_000_000, "1.5"), (10**11, "100")]
)
def test_dollars_are_exact(nano: int, text: str) -> None:
    assert plain(usd_of(nano)) == text


def test_no_digit_is_lost_and_no_amount_is_too_large() -> None:
    usd = Decimal("98765432109876543210987654321.1234567899")
    assert nano_usd_down(usd) == 98765432109876543210987654321_123456789
    assert nano_usd_up(usd) == 98765432109876543210987654321_123456790
    assert plain(usd_of(nano_usd_down(usd))) == "98765432109876543210987654321.123456789"
    assert usd_of(10**400) == Decimal("1e391")
