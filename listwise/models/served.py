"""What a server says of the models it serves: ``GET /models``, which costs nothing anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listwise.models.http import Address

CONNECT_S = 0.5
ANSWER_S = 1.0


class _Meta(BaseModel):
    """llama.cpp's own facts about a model."""

    n_ctx: int | None = Field(default=None, gt=0)


class ServedModel(BaseModel):
    """One entry of the list. Each kind of server has its own word for the context; OpenAI's has none."""

    model_config = ConfigDict(extra="ignore")

    id: str
    max_model_len: int | None = Field(default=None, gt=0)
    context_length: int | None = Field(default=None, gt=0)
    context_window: int | None = Field(default=None, gt=0)
    max_input_tokens: int | None = Field(default=None, gt=0)
    meta: _Meta | None = None

    @property
    def context_tokens(self) -> int | None:
        """Tokens that prompt and answer share; None where the server does not say."""
        stated = (self.max_model_len, self.context_length, self.context_window, self.max_input_tokens)
        return next((tokens for tokens in stated if tokens), self.meta.n_ctx if self.meta else None)


class _List(BaseModel):
    data: list[ServedModel]


@dataclass(frozen=True, slots=True)
class Listing:
    """The models of a server, or why there are none to be seen."""

    models: tuple[ServedModel, ...] = ()
    problem: str | None = None
    status: int | None = None
    """Of the HTTP answer, None where there was none."""

    def find(self, model: str) -> ServedModel | None:
        """The entry of a model."""
        return next((entry for entry in self.models if entry.id == model), None)


def list_models(address: Address, api_key: str | None, headers: Mapping[str, str] | None = None) -> Listing:
    """Ask a server for its models; gives up after a second. Never raises for what the server does."""
    sent = {**(headers or {}), **({"authorization": f"Bearer {api_key}"} if api_key else {})}
    try:
        response = httpx2.get(
            f"{address.url}/models",
            params=dict(address.query),
            headers=sent,
            timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
        )
    except UnicodeEncodeError:
        return Listing(problem="the key holds characters that no key has")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return Listing(problem=f"not reachable ({type(error).__name__})")
    if response.status_code in {401, 403}:
        return Listing(problem=f"the key is refused (HTTP {response.status_code})", status=response.status_code)
    if response.status_code != 200:
        return Listing(problem=f"no list of models (HTTP {response.status_code})", status=response.status_code)
    try:
        return Listing(tuple(_List.model_validate_json(response.content).data), status=200)
    except ValidationError:
        return Listing(problem="no list of models in the answer; is this the right base URL?", status=200)
