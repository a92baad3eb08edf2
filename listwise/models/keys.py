"""Keys as they may stand in a header, and what to say where one is missing."""

from __future__ import annotations

from listwise.errors import ConfigError


def checked_key(key: str, variable: str) -> str:
    """A key as it can stand in a header.

    Raises:
        ConfigError: it cannot be one; the message names the variable, and not the key.
    """
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{variable} holds something that cannot be a key (spaces, line breaks, other letters)")
    return key


def missing_key(variable: str) -> ConfigError:
    """The error for a vendor's own server that is asked without a key."""
    return ConfigError(
        f"no key: set {variable} in the environment (a server of your own, given by its base URL, needs none)"
    )
