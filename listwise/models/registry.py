"""Finds the adapter for a name, ``provider/name``, its key and address. Adapters are imported when asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from listwise.calls import ServiceTier
from listwise.errors import ConfigError, UnknownModel
from listwise.models.base import Model
from listwise.models.http import Address
from listwise.models.keys import checked_key, missing_key
from listwise.resources import did_you_mean

if TYPE_CHECKING:
    from listwise.models.families import Traits
    from listwise.models.served import Listing

NO_KEY = "none"
"""Sent to servers of one's own, which ask for no key; the SDK insists on some."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user may say about a model beside its name; None leaves it to the environment and the tables."""

    base_url: str | None = None
    api: Literal["chat", "responses"] = "chat"
    api_key: str | None = field(default=None, repr=False)
    context_tokens: int | None = None
    service_tier: ServiceTier = "default"


Loader = Callable[[str, Settings], Model]

_PROVIDERS: dict[str, Loader] = {}


def provider(name: str) -> Callable[[Loader], Loader]:
    """Register the function that loads a provider's models."""

    def register(loader: Loader) -> Loader:
        _PROVIDERS[name] = loader
        return loader

    return register


def providers() -> tuple[str, ...]:
    """The names that can stand before the slash."""
    return tuple(_PROVIDERS)


def load_model(
    name: str,
    *,
    base_url: str | None = None,
    api: Literal["chat", "responses"] = "chat",
    api_key: str | None = None,
    context_tokens: int | None = None,
    service_tier: ServiceTier = "default",
) -> Model:
    """The model of a name, for example ``openai/gpt-4o``, ``anthropic/claude-haiku-4-5``, ``vllm/org/name``.

    No completion is asked for. Servers of one's own are asked for their list of models, to learn the context (at
    most a second), unless ``context_tokens`` says it.

    Raises:
        UnknownModel: no such provider; or a vLLM server answers and does not serve the model.
        ConfigError: a key or an address is missing or malformed, or a setting is another provider's.
    """
    company, _, model = name.partition("/")
    if company not in _PROVIDERS or not model:
        raise UnknownModel(_unknown(name, company, model))
    return _PROVIDERS[company](model, Settings(base_url, api, api_key, context_tokens, service_tier))


def _unknown(name: str, company: str, model: str) -> str:
    if company in _PROVIDERS:
        return f"{name!r} names a provider but no model; write {company}/NAME"
    beginnings = {"gpt": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "claude": "anthropic"}
    guess = next((known for start, known in beginnings.items() if name.lower().startswith(start)), None)
    hint = f"; did you mean {guess}/{name}?" if guess else did_you_mean(company, providers()) if model else ""
    return (
        f"no provider goes by {company!r}: a model is named provider/name, and the providers are "
        f"{', '.join(providers())} (any OpenAI-compatible server: openai/NAME with a base URL){hint}"
    )


@provider("openai")
def _openai(model: str, settings: Settings) -> Model:
    from listwise.models.openai import BASE_URL, OWN_HOST, OpenAIModel

    address = _address(settings, "OPENAI_BASE_URL") or Address.parse(BASE_URL)
    key = _key(settings, "OPENAI_API_KEY", needed=address.host == OWN_HOST)
    traits = _traits("openai", model, settings)
    if traits.context_tokens is None and address.host != OWN_HOST:
        traits = _as_served(traits, model, _listing(address, key))
    return OpenAIModel(
        model, api_key=key, traits=traits, address=address, api=settings.api, service_tier=settings.service_tier
    )


@provider("anthropic")
def _anthropic(model: str, settings: Settings) -> Model:
    from anthropic import AnthropicError

    from listwise.models.anthropic import AnthropicModel

    _without_openais_own("anthropic", settings)
    address = _address(settings, "ANTHROPIC_BASE_URL")
    if address is not None and address.shown.endswith("/v1"):
        address = replace(address, url=address.url.removesuffix("/v1"), shown=address.shown.removesuffix("/v1"))
    own = address is None or address.host == "api.anthropic.com"
    key = settings.api_key or os.environ.get("ANTHROPIC_API_KEY") or None
    if key is not None:
        key = checked_key(key, "ANTHROPIC_API_KEY")
    elif not own and not os.environ.get("ANTHROPIC_AUTH_TOKEN"):
        key = NO_KEY
    traits = _traits("anthropic", model, settings)
    if traits.context_tokens is None and address is not None and not own:
        listed = replace(address, url=f"{address.url}/v1")
        traits = _as_served(traits, model, _listing(listed, key or NO_KEY))
    try:
        loaded = AnthropicModel(model, api_key=key, traits=traits, address=address)
    except AnthropicError as error:
        raise ConfigError(
            f"Anthropic's profile cannot be read ({type(error).__name__}); mend it, or set ANTHROPIC_API_KEY"
        ) from error
    if not loaded.has_credentials:
        raise missing_key("ANTHROPIC_API_KEY")
    return loaded


@provider("vllm")
def _vllm(model: str, settings: Settings) -> Model:
    from listwise.models.vllm import VllmModel

    _without_openais_own("vllm", settings)
    address = _address(settings, "VLLM_BASE_URL", default_path="/v1")
    if address is None:
        raise ConfigError(
            f"vllm/{model} needs the address of its server: set VLLM_BASE_URL or give a base URL, "
            "for example http://127.0.0.1:8000/v1"
        )
    key = _key(settings, "VLLM_API_KEY", needed=False)
    traits = _traits("vllm", model, settings)
    if settings.context_tokens is None:
        listing = _listing(address, key)
        if listing.models and listing.find(model) is None:
            served = tuple(entry.id for entry in listing.models)
            raise UnknownModel(
                f"{address.shown} serves {', '.join(served)}, not {model}{did_you_mean(model, served)}"
            )
        traits = _as_served(traits, model, listing)
    return VllmModel(model, api_key=key, traits=traits, address=address)


@provider("sim")
def _sim(model: str, settings: Settings) -> Model:
    from listwise.models.simulated.naming import load_simulated

    _without_openais_own("sim", settings)
    if settings.base_url:
        raise ConfigError("a simulated model is served nowhere: leave the base URL out")
    return load_simulated(model)


def _address(settings: Settings, variable: str, *, default_path: str = "") -> Address | None:
    text = settings.base_url or os.environ.get(variable)
    return Address.parse(text, default_path=default_path) if text else None


def _key(settings: Settings, variable: str, *, needed: bool) -> str:
    key = settings.api_key or os.environ.get(variable)
    if not key and needed:
        raise missing_key(variable)
    return checked_key(key, variable) if key else NO_KEY


def _without_openais_own(name: str, settings: Settings) -> None:
    if settings.api != "chat":
        raise ConfigError(f"the interface {settings.api!r} is OpenAI's; {name} models are asked through their own")
    if settings.service_tier != "default":
        raise ConfigError(f"the service tier {settings.service_tier!r} is OpenAI's; leave it out for {name} models")


def _traits(company: str, model: str, settings: Settings) -> Traits:
    from listwise.models.families import traits_of

    traits = traits_of(company, model)
    return replace(traits, context_tokens=settings.context_tokens) if settings.context_tokens else traits


def _listing(address: Address, key: str) -> Listing:
    from listwise.models.served import list_models

    return list_models(address, None if key == NO_KEY else key)


def _as_served(traits: Traits, model: str, listing: Listing) -> Traits:
    """With the context that the server states, if it does."""
    entry = listing.find(model)
    served = entry.context_tokens if entry else None
    return replace(traits, context_tokens=served) if served else traits
