"""The bodies of answers, as each interface writes them."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.loopback import reranks
from tests.loopback.turns import Asked, Said


def tokens_of(text: str) -> int:
    """By GPT-4o's vocabulary, whatever the model."""
    return max(1, len(_vocabulary().encode_ordinary(text)))


@cache
def _vocabulary() -> Any:
    import bpe_openai

    return bpe_openai.get_encoding("o200k_base")


def counted(asked: Asked, said: Said) -> tuple[int, int]:
    """Input and output tokens as this server bills them, cached and reasoning ones included."""
    of_prompt = reranks.tokens(asked, tokens_of) if "query" in asked.body else tokens_of(asked.prompt)
    input_tokens = of_prompt if said.input_tokens is None else said.input_tokens
    if "query" in asked.body:
        return input_tokens, 0
    output_tokens = tokens_of(said.text) if said.output_tokens is None else said.output_tokens
    return input_tokens, output_tokens


def headers(asked: Asked, said: Said) -> dict[str, str]:
    """What the answer's headers say of it."""
    return {"x-compute-tokens": str(counted(asked, said)[0])} if asked.dialect == "tei" else {}


def body(asked: Asked, said: Said) -> Any:
    """The whole answer in the dialect of the request."""
    match asked.dialect:
        case "chat":
            return _chat(asked, said)
        case "responses":
            return _response(asked, said)
        case "messages":
            return _message(asked, said)
        case "cohere" | "jina" | "voyage" | "tei":
            return reranks.body(asked, said, counted(asked, said)[0])
    raise ValueError(f"no model answers at {asked.path}")


def _chat(asked: Asked, said: Said) -> dict[str, Any]:
    i, o = counted(asked, said)
    refused = said.finish == "refusal"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": said.model or asked.body["model"],
        "service_tier": said.service_tier or asked.body.get("service_tier"),
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None if refused else said.text,
                    "refusal": said.text if refused else None,
                },
                "finish_reason": "length" if said.finish == "length" else "stop",
                "logprobs": {"content": _places(said)} if said.leading and asked.body.get("logprobs") else None,
            }
        ],
        "usage": {
            "prompt_tokens": i,
            "completion_tokens": o,
            "total_tokens": i + o,
            "prompt_tokens_details": {
                "cached_tokens": said.cached_tokens,
                "cache_write_tokens": said.cache_write_tokens,
            },
            "completion_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
        },
    }


def _places(said: Said) -> list[dict[str, Any]]:
    """The places of an answer in OpenAI's form."""
    places = []
    for alternatives in said.leading:
        listed = [
            {"token": token, "logprob": logprob, "bytes": list(token.encode())}
            for token, logprob in alternatives.items()
        ]
        places.append({**listed[0], "top_logprobs": listed})
    return places


def _response(asked: Asked, said: Said) -> dict[str, Any]:
    i, o = counted(asked, said)
    cut = said.finish == "length"
    part: dict[str, Any] = (
        {"type": "refusal", "refusal": said.text}
        if said.finish == "refusal"
        else {"type": "output_text", "text": said.text, "annotations": []}
    )
    if said.leading and "message.output_text.logprobs" in asked.body.get("include", ()):
        part["logprobs"] = _places(said)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": said.model or asked.body["model"],
        "service_tier": said.service_tier or asked.body.get("service_tier"),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]},
        ],
        "usage": {
            "input_tokens": i,
            "input_tokens_details": {
                "cached_tokens": said.cached_tokens,
                "cache_write_tokens": said.cache_write_tokens,
            },
            "output_tokens": o,
            "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
            "total_tokens": i + o,
        },
    }


def _message(asked: Asked, said: Said) -> dict[str, Any]:
    i, o = counted(asked, said)
    stops = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": said.model or asked.body["model"],
        "content": [
            {"type": "thinking", "thinking": "let me see: [9]", "signature": ""},
            {"type": "text", "text": said.text},
        ],
        "stop_reason": stops[said.finish],
        "stop_sequence": None,
        "usage": {
            "input_tokens": i - said.cached_tokens - said.cache_write_tokens,
            "cache_read_input_tokens": said.cached_tokens,
            "cache_creation_input_tokens": said.cache_write_tokens,
            "output_tokens": o,
            "output_tokens_details": {"thinking_tokens": said.reasoning_tokens},
        },
    }


def models(names: tuple[str, ...], max_model_len: int | None) -> dict[str, Any]:
    """The list of models, with vLLM's ``max_model_len`` if there is one."""
    length = {} if max_model_len is None else {"max_model_len": max_model_len}
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "loopback", **length} for name in names],
    }


def input_tokens(asked: Asked) -> dict[str, Any]:
    """The answer of OpenAI's and Anthropic's endpoints that count a prompt."""
    return {"object": "response.input_tokens", "input_tokens": tokens_of(asked.prompt)}


def tokenized(asked: Asked, max_model_len: int | None) -> dict[str, Any]:
    """vLLM's answer to ``/tokenize``, for a prompt or for messages."""
    count = tokens_of(asked.body.get("prompt", asked.prompt))
    return {"count": count, "max_model_len": max_model_len, "tokens": list(range(count)), "token_strs": None}
