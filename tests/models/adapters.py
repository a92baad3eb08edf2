"""The adapters that the contract suite runs over, and calls to put to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from listwise.calls import AnswerForm, Call, Message, Sampling
from listwise.models.base import Model
from listwise.models.registry import load_model
from tests.loopback import ScriptedServer

KEY = "sk-very-secret-0123456789"

MESSAGES = (
    Message("system", "You rank passages."),
    Message("user", "I will give you 3 passages."),
    Message("assistant", "Please do."),
    Message("user", "[1] a [2] b [3] c"),
)


def call(*, form: AnswerForm = "text", passages: int = 3, **sampling: Any) -> Call:
    return Call(MESSAGES, Sampling(**{"max_output_tokens": 50, **sampling}), form=form, passages=passages)


@dataclass(frozen=True)
class Adapter:
    """One adapter as the registry loads it, against a server."""

    label: str
    load: Callable[[str], Model]
    """Takes the server's address without a path."""

    def at(self, server: ScriptedServer) -> Model:
        return self.load(server.root)


def _loader(name: str, path: str, **settings: Any) -> Callable[[str], Model]:
    return lambda root: load_model(name, base_url=f"{root}{path}", api_key=KEY, context_tokens=4096, **settings)


ADAPTERS = (
    Adapter("chat", _loader("openai/loopback-1", "/v1")),
    Adapter("responses", _loader("openai/loopback-1", "/v1", api="responses")),
    Adapter("messages", _loader("anthropic/loopback-1", "")),
    Adapter("vllm", _loader("vllm/loopback-1", "/v1")),
)
