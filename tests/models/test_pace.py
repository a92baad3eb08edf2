"""Rate limits in headers, and token numbers in what servers say about prompts that are too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Identity
from listwise.errors import ContextOverflow, RateLimited
from listwise.models.failures import Failures
from listwise.models.http import pace_of
from listwise.pace import Pace, Quota
from tests.loopback import Http, Said, ScriptedServer, dialects, failure
from tests.loopback.turns import Asked
from tests.models.adapters import ADAPTERS, Adapter, call

NOW = 1_800_000_000.0
OPENAI = {
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-reset-requests": "8.64s",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-tokens": "1994032",
    "x-ratelimit-reset-tokens": "179ms",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:01Z",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-input-tokens-remaining": "24000",
    "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:12Z",
    "anthropic-ratelimit-output-tokens-limit": "8000",
    "anthropic-ratelimit-output-tokens-remaining": "8000",
    "anthropic-ratelimit-output-tokens-reset": "2027-01-15T07:59:00Z",
    "anthropic-ratelimit-tokens-limit": "38000",
    "anthropic-ratelimit-tokens-remaining": "32000",
    "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:12Z",
}


def test_openai() -> None:
    assert pace_of(OPENAI, now=NOW) == Pace(
        requests=Quota(10_000, 9999, 8.64), tokens=Quota(2_000_000, 1_994_032, 179e-3)
    )


def test_anthropic() -> None:
    assert pace_of(ANTHROPIC, now=NOW) == Pace(
        requests=Quota(50, 49, 1.0),
        tokens=Quota(38_000, 32_000, 12.0),
        input_tokens=Quota(30_000, 24_000, 12.0),
        output_tokens=Quota(8000, 8000, 0.0),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("1h2m3.5s", 3723.5),
        ("250µs", 0.00025),
        ("0s", 0.0),
        ("20", 20.0),
        ("2027-01-15T08:01:00+00:00", 60.0),
        ("2027-01-15T09:01:00+01:00", 60.0),
        ("2020-01-01T00:00:00Z", 0.0),
    ],
)
def test_resets(text: str, seconds: float) -> None:
    pace = pace_of({**OPENAI, "x-ratelimit-reset-requests": text}, now=NOW)
    assert pace is not None
    assert pace.requests is not None
    assert pace.requests.reset_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x-ratelimit-reset-requests", "soon"),
        ("x-ratelimit-reset-requests", "2027-01-15T08:01:00"),
        ("x-ratelimit-limit-requests", "0"),
        ("x-ratelimit-limit-requests", "nan"),
        ("x-ratelimit-remaining-requests", "-1"),
    ],
)
def test_what_makes_no_sense_is_left_out(name: str, text: str) -> None:
    pace = pace_of({**OPENAI, name: text}, now=NOW)
    assert pace is not None
    assert pace.requests is None
    assert pace.tokens is not None


def test_nothing_is_said() -> None:
    assert pace_of({"content-type": "application/json"}) is None
    assert pace_of({"x-ratelimit-limit-requests": "5"}) is None


@given(st.dictionaries(st.sampled_from([*OPENAI, *ANTHROPIC]), st.text(max_size=30) | st.integers().map(str)))
def test_headers_never_break_an_answer(headers: dict[str, str]) -> None:
    pace = pace_of(headers, now=NOW)
    for quota in (pace.requests, pace.tokens, pace.input_tokens, pace.output_tokens) if pace else ():
        if quota is not None:
            assert quota.limit >= 1
            assert 0 <= quota.remaining <= quota.limit
            assert 0 <= quota.reset_s < float("inf")


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.label)
async def test_it_comes_with_answers_and_refusals(adapter: Adapter) -> None:
    turns = iter([None, failure(429, **{name.replace("-", "_"): text for name, text in OPENAI.items()})])

    def script(asked: Asked) -> Http:
        return next(turns) or Http(200, dialects.body(asked, Said("[1] > [2] > [3]")), OPENAI)

    with ScriptedServer(script) as server:
        model = adapter.at(server)
        answer = await model.complete(call(), timeout_s=5)
        with pytest.raises(RateLimited) as caught:
            await model.complete(call(), timeout_s=5)
        await model.aclose()
    assert answer.pace == caught.value.pace == pace_of(OPENAI)
    assert answer.pace is not None


@pytest.mark.parametrize(
    ("message", "limit", "prompt"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9500 tokens (9000 in the "
            "messages, 500 in the completion). Please reduce the length of the messages or completion.",
            8192,
            9000,
        ),
        (
            "This model's maximum context length is 4096 tokens. However, your messages resulted in 5021 tokens.",
            4096,
            5021,
        ),
        (
            "This model's maximum context length is 2048 tokens. However, you requested 100 output tokens and your "
            "prompt contains at least 1949 input tokens, for a total of at least 2049 tokens.",
            2048,
            1949,
        ),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200_000, 210_000),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
            200_000,
            190_000,
        ),
        ("request (9120 tokens) exceeds the available context size (8192 tokens), try increasing it", 8192, 9120),
        ("the request exceeds the available context size", None, None),
    ],
)
def test_numbers_of_an_overflow(message: str, limit: int | None, prompt: int | None) -> None:
    failures = Failures(Identity("openai", "m", "http://host/v1"))
    error = failures.of_status(400, {"message": message, "code": "context_length_exceeded"}, {})
    assert isinstance(error, ContextOverflow)
    assert (error.limit_tokens, error.prompt_tokens) == (limit, prompt)
