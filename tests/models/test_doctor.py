"""What the doctor finds, without a network and with servers."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from listwise.doctor import Finding, diagnose
from tests.loopback import ScriptedServer

SECRET = "sk-doctor-0123456789"


def found(what: str, base_url: str | None = None) -> Finding:
    (finding,) = [finding for finding in diagnose(base_url) if finding.what == what]
    return finding


def test_without_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    findings = diagnose()
    assert time.monotonic() - started < 5
    by_name = {finding.what: finding for finding in findings}
    assert "set OPENAI_API_KEY" in by_name["openai/..."].detail
    assert "set ANTHROPIC_API_KEY" in by_name["anthropic/..."].detail
    assert "VLLM_BASE_URL" in by_name["vllm/..."].detail
    assert not any(by_name[name].ok for name in ("openai/...", "anthropic/...", "vllm/..."))
    assert by_name["openai SDK"].ok
    assert by_name["local model"].ok


def test_rerank_apis_are_looked_at_but_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("--local cohere/...").detail == "no key: set COHERE_API_KEY"
    assert "set TEI_BASE_URL" in found("--local tei/...").detail
    with ScriptedServer() as server:
        monkeypatch.setenv("COHERE_API_KEY", SECRET)
        monkeypatch.setenv("TEI_BASE_URL", server.root)
        cohere, tei = found("--local cohere/..."), found("--local tei/...")
    assert cohere.ok
    assert tei.ok
    assert SECRET not in cohere.detail
    assert "COHERE_API_KEY is set" in cohere.detail
    assert server.requests == []


@pytest.mark.parametrize(
    ("what", "prefix", "path"),
    [("openai/...", "OPENAI", "/v1"), ("anthropic/...", "ANTHROPIC", ""), ("vllm/...", "VLLM", "")],
)
def test_servers_are_asked_for_their_models_with_the_key(
    what: str, prefix: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(models=("m-1", "m-2"), max_model_len=2048) as server:
        monkeypatch.setenv(f"{prefix}_BASE_URL", server.root + path)
        monkeypatch.setenv(f"{prefix}_API_KEY", SECRET)
        findings = diagnose()
    (finding,) = [finding for finding in findings if finding.what == what]
    assert finding.ok
    assert "m-1 (2048 tokens), m-2" in finding.detail
    assert server.requests[0].path == "/v1/models"
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert server.asked == [], "nothing is spent"
    assert SECRET not in str(findings)


def test_a_server_of_ones_own_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server:
        finding = found("--base-url", server.base_url)
    assert finding.ok
    assert "loopback-1" in finding.detail
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http://127.0.0.1:9/v1", "not reachable"),
        ("127.0.0.1:8000", "begins with http"),
        ("http://u:hunter22@127.0.0.1:9/v1", "not reachable"),
    ],
)
def test_servers_that_cannot_be_used(base_url: str, why: str) -> None:
    finding = found("--base-url", base_url)
    assert not finding.ok
    assert why in finding.detail
    assert "hunter22" not in finding.detail


def test_a_server_that_keeps_silent() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        finding = found("--base-url", f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
    assert time.monotonic() - started < 5
    assert not finding.ok


def test_a_key_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "schlüssel")
        finding = found("openai/...")
    assert not finding.ok
    assert "no key has" in finding.detail
    assert "schlüssel" not in finding.detail


def test_the_wrong_path() -> None:
    with ScriptedServer() as server:
        finding = found("--base-url", f"{server.root}/nowhere")
    assert not finding.ok
    assert "HTTP 404" in finding.detail


def test_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "cache"
    monkeypatch.setenv("LISTWISE_CACHE", str(directory))
    assert found("answer cache").ok
    assert not directory.exists(), "looking changes nothing"
    directory.mkdir(parents=True, mode=0o755)
    directory.chmod(0o755)
    assert "chmod 700" in found("answer cache").detail
    directory.chmod(0o700)
    assert found("answer cache") == Finding(True, "answer cache", f"{directory}, private")
    occupied = tmp_path / "file"
    occupied.write_text("")
    monkeypatch.setenv("LISTWISE_CACHE", str(occupied))
    assert not found("answer cache").ok
