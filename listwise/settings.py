"""The parts of a policy that come in numbers: the settings of one LLM of the chain, and of one scorer before it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from listwise.calls import ServiceTier
from listwise.models.rerank.naming import VENDORS, is_rerank_api

_AT_ADDRESS = re.compile(r"@(?=https?:)", re.I)


def _name_and_address(text: str) -> tuple[str, str | None]:
    """``NAME`` or ``NAME@URL``."""
    name, *address = _AT_ADDRESS.split(text, maxsplit=1)
    return name, address[0] if address else None


class StageSettings(BaseModel):
    """A scorer of the cascade before the LLM.

    As text, ``NAME``, ``NAME@DEPTH``, ``NAME@URL`` or ``NAME@URL@DEPTH``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    scorer: str = Field(min_length=1)
    """``embedded``, a directory, the name of a model on the hub, or of a rerank API, ``provider/name``."""
    depth: int | None = Field(default=None, ge=1)
    """How many candidates it is given, best of the order so far; by default as many as the scorer before it."""
    base_url: str | None = Field(default=None, repr=False)
    """Where a rerank API is served, if not at its provider's own address."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        name, at, depth = given.rpartition("@")
        if not (at and depth.isdecimal()):
            name, depth = given, ""
        scorer, base_url = _name_and_address(name)
        settings: dict[str, object] = {"scorer": scorer, "base_url": base_url}
        return settings | ({"depth": int(depth)} if depth else {})

    @model_validator(mode="after")
    def _served_where_it_can_be(self) -> Self:
        if is_rerank_api(self.scorer) and "@" in self.scorer:
            raise ValueError("what stands behind the @ is neither a number nor an address, which begins with http")
        if self.base_url is not None and not is_rerank_api(self.scorer):
            raise ValueError(
                f"{self.scorer} is read from this machine: only rerank APIs ({'/..., '.join(VENDORS)}/...) are "
                "served at an address"
            )
        return self


def _cascade(value: object) -> object:
    """One scorer, or several; ``none`` is no scorer."""
    scorers = list(value) if isinstance(value, list | tuple) else [value]
    if "none" in scorers and len(scorers) > 1:
        raise ValueError("none stands for no scorer at all, and so stands alone")
    return () if scorers == ["none"] else tuple(scorers)


Cascade = Annotated[tuple[StageSettings, ...], BeforeValidator(_cascade)]


class LlmSettings(BaseModel):
    """Settings of one LLM. Limits are per query unless they say otherwise; None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    llm: str | None = None
    """The LLM to escalate to, ``provider/name``; without one, every query stays local."""
    base_url: str | None = Field(default=None, repr=False)
    """Where the LLM is served, if not at its provider's own address."""
    api: Literal["chat", "responses"] = "chat"
    """Which of OpenAI's interfaces to use."""
    service_tier: ServiceTier = "default"
    """OpenAI's ``flex`` costs what a batch does, but is slow (raise ``timeout_s``) and turns some requests down."""
    prompt: str | None = None
    """A template's name or file; by default the one the model was made for."""
    temperature: float | None = 0.0
    """Left out for models that refuse it."""
    reasoning_effort: str | None = None
    """For models that reason: the provider's own word for how much."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """Bound of an answer, reasoning included; by default what an order of the window's size needs."""
    concurrency: int = Field(default=16, ge=1)
    """Requests to the LLM at a time, at most: fewer while it is overloaded. Also how many queries are worked on at
    once."""
    rpm: int | None = Field(default=None, ge=1)
    """Requests a minute to the LLM, at most; what the provider states with its answers is kept to in any case."""
    tpm: int | None = Field(default=None, ge=1)
    """Input and output tokens a minute, likewise."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds that one request may take."""
    attempts: int = Field(default=5, ge=1)
    """How often a call is tried when the failure is a passing one."""


class Fallback(LlmSettings):
    """An LLM that is asked for windows which those before it could not put in order.

    As text, ``provider/name`` or ``provider/name@URL``. What is not given is as for the first LLM, except what
    belongs to one model only: address, interface, service tier, prompt, effort, rates and the bound of an answer.
    """

    llm: str

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        name, base_url = _name_and_address(given)
        return {"llm": name} if base_url is None else {"llm": name, "base_url": base_url}
