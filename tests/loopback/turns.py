"""What a scripted server can do with a request: answer as a model would, or fail as servers fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Dialect = Literal["chat", "responses", "messages", "cohere", "jina", "voyage", "tei", "tokenize", "count", "models"]
"""Which interface a request speaks, by its path; rerank APIs that share one are told apart by the body."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    """Parsed JSON, None without a body."""

    @property
    def dialect(self) -> Dialect | None:
        path = self.path.partition("?")[0].removeprefix("/v1")
        return _reranker(self.body) if path == "/rerank" else _DIALECTS.get(path)

    @property
    def prompt(self) -> str:
        """All that the model is shown, system prompt first, one message a line."""
        return "\n".join(_texts(self.body))

    @property
    def max_output_tokens(self) -> int | None:
        for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
            if name in self.body:
                return int(self.body[name])
        return None


_DIALECTS: dict[str, Dialect] = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/messages": "messages",
    "/tokenize": "tokenize",
    "/messages/count_tokens": "count",
    "/responses/input_tokens": "count",
    "/models": "models",
    "/v2/rerank": "cohere",
}


def _reranker(body: Any) -> Dialect:
    """vLLM speaks as Jina does."""
    return "tei" if "texts" in body else "voyage" if "truncation" in body else "jina"


def _texts(body: Any) -> list[str]:
    if not isinstance(body, dict):
        return []
    if "query" in body:
        return [body["query"], *(body["documents"] if "documents" in body else body["texts"])]
    system = body.get("system") or body.get("instructions") or []
    messages = body.get("messages") or body.get("input") or []
    parts = [system] if isinstance(system, str) else list(system)
    parts += [message["content"] for message in messages] if isinstance(messages, list) else [messages]
    return [_text(part) for part in parts]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text(part) for part in content)
    return str(content["text"])


@dataclass(frozen=True, slots=True)
class Said:
    """A model's answer, put into the dialect of the request. Tokens that are None are counted.

    To a rerank API's ``text`` is a JSON list of scores, in the order of the request.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    finish: Literal["stop", "length", "refusal"] = "stop"
    model: str | None = None
    """The name to answer by; by default the one asked for."""
    leading: Sequence[Mapping[str, float]] = ()
    """Log-probabilities to give at each place, where they are asked for; the first of each is what was drawn."""
    service_tier: object = None
    """The tier to say that it was served at, in OpenAI's interfaces; by default the one asked for."""
    search_units: float | None = None
    """What Cohere is to bill; by default one for each hundred documents."""


@dataclass(frozen=True, slots=True)
class Http:
    """Any answer, byte for byte: ``body`` is sent as it is if it is bytes, else as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """The work is done, and no answer ever sent."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The request is read, then the connection is reset."""


@dataclass(frozen=True, slots=True)
class HalfBody:
    """The work is done, and the connection closes in the middle of the answer."""

    said: Said = Said("[2] > [1]")


@dataclass(frozen=True, slots=True)
class Trickle:
    """The answer comes a byte at a time, always soon enough for a client that only waits for the next one."""

    said: Said = Said("[2] > [1]")
    every_s: float = 0.05


Turn = str | Said | Http | Hang | Reset | HalfBody | Trickle
Script = Callable[[Asked], Turn]


def failure(status: int, message: str = "scripted failure", *, code: str | None = None, **headers: str) -> Http:
    """An error in a body that both OpenAI's and Anthropic's clients understand. Header names take underscores."""
    error = {"message": message, "type": code or "scripted_error", "code": code, "param": None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Http(status, {"type": "error", "error": error}, named)
