"""Addresses and waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError
from listwise.models.http import Address, retry_after_s


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        (" HTTP://Host.Example:80 ", "http://host.example:80", "http://host.example:80"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https://u:pa%40ss@host/v1?key=s3cret#x", "https://u:pa%40ss@host/v1", "https://host/v1"),
    ],
)
def test_addresses(text: str, url: str, shown: str) -> None:
    address = Address.parse(text)
    assert (address.url, address.shown) == (url, shown)


def test_what_is_secret_in_an_address() -> None:
    address = Address.parse("https://u:pa%40ss@host/v1?key=s3cret")
    assert set(address.secrets) == {"pa%40ss", "pa@ss", "s3cret"}
    assert address.query == {"key": "s3cret"}
    assert not any(secret in repr(address) for secret in address.secrets)


def test_default_path() -> None:
    assert Address.parse("http://host:8000", default_path="/v1").url == "http://host:8000/v1"
    assert Address.parse("http://host:8000/api", default_path="/v1").url == "http://host:8000/api"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host:8000/v1",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "http://host:99999/",
        "http://[::1",
        "http://a b/",
        "http://x\x00y/",
        "http://\ud800/",
    ],
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        Address.parse(text)


def test_a_malformed_address_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Address.parse("htp://user:hunter22@host/v1")
    assert "hunter22" not in str(caught.value)


def test_waits() -> None:
    date = {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert retry_after_s(date, now=1_792_567_670.0) == pytest.approx(10.0)
    assert retry_after_s(date, now=1_792_567_690.0) == 0.0, "a date in the past"
    assert retry_after_s({"retry-after-ms": "junk", "retry-after": "2"}) == 2.0
    assert retry_after_s({}) is None


@given(st.text(max_size=40))
def test_waits_are_never_nonsense(text: str) -> None:
    wish = retry_after_s({"retry-after": text, "retry-after-ms": text})
    assert wish is None or 0 <= wish < float("inf")
