"""Names, keys and addresses."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import aclosing

import pytest

from listwise.errors import ConfigError, UnknownModel
from listwise.models.registry import load_model, providers
from listwise.models.vllm import VllmModel
from tests.loopback import ScriptedServer
from tests.loopback.dialects import tokens_of
from tests.models.adapters import call

DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_other_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The anthropic SDK would also look for profiles in the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_CONFIG_DIR", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gpt-4o", "did you mean openai/gpt-4o"),
        ("claude-haiku-4-5", "did you mean anthropic/claude-haiku-4-5"),
        ("openia/gpt-4o", "did you mean 'openai'"),
        ("mystery/x", "openai, anthropic, vllm"),
        ("openai/", "write openai/NAME"),
        ("", "provider/name"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(UnknownModel, match=hint):
        load_model(name)


def test_providers() -> None:
    assert providers() == ("openai", "anthropic", "vllm", "sim")


@pytest.mark.parametrize(
    ("name", "variable"), [("openai/gpt-4o", "OPENAI_API_KEY"), ("anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY")]
)
def test_a_missing_key_is_said_before_any_call(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=variable):
        load_model(name)
    monkeypatch.setenv(variable, "sk-abc")
    model = load_model(name)
    assert model.identity.name == name
    assert "sk-abc" not in repr(model.identity)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_keys_that_cannot_be(key: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a key") as caught:
        load_model("openai/gpt-4o", api_key=key)
    assert key not in str(caught.value)


def test_an_anthropic_profile_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="set ANTHROPIC_API_KEY"):
        load_model("anthropic/claude-haiku-4-5")


def test_vllm_needs_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="VLLM_BASE_URL"):
        load_model("vllm/x")
    monkeypatch.setenv("VLLM_BASE_URL", DEAD)
    assert load_model("vllm/x").identity.base_url == f"{DEAD}/v1"


@pytest.mark.parametrize(
    ("name", "variable", "path"),
    [
        ("openai/loopback-1", "OPENAI_BASE_URL", "/v1"),
        ("anthropic/loopback-1", "ANTHROPIC_BASE_URL", ""),
        ("anthropic/loopback-1", "ANTHROPIC_BASE_URL", "/v1"),
        ("vllm/loopback-1", "VLLM_BASE_URL", ""),
        ("vllm/loopback-1", "VLLM_BASE_URL", "/v1"),
    ],
)
async def test_servers_of_ones_own_need_no_key_and_state_their_context(
    name: str, variable: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer("[1]", max_model_len=5555) as server:
        monkeypatch.setenv(variable, server.root + path)
        async with aclosing(load_model(name)) as model:
            assert model.context_tokens == 5555
            assert (await model.complete(call(), timeout_s=5)).text == "[1]"
    assert server.requests[0].dialect == "models"


def test_a_key_for_openai_does_not_reach_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abc")
    with ScriptedServer() as server:
        load_model("vllm/loopback-1", base_url=server.root)
    assert "sk-abc" not in str(server.requests)


def test_vllm_says_which_models_it_serves() -> None:
    with (
        ScriptedServer(models=("org/rank-one",)) as server,
        pytest.raises(UnknownModel, match="did you mean 'org/rank-one'"),
    ):
        load_model("vllm/org/rank-on", base_url=server.base_url)


def test_contexts_can_be_set() -> None:
    assert load_model("vllm/x", base_url=DEAD, context_tokens=1234).context_tokens == 1234
    assert load_model("openai/gpt-4o", api_key="sk-abc", context_tokens=1234).context_tokens == 1234


def test_an_absent_server_does_not_hold_up_the_start() -> None:
    started = time.monotonic()
    assert load_model("openai/my-own", base_url=DEAD).context_tokens == 8192
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("name", ["anthropic/x", "vllm/x"])
def test_responses_are_openais(name: str) -> None:
    with pytest.raises(ConfigError, match="responses"):
        load_model(name, base_url=DEAD, api="responses")


@pytest.mark.parametrize("name", ["anthropic/x", "vllm/x"])
def test_service_tiers_are_openais(name: str) -> None:
    with pytest.raises(ConfigError, match="'flex' is OpenAI's"):
        load_model(name, base_url=DEAD, service_tier="flex")


async def test_vllm_counts_tokens() -> None:
    with ScriptedServer() as server:
        model = load_model("vllm/loopback-1", base_url=server.base_url)
        assert isinstance(model, VllmModel)
        async with aclosing(model):
            assert await model.count_tokens(call(), timeout_s=5) == tokens_of(server_prompt())
    assert server.requests[-1].path == "/tokenize"
    assert server.asked == []


def server_prompt() -> str:
    return "\n".join(message.content for message in call().messages)


def test_the_registry_loads_no_sdk() -> None:
    code = (
        "import listwise.models.registry, sys; print({'openai', 'anthropic', 'httpx2', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
