"""Names, addresses and keys of rerank APIs."""

from __future__ import annotations

import pytest

from listwise.errors import ConfigError, UnknownModel
from listwise.models.rerank import VENDORS, is_rerank_api, load_rerank_model
from tests.models.rerank.apis import KEY


def test_names() -> None:
    for name in ("cohere/rerank-v3.5", "jina/x", "voyage/rerank-2.5", "tei/a", "vllm/BAAI/bge-reranker-v2-m3"):
        assert is_rerank_api(name)
    for name in ("embedded", "none", "/models/cohere/x", "cohere", "cohere/", "jinaai/jina-reranker-v2", "./tei/x"):
        assert not is_rerank_api(name)


def test_an_unknown_vendor_is_said_so_with_the_one_that_was_meant() -> None:
    with pytest.raises(UnknownModel, match=r"voyage, tei, vllm.*did you mean.*cohere"):
        load_rerank_model("coher/rerank-v3.5")


@pytest.mark.parametrize(
    ("name", "variable", "address"),
    [
        ("cohere/m", "COHERE_API_KEY", "https://api.cohere.com/v2"),
        ("cohere/m", "CO_API_KEY", "https://api.cohere.com/v2"),
        ("jina/m", "JINA_API_KEY", "https://api.jina.ai/v1"),
        ("voyage/m", "VOYAGE_API_KEY", "https://api.voyageai.com/v1"),
    ],
)
def test_keys_and_addresses_of_vendors(
    monkeypatch: pytest.MonkeyPatch, name: str, variable: str, address: str
) -> None:
    with pytest.raises(ConfigError, match=r"no key: set \w+_API_KEY"):
        load_rerank_model(name)
    monkeypatch.setenv(variable, KEY)
    model = load_rerank_model(name)
    assert model.identity.base_url == address
    assert model._client.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("name", "address"), [("tei/m", "http://127.0.0.1:8080"), ("vllm/m", "http://127.0.0.1:8080/v1")]
)
def test_servers_of_ones_own_need_an_address(monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
    variable = f"{name.partition('/')[0].upper()}_BASE_URL"
    with pytest.raises(ConfigError, match=variable):
        load_rerank_model(name)
    monkeypatch.setenv(variable, "http://127.0.0.1:8080/")
    assert load_rerank_model(name).identity.base_url == address
    assert load_rerank_model(name, base_url="http://10.0.0.1/x").identity.base_url == "http://10.0.0.1/x"


def test_a_key_is_sent_to_no_other_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor in VENDORS:
        monkeypatch.setenv(f"{vendor.upper()}_API_KEY", KEY)
    own = {"cohere": "api.cohere.com", "jina": "api.jina.ai", "voyage": "api.voyageai.com"}
    hosts = {*own.values(), "API.JINA.AI", "eu.cohere.ai", "api.openai.com", "api.anthropic.com"}
    for vendor in VENDORS:
        for host in hosts:
            if host.lower().removeprefix("eu.").removeprefix("api.") in {
                "cohere": {"cohere.com", "cohere.ai"},
                "jina": {"jina.ai"},
                "voyage": {"voyageai.com"},
            }.get(vendor, ()):
                continue
            with pytest.raises(ConfigError, match="not given the key"):
                load_rerank_model(f"{vendor}/m", base_url=f"https://{host}/v1")


def test_a_vendors_key_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    for name in ("jina/m", "voyage/m", "tei/m", "vllm/m"):
        model = load_rerank_model(name, base_url="http://127.0.0.1:1")
        assert "authorization" not in model._client.headers


def test_a_key_that_cannot_be_one_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINA_API_KEY", "two words")
    with pytest.raises(ConfigError, match="JINA_API_KEY") as caught:
        load_rerank_model("jina/m")
    assert "two words" not in str(caught.value)


def test_credentials_in_an_address_are_not_shown() -> None:
    model = load_rerank_model("tei/m", base_url="http://me:pass-w0rd@127.0.0.1:1/?token=t0ken")
    assert model.identity.base_url == "http://127.0.0.1:1"
    assert {"pass-w0rd", "t0ken"} <= set(model._failures.secrets)
