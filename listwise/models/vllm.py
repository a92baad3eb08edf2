"""Models that vLLM serves: its OpenAI server, with its own constrained decoding and token counts."""

from __future__ import annotations

from itertools import permutations
from typing import Any, ClassVar

from listwise.calls import Call
from listwise.models.answers import Body, Tokens, read_body
from listwise.models.openai import OpenAIModel
from listwise.spend.tokens import Rung

MOST_CHOICES_OF = 4
"""Up to so many passages, all permutations are listed (24 of them), and the answer is one of them for certain."""


class _Tokenized(Body):
    count: Tokens


class VllmModel(OpenAIModel):
    """One model behind vLLM's Chat Completions."""

    provider: ClassVar[str] = "vllm"
    counted: ClassVar[Rung] = "tokenizer"

    async def count_tokens(self, call: Call, *, timeout_s: float) -> int:
        """Tokens of the prompt as the server itself counts them, chat template included.

        Raises:
            CallError: the server cannot be asked.
        """
        root = str(self._client.base_url).rstrip("/").removesuffix("/v1")
        body = {
            "model": self.identity.model,
            "messages": [{"role": message.role, "content": message.content} for message in call.messages],
            "add_generation_prompt": True,
        }
        response = await self._post(f"{root}/tokenize", body, timeout_s)
        return read_body(_Tokenized, response.content, self._failures).count

    def _request(self, call: Call) -> dict[str, Any]:
        body = super()._request(call)
        body.pop("response_format", None)
        if call.form == "order":
            body["structured_outputs"] = constraint(call.passages)
        return body


def constraint(passages: int) -> dict[str, object]:
    """What the answer must look like, ``[2] > [1] > [3]``.

    A choice of all orders where they are few, else a pattern with the right number of identifiers, which cannot
    demand that they differ.
    """
    identifiers = [f"[{identifier}]" for identifier in range(1, passages + 1)]
    if passages <= MOST_CHOICES_OF:
        return {"choice": [" > ".join(order) for order in permutations(identifiers)]}
    one = rf"\[({'|'.join(str(identifier) for identifier in range(1, passages + 1))})\]"
    return {"regex": f"{one}( > {one}){{{passages - 1}}}"}
