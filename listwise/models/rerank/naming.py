"""Finds the rerank API for a name, ``provider/name``, its key and address. Vendors are imported when asked for."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from listwise.errors import ConfigError, UnknownModel
from listwise.models.http import Address
from listwise.models.keys import checked_key, missing_key
from listwise.resources import did_you_mean

if TYPE_CHECKING:
    from listwise.models.rerank.model import RerankModel
    from listwise.models.rerank.vendor import Vendor

VENDORS = {
    "cohere": "cohere:COHERE",
    "jina": "jina:JINA",
    "voyage": "voyage:VOYAGE",
    "tei": "tei:TEI",
    "vllm": "jina:VLLM",
}
"""What can stand before the slash, with the module and the name of its `Vendor`."""

_HOSTS_OF_OTHERS = ("openai.com", "anthropic.com")


def is_rerank_api(name: str) -> bool:
    """Whether a scorer of this name is a rerank API, and neither a directory nor a model of a hub.

    ``vllm/NAME`` is one where scorers are named; where LLMs are, it is an LLM.
    """
    provider, slash, model = name.partition("/")
    return bool(slash and model) and provider in VENDORS


def load_rerank_model(name: str, *, base_url: str | None = None, api_key: str | None = None) -> RerankModel:
    """The model of a name, for example ``cohere/rerank-v3.5``, ``tei/bge-reranker-base``. Nothing is sent.

    Args:
        name: ``provider/name``; for TEI, which serves one model, any name that says which.
        base_url: where it is served, instead of the vendor's own address or what the environment says.
        api_key: instead of what the environment says.

    Raises:
        UnknownModel: no such vendor.
        ConfigError: a key or an address is missing or malformed, or the address is another vendor's.
    """
    provider, _, model = name.partition("/")
    if not is_rerank_api(name):
        hint = did_you_mean(provider, tuple(VENDORS)) if model else ""
        raise UnknownModel(
            f"{name!r} is no rerank API: they are named provider/name, and the providers are {', '.join(VENDORS)}"
            f"{hint}"
        )
    from listwise.models.rerank.model import RerankModel

    vendor = vendor_of(provider)
    address = _address(name, vendor, base_url)
    _keep_from_others(provider, address)
    return RerankModel(provider, model, vendor, address=address, api_key=_key(vendor, address, api_key))


def vendor_of(provider: str) -> Vendor:
    """What there is to know of a provider that is one of `VENDORS`."""
    module, _, name = VENDORS[provider].partition(":")
    vendor: Vendor = getattr(import_module(f"listwise.models.rerank.{module}"), name)
    return vendor


def _address(name: str, vendor: Vendor, base_url: str | None) -> Address:
    text = base_url or os.environ.get(vendor.address) or vendor.base_url
    if text is None:
        raise ConfigError(
            f"{name} needs the address of its server: set {vendor.address} or give a base URL, "
            f"for example http://127.0.0.1:8080{vendor.default_path}"
        )
    return Address.parse(text, default_path=vendor.default_path)


def _keep_from_others(provider: str, address: Address) -> None:
    """A key is for its own vendor, or a server that its user names, and never for another vendor.

    Raises:
        ConfigError: the address is another vendor's.
    """
    owners = {other: vendor_of(other).hosts for other in VENDORS if other != provider}
    for other, hosts in (*owners.items(), ("an LLM provider", _HOSTS_OF_OTHERS)):
        if any(address.host == host or address.host.endswith(f".{host}") for host in hosts):
            raise ConfigError(f"{address.shown} belongs to {other}, which is not given the key of {provider}")


def _key(vendor: Vendor, address: Address, api_key: str | None) -> str | None:
    for variable in vendor.keys:
        if key := api_key or os.environ.get(variable):
            return checked_key(key, variable)
    if vendor.needs_key and _is_own(vendor, address):
        raise missing_key(vendor.keys[0])
    return None


def _is_own(vendor: Vendor, address: Address) -> bool:
    return any(address.host == host or address.host.endswith(f".{host}") for host in vendor.hosts)
