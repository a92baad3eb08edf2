"""What spans say of calls and answers."""

from __future__ import annotations

import pytest

from listwise.calls import Completion, Identity
from listwise.telemetry.attributes import LONGEST_NAME, of_answer, of_model
from listwise.types import Usage


@pytest.mark.parametrize(
    ("base_url", "where"),
    [
        ("https://api.openai.com/v1", ("api.openai.com", 443)),
        ("http://127.0.0.1:8000/v1", ("127.0.0.1", 8000)),
        ("http://user:SECRET@[::1]:9/v1?key=SECRET", ("::1", 9)),
        ("", (None, None)),
        ("simulated", (None, None)),
        ("http://h:port", (None, None)),
        ("http://[", (None, None)),
    ],
)
def test_a_model_is_at_a_host_and_a_port(base_url: str, where: tuple[object, object]) -> None:
    said = of_model(Identity("p", "m", base_url), "chat")
    assert (said.get("server.address"), said.get("server.port")) == where
    assert "SECRET" not in str(said)
    assert (said["gen_ai.provider.name"], said["gen_ai.request.model"]) == ("p", "m")


def test_tokens_are_those_that_were_bought() -> None:
    usage = Usage(100, cached_input_tokens=40, cache_write_tokens=20, output_tokens=30, reasoning_tokens=10)
    completion = Completion("the answer", usage, "m" * 1000)
    bought = of_answer(completion, 5_000_000, cached=False)
    assert {name: value for name, value in bought.items() if name.startswith("gen_ai.usage")} == {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_write.input_tokens": 20,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.reasoning.output_tokens": 10,
    }
    assert bought["listwise.usd"] == 0.005
    assert len(str(bought["gen_ai.response.model"])) == LONGEST_NAME
    at_hand = of_answer(completion, 0, cached=True)
    assert not [name for name in at_hand if name.startswith("gen_ai.usage") or name == "listwise.usd"]
    assert "the answer" not in str((bought, at_hand))
