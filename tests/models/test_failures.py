"""What errors say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Identity
from listwise.errors import BadRequest, CallError
from listwise.models.failures import Failures

KEY = "k3y-0123456789"
FAILURES = Failures(Identity("openai", "m", "http://host/v1"), (KEY,))


def said(status: int, message: str, **codes: Any) -> str:
    return str(FAILURES.of_status(status, {"message": message, **codes}, {}))


@pytest.mark.parametrize(
    ("status", "message", "codes", "hint"),
    [
        (400, "Unsupported value: 'temperature'", {"param": "temperature"}, "leave the temperature out"),
        (400, "Unsupported parameter", {"param": "reasoning_effort"}, "reasoning effort"),
        (400, "bad response_format", {}, "form: text"),
        (400, "output_config.format: not supported", {}, "form: text"),
        (400, "structured_outputs: unknown field", {}, "form: text"),
        (400, "Invalid service_tier argument", {}, "leave the service tier out"),
        (401, "no", {}, "is the key right"),
        (402, "no", {}, "nothing left to spend"),
        (429, "no", {"code": "insufficient_quota"}, "nothing left to spend"),
        (404, "no", {}, "the name of a model, and http://host/v1 the right base URL"),
        (308, "", {}, "redirects"),
    ],
)
def test_hints(status: int, message: str, codes: dict[str, Any], hint: str) -> None:
    text = said(status, message, **codes)
    assert hint in text
    assert text.startswith(f"openai/m: HTTP {status}: {message or 'no reason given'}")


REJECTED = {
    "408": (408, "too slow", ""),
    "filter": (400, "no", "content_filter"),
    "too long": (400, "no", "context_length_exceeded"),
}


@pytest.mark.parametrize(
    ("base_url", "billable"),
    [
        ("https://api.openai.com/v1", set()),
        ("https://api.anthropic.com", set()),
        ("https://api.openai.com.evil.example/v1", {"408", "filter"}),
        ("http://127.0.0.1:8000/v1", {"408", "filter"}),
        ("https://mine.openai.azure.com/openai/v1", {"408", "filter", "too long"}),
    ],
)
def test_who_charges_for_rejections(base_url: str, billable: set[str]) -> None:
    failures = Failures(Identity("openai", "m", base_url))
    errors = {
        name: failures.of_status(status, {"message": message, "code": code}, {})
        for name, (status, message, code) in REJECTED.items()
    }
    assert {name for name, error in errors.items() if error.billable} == billable


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "told you"}},
        {"message": "told you"},
        {"detail": "told you"},
        {"error": "told you"},
        {"error": {"message": {"why": "told you"}}},
        "told you",
    ],
)
def test_words_are_found_in_any_body(body: object) -> None:
    assert "told you" in str(FAILURES.of_status(418, body, {}))


@pytest.mark.parametrize(
    "leak",
    [
        f"your key {KEY} is wrong",
        f"Authorization: Bearer {KEY}",
        "Bearer other-token-of-someone",
        "authorization: basic dXNlcjpwYXNz",
        "Incorrect API key provided: sk-proj-abcdefgh",
    ],
)
def test_keys_are_taken_out(leak: str) -> None:
    text = said(401, leak)
    assert "***" in text
    for secret in (KEY, "other-token-of-someone", "dXNlcjpwYXNz", "sk-proj-abcdefgh"):
        assert secret not in text


@given(
    st.integers(300, 599),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "code", "x"]), inner),
    ),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text()),
)
def test_any_answer_is_one_of_our_errors(status: int, body: object, headers: dict[str, str]) -> None:
    error = FAILURES.of_status(status, body, headers)
    assert isinstance(error, CallError)
    assert str(error).isprintable()
    assert len(str(error)) < 700


def test_a_request_that_is_no_http_is_the_callers_fault() -> None:
    import httpx2

    assert isinstance(FAILURES.of_connection(httpx2.LocalProtocolError("x")), BadRequest)
